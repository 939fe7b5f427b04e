"""The front door: what `import vecspeak` gives, and that what a person would type works on a tiny true reader."""

import importlib.util
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import vecspeak
from fakes import NearestEngine
from vecspeak import Space, UserError, VecSpeak
from vecspeak.bundles import save_bundle
from vecspeak.bundles.fitting import fit_space
from vecspeak.points import Scope, evaluate

ROOT = Path(__file__).parents[1]


@pytest.fixture
def bundle(space, texts, encoder, source, tmp_path):
    """A bundle of the small world, whose items keep their texts."""
    space = Space.from_arrays(
        space.vectors, ids=space.ids, labels=space.labels, texts=list(texts), name=space.name
    )
    entry = fit_space(space, texts=texts, encoder=encoder, splits={"holdout": space.ids[:24]})
    return save_bundle(tmp_path / "things.bundle", source=source, name="things", entries={"things": entry})


@pytest.fixture
def vs(bundle, encoder, texts):
    return VecSpeak.load(bundle.folder, engine=NearestEngine(texts, encoder), encoder=encoder)


def test_the_public_names_are_sorted_few_and_importable():
    assert vecspeak.__all__ == sorted(vecspeak.__all__) and len(vecspeak.__all__) <= 16
    assert set(vecspeak.__all__) == {*vecspeak._HOMES, "__version__"}
    for name in vecspeak.__all__:
        assert getattr(vecspeak, name) is not None and name in dir(vecspeak)
    with pytest.raises(AttributeError):
        _ = vecspeak.Nothing


