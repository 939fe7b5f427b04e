"""Tastes: what people are predicted to like more and less than others, against planted tastes."""

from dataclasses import replace

import numpy as np
import pytest

from tastes import PEOPLE, entry, taste
from vecspeak.api import VecSpeak
from vecspeak.errors import UserError
from vecspeak.explore.concepts import fit_entry_concept, with_concepts
from vecspeak.explore.tastes import CONCEPT, TasteReader
from vecspeak.points import evaluate


def read(of, person, limit=10):
    return TasteReader(of).read(evaluate(f'user("{person}")', of.scope), limit)


def test_the_planted_likes_and_dislikes_are_read_and_other_ratings_tell_nothing():
    reader = TasteReader(entry())
    right = wrong = 0
    for person in PEOPLE[:40]:
        found = reader.read(evaluate(f'user("{person}")', entry().scope), 3)
        likes, dislikes = taste(person)
        assert found.more[0].term == likes and found.more[0].percentile > 80
        right += dislikes in [one.term for one in found.less]
        wrong += dislikes in [one.term for one in found.more]
    assert right >= 22 and wrong == 0  # one in three by chance: 13


def test_a_taste_names_items_that_have_it_and_persons_are_compared_at_one_length():
    of = entry()
    likes, _ = taste("u7")
    found = read(of, "u7")
    best = found.more[0]
    assert best.column == "genres" and best.num_items == 36 and len(best.items) == 3
    texts = {of.space.labels[row]: of.space.text_of(one) for row, one in enumerate(of.space.ids)}
    assert all(likes in texts[label] for label in best.items)
    point = evaluate('user("u7")', of.scope)
    longer = TasteReader(of).read(replace(point, vector=3 * point.vector))
    assert longer.more == found.more and longer.less == found.less
    assert found.num_people == len(of.users)


def test_words_and_values_of_the_same_items_are_told_once():
    names = [one.term for one in read(entry(), "u3").more]
    assert len(names) == len({name.casefold() for name in names})


def test_trusted_concepts_are_read_and_no_others():
    of = entry()
    ghost = fit_entry_concept(of, "spooky", "genres", "ghost")
    assert ghost.is_trusted
    of = with_concepts(of, [ghost, replace(ghost, name="doubted", chance=None)])
    reader = TasteReader(of)
    assert (CONCEPT, "spooky") in reader.terms and (CONCEPT, "doubted") not in reader.terms
    likes_ghost = next(person for person in PEOPLE if taste(person)[0] == "ghost")
    column = reader.terms.index((CONCEPT, "spooky"))
    assert reader.percentiles(evaluate(f'user("{likes_ghost}")', of.scope).vector[None])[0, column] > 80


def test_what_may_not_be_said_of_a_person_is_left_out_and_counted():
    of = entry()
    renamed = of.space.metadata.set_column(
        1, "genres", [[["Jewish" if kind == taste("u5")[0] else kind for kind in kinds] for kinds in
                       of.space.metadata.column("genres").to_pylist()]]
    )  # fmt: skip
    found = read(replace(of, space=replace(of.space, metadata=renamed)), "u5")
    assert found.left_out >= 1 and not any("jewish" in one.term.casefold() for one in found.more)
    assert "left out, for" in str(found)


def test_only_people_have_tastes_and_only_where_there_are_any():
    of = entry()
    with pytest.raises(UserError, match="is no person"):
        TasteReader(of).read(evaluate('"Triple 3"', of.scope))
    with pytest.raises(UserError, match="has no people"):
        TasteReader(replace(of, users=None))


def test_percentiles_of_all_people_are_even():
    of = entry()
    reader = TasteReader(of)
    found = reader.percentiles(of.users.vectors)
    assert np.allclose(found.mean(0), 50, atol=1) and found.min() >= 0 and found.max() <= 100


def test_who_is_like_all_others_has_no_clear_taste_and_few_people_are_refused():
    of = entry()
    same = replace(of.users, vectors=np.repeat(of.users.vectors[:1], len(of.users), axis=0))
    alike = TasteReader(replace(of, users=same)).read(evaluate('user("u1")', replace(of, users=same).scope))
    assert alike.more == alike.less == ()
    with pytest.raises(UserError, match="has 3 people, too few"):
        TasteReader(replace(of, users=of.users.take([0, 1, 2])))


def test_exemplars_sum_up_what_sets_a_person_apart():
    of = entry()
    reader = TasteReader(of)
    texts = [of.space.text_of(one) for one in of.space.ids]
    right = wrong = 0
    for person in PEOPLE[:40]:
        likes, dislikes = taste(person)
        for row, sign in reader.exemplars(evaluate(f'user("{person}")', of.scope).vector, 3):
            right += (likes if sign > 0 else dislikes) in texts[row]
            wrong += (dislikes if sign > 0 else likes) in texts[row]
    assert right > 2 * wrong
    vectors = of.users.vectors[:30].astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    apart = (vectors - reader._average) @ reader._items.T
    by_exemplars = reader.scores_by_exemplars(vectors)
    agreement = [np.corrcoef(own, said)[0, 1] for own, said in zip(apart, by_exemplars, strict=True)]
    assert np.mean(agreement) > 0.8


def test_exemplars_by_hand():
    """Items along the axes and one between: of a person at (0.8, 0.6) the one between comes first."""
    of = entry()
    reader = TasteReader(of)
    reader._items = np.array([[1.0, 0], [0, 1], [0.9, 0.8], [-1, 0], [0, 0]])
    reader._average = np.zeros(2)
    assert reader.exemplars(np.array([0.8, 0.6]), 1)[0] == (2, 1)
    assert set(reader.exemplars(np.array([-1.0, 0]), 1)) == {(3, 1), (0, -1)}
    assert reader.exemplars(np.array([0.0, 0]), 3) == []


def test_items_that_name_what_may_not_be_said_are_no_exemplars():
    of = entry()
    first = TasteReader(of).exemplars(evaluate('user("u5")', of.scope).vector)[0][0]
    labels = tuple("A Jewish Wedding" if row == first else one for row, one in enumerate(of.space.labels))
    before, after = read(of, "u5"), read(replace(of, space=replace(of.space, labels=labels)), "u5")
    assert after.left_out == before.left_out + 1
    assert len(after.like + after.unlike) == len(before.like + before.unlike) - 1
    assert "A Jewish Wedding" not in after.like + after.unlike
    assert f"more of what is in: {'; '.join(after.like)}" in str(after)


def test_the_front_door_reads_tastes_and_notices_a_space_that_was_fitted_again(source, encoder):
    of = entry()
    vs = VecSpeak(replace(source, entries={of.space.name: of}), encoder=encoder)
    first = vs.tastes('user("u7")')
    assert first == vs.tastes('user("u7")') == read(of, "u7")
    fewer = replace(of, users=of.users.take(list(range(60))))
    vs.bundle = replace(vs.bundle, entries={of.space.name: fewer})
    assert vs.tastes('user("u7")').num_people == 60
