"""Whoever asks with a person's vector is held to the privacy rule, however the vector comes in."""

import numpy as np
import pytest

from fakes import NearestEngine
from vecspeak import Space, UserError, VecSpeak, asking
from vecspeak.bundles import save_bundle
from vecspeak.bundles.fitting import fit_space

AGE = "How old is {x}?"


@pytest.fixture
def people(space):
    rng = np.random.default_rng(0)
    vectors = space.vectors[:5] + 0.5 * rng.normal(size=(5, space.dim)).astype(np.float32)
    return Space.from_arrays(vectors, ids=["1", "2", "3", "4", "42"], name="things.users")


@pytest.fixture
def vs(space, people, texts, encoder, source, tmp_path):
    """Two spaces of one width, of which only the first has people."""
    entries = {}
    for name, users in (("things", people), ("other", None)):
        named = Space.from_arrays(space.vectors, ids=space.ids, labels=space.labels, texts=texts, name=name)
        entries[name] = fit_space(named, texts=texts, encoder=encoder, users=users)
    made = save_bundle(tmp_path / "t.bundle", source=source, name="t", entries=entries)
    return VecSpeak.load(made.folder, engine=NearestEngine(texts, encoder), encoder=encoder)


def test_a_point_of_people_who_are_called_like_the_items_is_a_persons(vs, people, texts):
    same = Space.from_arrays(people.vectors, ids=people.ids, name="things")
    items = vs.spaces["things"]
    vs.fit(Space.from_arrays(items.vectors, ids=items.ids, texts=texts, name="things"), users=same)
    assert vs.entry("things").users.name == "things.users"
    with pytest.raises(UserError, match="age"):
        vs.ask(AGE, x=1 * same["3"])
    with pytest.raises(UserError, match="another vector"):
        vs.ask(AGE, x=same["3"])


@pytest.mark.parametrize("where", ["things", "other"])
@pytest.mark.parametrize("factor", [1, -1, 0.5])
def test_a_persons_vector_is_noticed_in_every_space_and_turned_round(vs, people, where, factor):
    vector = factor * people.vectors[3]
    for x in (vector, vector.tolist(), f"[{', '.join(map(str, vector.tolist()))}]"):
        with pytest.raises(UserError, match="age"):
            vs.ask(AGE, x=x, space=where)
    assert "privacy" in " ".join(vs.ask("Describe {x}.", x=vector, space=where).warnings)


def test_an_item_of_another_table_of_that_name_is_refused(vs, people):
    stranger = Space.from_arrays(people.vectors, ids=["a", "b", "c", "d", "e"], name="things")
    with pytest.raises(UserError, match="another vector"):
        vs.ask("Describe {x}.", x=stranger["a"])


def test_a_row_of_a_frame_of_people_is_no_item_of_that_id(vs, people, space):
    vectors = np.concatenate([people.vectors, space.vectors[5:]])
    ids = [*people.ids, *space.ids[5:]]
    items = Space.from_arrays(
        space.vectors, ids=ids, texts=[vs.spaces["things"].text_of(one) for one in space.ids]
    )
    vs.fit(items, users=people)
    frame = Space.from_arrays(vectors, ids=ids, name="f").to_pandas()
    with pytest.raises(UserError, match="another vector"):
        vs.ask(AGE, x=frame.iloc[3], space=items.name)
    assert vs.point(frame.iloc[9], space=items.name).item_id == ids[9]


def test_a_declared_person_is_one_whatever_the_point(vs):
    vector = vs.spaces["things"].vectors[3] + 1
    typed = f"[{', '.join(map(str, vector.tolist()))}]"
    array_point = vs.point(vector, space="things")
    points = [vs.point(x, kind="user", space="things") for x in (vector, typed, array_point)]
    assert {point.kind for point in points} == {"user"}
    assert len({point.expression for point in points}) == 1
    for x in (typed, array_point, "Thing 3", 'mid("Thing 1", "Thing 2")', vs.spaces["things"]["Thing 3"]):
        with pytest.raises(UserError, match="age"):
            vs.ask(AGE, x=x, kind="user", space="things")
        vs.ask("Describe {x}.", x=x, kind="user", space="things")


@pytest.mark.parametrize("kind", ["person", 3, "", ["user"]])
def test_another_kind_is_refused(vs, kind):
    for x in ("Thing 3", vs.spaces["things"].vectors[3]):
        with pytest.raises(UserError, match="`kind` is one of None, 'user'"):
            vs.point(x, kind=kind, space="things")


def test_a_declared_persons_vector_may_lie_in_a_named_space(vs):
    typed = f"[{', '.join(map(str, (vs.spaces['things'].vectors[3] + 1).tolist()))}]"
    point = vs.point(f"{typed}@things", kind="user", space="other")
    assert (point.kind, point.space) == ("user", "things")
    assert point.expression.startswith("user([") and point.expression.endswith(")@things")


def test_a_vector_in_a_larger_expression_is_declared_without_becoming_a_user(vs):
    typed = f"[{', '.join(map(str, (vs.spaces['things'].vectors[3] + 1).tolist()))}]"
    for expression in (f"{typed} + {typed}", f"2*{typed}", f"-{typed}", f'mid({typed}, "Thing 3")'):
        point = vs.point(expression, kind="user", space="things")
        assert point.kind == "made" and point.about_person
    twice = vs.point(vs.point(typed, kind="user", space="things"), kind="user", space="things")
    assert twice.expression.count("user(") == 1


def test_people_are_looked_for_once_in_a_question(vs, people, monkeypatch):
    looked, look = [], asking.person_note
    monkeypatch.setattr(asking, "person_note", lambda *given: looked.append(1) or look(*given))
    vs.ask("Describe {x}.", x=people.vectors[3], space="other")
    assert len(looked) == 1
    assert vs.point(people.vectors[3], space="other").about_person and len(looked) == 2