def test_importing_it_loads_nothing_heavy():
    heavy = "numpy torch transformers sklearn pandas matplotlib pyarrow".split()
    code = f"import sys, vecspeak; print([n for n in {heavy} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_page_is_what_the_docstrings_say():
    spec = importlib.util.spec_from_file_location("api_docs", ROOT / "scripts" / "api_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert module.page() == written, "run: python scripts/api_docs.py"
    assert all(f"## `vecspeak.{name}`" in written for name in vecspeak.__all__)


@pytest.mark.parametrize("way", ["label", "id", "expression", "point", "array", "row", "frame"])
def test_every_way_to_name_an_item_asks_about_the_same_vector(vs, way):
    space = vs.space
    ways = {
        "label": "Thing 3",
        "id": space.ids[3],
        "expression": '"Thing 3"',
        "point": space["Thing 3"],
        "array": space.vectors[3].astype(np.float64),
        "row": pd.DataFrame({"sku": [space.ids[3]], "price": [1.5]}).iloc[0],
        "frame": pl.DataFrame({"sku": [space.ids[3]]}),
    }
    answer = vs.ask("Describe {x}.", x=ways[way])
    assert answer.text == vs.ask("Describe {x}.", x="Thing 3").text
    assert answer.evidence[0].nearest


@pytest.fixture
def rows(vs):
    """The table that the space of a reader was read from, in which a rank comes before the column of ids."""
    vectors = vs.space.vectors
    number = len(vectors)
    frame = pd.DataFrame({"rank": range(5, number + 5), "sku": range(number), "emb": list(vectors)})
    texts = vs.space.metadata["text"].to_pylist()
    frame = frame.assign(title=[f"Item {row}" for row in range(number)], text=texts)
    named = {"id": "sku", "label": "title", "vector": "emb", "text": "text", "name": "shop"}
    vs.fit(Space.from_pandas(frame, **named))
    return frame


def test_a_row_of_a_frame_is_the_item_of_its_own_id_or_its_own_vector(vs, rows, tmp_path):
    wide = pd.DataFrame(vs.spaces["shop"].vectors.round(), dtype=int)
    new = vs.spaces["shop"].vectors[3]
    vs = VecSpeak.load(vs.save(tmp_path / "again.bundle").folder)
    point = partial(vs.point, space="shop")
    assert point(rows.iloc[10]).item_id == point(rows.iloc[10:11]).item_id == "10"
    assert point(rows[["rank", "sku"]].iloc[10]).item_id == "10"
    for row in ({"year": 12, "vec": new}, {"id": "new", "vec": new, "n": 5}):
        assert point(row).item_id is None and np.array_equal(point(row).vector, new)
    assert np.array_equal(point(wide.iloc[4:5]).vector, wide.iloc[4])
    for row in ({"year": 12}, {"id": "new", "n": 5}, rows[["rank", "text"]].iloc[1]):
        with pytest.raises(UserError, match="no id of 'shop' and no vector"):
            point(row)


def test_a_column_of_ids_or_of_vectors_is_as_many_points(vs, rows):
    ask = partial(vs.ask_batch, "Describe {x}.", space="shop")
    for column in (
        rows["sku"].head(3),
        rows["sku"].head(3).astype(str).rename("other"),
        rows["sku"].head(3).astype(object),
        rows["title"].head(3),
        rows.set_index("title")["emb"].head(3),
        rows["emb"].head(3),
        pl.Series("sku", [0, 1, 2]),
        pl.Series("v", rows["emb"].head(3).to_list()),
        rows["title"].head(3).to_numpy(),
        pa.array(["0", "1", "2"]),
    ):
        assert [one.evidence[0].nearest[0].id for one in ask(x=column)] == [
            one.evidence[0].nearest[0].id
            for one in ask(x=["0", "1", "2"] if _names(column) else [*rows["emb"].head(3)])
        ]
    assert vs.point(pd.Series(rows["emb"][2]), space="shop").item_id is None


def _names(column):
    return not isinstance(list(column)[0], list | np.ndarray | pl.Series)


def test_a_batch_answers_in_order_and_becomes_a_frame(vs):
    answers = vs.ask_batch("Describe {x}.", x=vs.space.vectors[:4])
    assert [one.text for one in answers] == [vs.ask("Describe {x}.", x=point).text for point in vs.space][:4]
    frame = answers.to_pandas()
    assert len(frame) == 4 and frame.round_trip.between(-1, 1).all()
    assert "".join(vs.stream("Describe {x}.", x="Thing 1")) == answers[1].text
    with pytest.raises(UserError, match="ask_batch answers several"):
        vs.ask("Describe {x}.", x=vs.space.vectors[:2])


def test_arithmetic_is_what_the_expression_says(vs):
    first, second = vs.space["Thing 3"], vs.space["Thing 4"]
    scope = Scope(space=vs.space)
    for made, written in (
        (first + 2 * second, '"Thing 3" + 2*"Thing 4"'),
        (first - (second - first) * 0.5, '"Thing 3" - ("Thing 4" - "Thing 3")*0.5'),
        (-(first / 2), '-("Thing 3"/2)'),
    ):
        assert made.expression == written
        np.testing.assert_allclose(made.vector, evaluate(written, scope).vector, rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError):
        _ = first + 1


def test_an_array_in_arithmetic_says_that_it_becomes_a_point_first(vs):
    point, array = vs.space["Thing 3"], vs.space.vectors[4]
    direction = point - vs.space["Thing 5"]
    for made in (
        lambda: point + array,
        lambda: array + point,
        lambda: array - point,
        lambda: direction - array,
    ):
        with pytest.raises(UserError, match=r"array of shape \[\d+\].*vs.point\(array\)"):
            made()
    np.testing.assert_allclose((point + vs.point(array)).vector, point.vector + array, rtol=1e-6)
    assert (np.float32(2) * point).expression == '2*"Thing 3"'
    with pytest.raises(TypeError):
        _ = 1 + point


def test_a_frame_is_not_fitted_before_it_is_a_space(vs):
    frame = pd.DataFrame({"id": ["a"], "v": [[1.0, 2.0]]})
    for given, way in ((frame, "from_pandas"), (pl.from_pandas(frame), "from_polars")):
        with pytest.raises(UserError, match=f"got DataFrame.*Space.{way}"):
            vs.fit(given)
        with pytest.raises(UserError, match=f"got DataFrame.*Space.{way}"):
            vs.drift(given, vs.space)


def test_printing_an_answer_shows_its_evidence_and_its_warnings(vs):
    shown = str(vs.ask("Describe {x}.", x=vs.space["Thing 3"]))
    assert 'x = "Thing 3": round trip' in shown and "nearest: " in shown and "(!)" not in shown
    far = vs.ask("Describe {x}.", x=1e3 * np.ones(vs.space.dim, np.float32) - vs.space.vectors[3])
    assert far.warnings and all(f"(!) {warning}" in str(far) for warning in far.warnings)


def test_a_fit_that_shows_nothing_warns_and_so_does_every_answer(vs):
    order = np.random.default_rng(0).permutation(len(vs.space))
    space = Space.from_arrays(
        vs.space.vectors[order], texts=vs.space.metadata["text"].to_pylist(), name="mixed"
    )
    with pytest.warns(UserWarning, match="NOTHING SHOWS"):
        vs.fit(space, holdout=0.4)
    answer = vs.ask("Describe {x}.", x=space.ids[3], space="mixed")
    assert any("NOTHING SHOWS" in warning for warning in answer.warnings)
    assert not any(
        "NOTHING SHOWS" in one for one in vs.ask("Describe {x}.", x="Thing 3", space="things").warnings
    )


def test_an_answer_shows_itself_escaped(vs):
    answer = vs.ask("Describe {x}.", x=vs.space["Thing 3"])
    html = answer._repr_html_()
    assert "round trip" in html and vs.space.text_of(vs.space.ids[3]) in html
    bad = type(answer)(question="<b>", text="<script>", evidence=answer.evidence)
    assert "<script>" not in bad._repr_html_() and "<b>" not in bad._repr_html_()
    assert repr(answer).startswith("Answer(") and "\n" not in repr(answer)


def test_a_vector_of_another_width_is_refused_before_a_model_is_opened(vs):
    with pytest.raises(UserError, match=f"has 2 numbers, and things has vectors of {vs.space.dim}"):
        vs.ask("Describe {x}.", x=[0.1, 0.2])


def test_a_file_and_typed_numbers_are_vectors_too(vs, tmp_path):
    np.save(tmp_path / "q.npy", vs.space.vectors[3])
    typed = ", ".join(map(str, vs.space.vectors[3].tolist()))
    for written in (f"vector({tmp_path / 'q.npy'})", f"[{typed}]"):
        answer = vs.ask("Describe {x}.", x=written)
        assert answer.text == vs.ask("Describe {x}.", x="Thing 3").text
    assert "sha256" in answer.evidence[0].expression
    with pytest.raises(UserError, match="cannot read|no file"):
        vs.ask("Describe {x}.", x=f"vector({tmp_path / 'none.npy'})")
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="Python objects"):
        vs.ask("Describe {x}.", x=f"vector({tmp_path / 'o.npy'})")


@pytest.fixture
def with_people(bundle, encoder, texts):
    """The space with users of its own, whose vectors are not quite those of items."""
    space = bundle.entry().space
    rng = np.random.default_rng(0)
    people = space.vectors[:5] + 0.5 * rng.normal(size=(5, space.dim)).astype(np.float32)
    users = Space.from_arrays(people, ids=["1", "2", "3", "4", "42"], name="things.users")
    vs = VecSpeak.load(bundle.folder, engine=NearestEngine(texts, encoder), encoder=encoder)
    return vs.fit(space, users=users), users


def test_users_of_ones_own_are_points(with_people):
    vs, users = with_people
    point = vs.point("user(42)")
    assert point.kind == "user" and point.about_person
    assert vs.ask("Describe what {x} likes.", x="user(42)").evidence[0].is_user


@pytest.mark.parametrize("declared", [True, False])
def test_the_privacy_rule_is_not_got_round_by_an_array(with_people, declared):
    vs, users = with_people
    given = {"x": users.vectors[4], **({"kind": "user"} if declared else {})}
    with pytest.raises(UserError):
        vs.ask("How old is {x}?", **given)
    if not declared:
        assert "nearly" in " ".join(vs.ask("Describe {x}.", **given).warnings)
    with pytest.raises(UserError):
        vs.ask("How old is {x}?", x=vs.point(users.vectors[4], kind="user") * 0.5 + vs.space["Thing 1"])


def test_what_is_saved_opens_again_and_other_spaces_stay(vs, bundle, tmp_path):
    again = VecSpeak.load(bundle.folder, encoder=vs.encoder)
    vs.save(tmp_path / "a.bundle")
    space = vs.space
    other = Space.from_arrays(
        space.vectors, ids=space.ids, texts=[space.text_of(one) for one in space.ids], name="others"
    )
    again.fit(other).save(tmp_path / "a.bundle")
    assert set(VecSpeak.load(tmp_path / "a.bundle").spaces) == {"things", "others"}
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        vs.save(tmp_path / "file")


def test_nothing_is_fitted_on_the_ids_that_are_held_out(vs):
    space = vs.space
    held_out = list(space.ids[:30])
    known = Space.from_arrays(
        space.vectors[30:], ids=space.ids[30:], texts=[space.text_of(one) for one in space.ids[30:]], name="k"
    )
    entry = vs.fit(space, holdout=held_out).entry()
    assert entry.splits == {"holdout": frozenset(held_out)}
    np.testing.assert_array_equal(
        entry.alignment.matrix, vs.fit(known, holdout=0).entry("k").alignment.matrix
    )


@pytest.mark.parametrize("library", [pd, pl])
def test_a_frame_becomes_a_space(library):
    frame = library.DataFrame({
        "sku": ["a", "b"], "title": ["Red", None], "v": [[1.0, 2.0], [3.0, 4.0]], "about": ["x", None]
    })  # fmt: skip
    space = Space.from_arrow(frame, id="sku", label="title", vector="v", text="about", name="shop")
    assert space.labels == ("Red", "b") and space.text_of("a") == "x" and space.text_of("b") is None
    assert space["Red"].expression == '"Red"' and [point.item_id for point in space] == ["a", "b"]
    with pytest.raises(UserError, match="did you mean"):
        space["Rad"]


@pytest.mark.model
def test_the_six_lines_of_the_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = "red blue green warm rain summer winter long short silk wool cotton".split()
    titles = [f"{a} {b} jacket".capitalize() for a in words for b in words if a != b]
    vectors = np.random.default_rng(0).normal(size=(len(titles), 24)).tolist()
    pl.DataFrame({
        "sku": [f"s{row}" for row in range(len(titles))], "title": titles, "embedding": vectors,
        "description": [f"A {title.lower()} for every day." for title in titles],
    }).write_parquet("items.parquet")  # fmt: skip
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    block = readme.partition("```python\n")[2].partition("```")[0]
    assert len(block.splitlines()) == 6
    names = {}
    exec(block, names)  # prints two answers
    printed = capsys.readouterr().out.strip().splitlines()
    assert len(printed) >= 2 and (tmp_path / "shop.bundle" / "manifest.json").is_file()
    answer = names["vs"].ask("Describe {x}.", x=names["space"]["Blue rain jacket"], max_new_tokens=16)
    assert str(answer) and answer.evidence[0].is_item


def test_only_known_baselines_and_scorers_can_be_named(vs):
    with pytest.raises(UserError, match="`baselines` is one of .*, got 'maen'; did you mean 'mean'"):
        vs.evaluate(baselines=["reader", "maen"])
    with pytest.raises(UserError, match="`scorers` is one of .*, got 'f1'; take some of them"):
        vs.evaluate(scorers=["f1"])


def test_a_region_may_be_a_list_of_ids(vs):
    ids = vs.space.ids
    region = vs.describe(ids=[ids[3], ids[1], ids[3]], reader=False)
    assert region.num_items == 2 and region.name == "2 ids"
    with pytest.raises(UserError, match="1 of 2 ids in the list are not in 'things'"):
        vs.describe(ids=[ids[0], "none"], reader=False)


def test_a_space_becomes_the_frame_that_it_came_from(vs):
    frame = vs.space.to_pandas()
    again = Space.from_pandas(frame, id="id", label="label", vector="vector", text="text", name=vs.space.name)
    assert again.digest == vs.space.digest
    with pytest.raises(UserError, match="brings no space 'songs'"):
        Space.from_pretrained("songs")


def test_ids_that_are_whole_numbers_and_the_rows_of_a_frame_are_points(vs, encoder, texts):
    numbered = Space.from_arrays(
        vs.space.vectors, ids=range(1000, 1000 + len(vs.space)), labels=vs.space.labels, texts=list(texts)
    )
    own = VecSpeak(vs.bundle, engine=NearestEngine(texts, encoder), encoder=encoder).fit(numbered)
    wanted = [own.ask("Describe {x}.", x=f"Thing {n}", space="space").text for n in (3, 4)]
    assert own.ask("Describe {x}.", x=1003, space="space").text == wanted[0]
    assert own.ask("Describe {x}.", x=np.int64(1003), space="space").text == wanted[0]
    frame = pd.DataFrame(
        {"sku": [1003, 1004], "vector": list(numbered.vectors[3:5]), "name": ["Thing 3", "Thing 4"]}
    )
    for given in (
        frame,
        pl.from_pandas(frame),
        frame["name"],
        pl.from_pandas(frame)["name"],
        frame["vector"],
    ):
        answers = own.ask_batch("Describe {x}.", x=given, space="space")
        assert [one.text for one in answers] == wanted
    wide = pd.DataFrame(numbered.vectors[3:5])
    assert [one.text for one in own.ask_batch("Describe {x}.", x=wide, space="space")] == wanted
    with pytest.raises(UserError, match='no item with the id "7"'):
        own.ask("Describe {x}.", x=7, space="space")


def test_a_point_that_names_its_space_needs_no_other_word_for_it(vs, encoder, texts):
    other = Space.from_arrays(vs.space.vectors, labels=vs.space.labels, texts=list(texts), name="others")
    both = VecSpeak(vs.bundle, engine=NearestEngine(texts, encoder), encoder=encoder).fit(other)
    points = [both.spaces["others"][3], both.spaces["others"][4]]
    for given in (points, ['"Thing 3"@others', '"Thing 4"@others']):
        assert [one.evidence[0].space for one in both.ask_batch("Describe {x}.", x=given)] == ["others"] * 2
    assert both.ask("Describe {x}.", x='"Thing 3"@others').evidence[0].space == "others"
    assert both.point('"Thing 3"@others').space == both.point(points[0]).space == "others"
    with pytest.raises(UserError, match="several spaces"):
        both.ask("Describe {x}.", x="Thing 3")


@pytest.mark.parametrize("given", [[], (), np.empty((0, 4)), np.empty(0), pd.DataFrame({"sku": []})])
def test_no_point_at_all_is_said_to_be_none(vs, given):
    with pytest.raises(UserError, match="no point is given to ask about"):
        vs.ask_batch("Describe {x}.", x=given)


@pytest.mark.parametrize("call", ["ask", "ask_batch", "stream"])
def test_a_keyword_that_is_no_slot_is_refused_by_what_was_meant(vs, call):
    ask = lambda question, **points: list(getattr(vs, call)(question, x="Thing 3", **points))  # noqa: E731
    for question in ("Describe {x}.", "Describe it."):
        with pytest.raises(UserError, match="no argument 'max_tokens'; did you mean 'max_new_tokens'?"):
            ask(question, max_tokens=20)
    with pytest.raises(UserError, match=r"`other=...` names a slot that the question .* does not have"):
        ask("Describe {x}.", other=20)


def test_an_argument_that_streaming_does_not_take_is_no_slot(vs):
    with pytest.raises(UserError, match="`best_of` cannot be given here"):
        list(vs.stream("Describe {x}.", x="Thing 3", best_of=2))


def test_a_concept_in_a_slot_says_that_it_is_a_direction(vs):
    fitted = [one for one in vs.space.ids if one not in vs.entry().held_out]
    vs.concept("round", positives=fitted[:8], negatives=fitted[8:16], method="mean", force=True)
    for given in ("round", vs.concept("round"), 2 * vs.concept("round")):
        with pytest.raises(UserError, match=r'not a point; .* an item.*"(LABEL|Thing 0)" \+ 2\*round'):
            vs.ask("Describe {x}.", x=given)


def test_a_query_where_a_region_is_wanted_says_how_it_is_written(vs):
    with pytest.raises(UserError, match="label = x is a query.*; write 'where: label = x'"):
        vs.diff("label = x", "Thing 3", reader=False)
    with pytest.raises(UserError, match="== is no comparison; use one =: text = 'games'"):
        vs.concept("games", where="text == 'games'")


def test_a_scalar_is_shown_as_it_was_given(vs):
    with pytest.raises(UserError, match="expected, got 0.5;"):
        vs.ask("Describe {x}.", x=0.5)
