import numpy as np
import pytest

import tastes
from fakes import NearestEngine
from vecspeak.errors import UserError
from vecspeak.protocols.hiding import hide
from vecspeak.protocols.people import NEW, named_person, others_than, people_to_check, standing
from vecspeak.protocols.profile_results import ProfileEstimate, _verdict, lines, profile_result
from vecspeak.protocols.profiles import (
    ANOTHER,
    ANY,
    AUC,
    AVERAGE,
    ORDERS,
    OWN,
    POPULAR,
    PROFILE,
    READ,
    RULE,
    VECTOR,
)
from vecspeak.tasks.examples import is_held_out_person


class Still(NearestEngine):
    """Says the same of everyone."""

    def __init__(self, text):
        self.text = text

    def answers(self, prompts, sampling):
        yield from ((number, self.text) for number in range(len(prompts)))


def found_of(checked):
    return profile_result(checked, share=0.3, standing="known")


def test_a_profile_that_is_read_from_the_vector_ranks_what_was_hidden():
    people = people_to_check(tastes.crowd(), 12, 0.3, 0)
    found = found_of(tastes.checker().check_many(people))
    ranking = found.ranking
    assert ranking[PROFILE][AUC].low > 0.6
    assert ranking[VECTOR][AUC].low > 0.7
    assert ranking[VECTOR][AUC].value >= ranking[PROFILE][AUC].value
    assert ranking[READ][OWN].low > 0.6
    assert found.kinds[RULE]["precision"].value > found.kinds[ANY]["precision"].value
    assert ranking[POPULAR][AUC].low < 0.55
    assert found.over_another[AUC].low > 0.1
    assert found.vector_over_average.low > 0.1
    assert found.verdict.startswith(
        "The profile tells something of these people that was hidden from it: AUC +0."
    )
    assert found.kinds[PROFILE]["precision"].value > 2 * found.kinds[ANOTHER]["precision"].value
    assert found.kinds[ANY]["recall"].value == 1
    assert AVERAGE in ranking
    assert found.flagged == 0


def test_a_profile_that_says_the_same_of_everyone_tells_nothing():
    people = people_to_check(tastes.crowd(), 8, 0.3, 0)
    found = found_of(tastes.checker(Still("Likes what has a ghost in it.")).check_many(people))
    assert found.over_another[AUC].value == 0
    assert found.ranking[PROFILE] == found.ranking[ANOTHER]
    assert found.verdict.startswith("NOT SHOWN that the profile tells anything of these people")


def test_what_is_estimated_is_a_group_by_of_the_tidy_table():
    checked = tastes.checker().check_many(people_to_check(tastes.crowd(), 6, 0.3, 0))
    table = checked.table.to_pandas()
    assert set(table["entity"]) == set(checked.people) and table["set"].nunique() == 2, "a set for each draw"
    by_person = table[table["metric"] == AUC].groupby(["system", "entity"])["value"].mean()
    found = {name: one[AUC].value for name, one in found_of(checked).ranking.items()}
    means = by_person.groupby("system").mean()
    assert found == pytest.approx({name: means[key] for key, name in ORDERS.items()})


def figure(value, half):
    return ProfileEstimate(value=value, low=value - half, high=value + half)


@pytest.mark.parametrize(
    ("over", "auc", "beyond", "people", "told"),
    [
        (figure(0.10, 0.05), figure(0.65, 0.1), figure(0.62, 0.1), 40, "tells something of these people"),
        (
            figure(0.10, 0.05),
            figure(0.65, 0.1),
            figure(0.5, 0.1),
            40,
            "no more than what the average person likes",
        ),
        (figure(0.10, 0.05), figure(0.54, 0.1), figure(0.46, 0.1), 10, "NOT SHOWN that the profile ranks"),
        (figure(0.10, 0.05), figure(0.65, 0.1), figure(0.62, 0.1), 10, "10 people are few"),
        (figure(0.01, 0.05), figure(0.65, 0.1), figure(0.62, 0.1), 40, "NOT SHOWN that the profile tells"),
        (figure(-0.10, 0.05), figure(0.65, 0.1), figure(0.62, 0.1), 40, "WRONG"),
    ],
)
def test_a_verdict_asks_for_more_than_another_persons_profile(over, auc, beyond, people, told):
    assert told in _verdict(over, {AUC: auc, OWN: beyond}, people)


def test_of_ratings_without_taste_nothing_is_told_of_what_was_hidden():
    people = people_to_check(tastes.crowd(noise=True), 16, 0.3, 0)
    found = found_of(tastes.checker(noise=True).check_many(people))
    assert found.ranking[VECTOR][AUC].low < 0.5 < found.ranking[VECTOR][AUC].high + 0.02
    assert found.over_another[AUC].low < 0


def test_one_person_has_intervals_over_what_was_hidden_and_other_peoples_profiles_beside():
    person = tastes.PEOPLE[1]
    crowd = tastes.crowd()
    others = others_than(crowd, person, 3, 0.3, 0)
    assert person not in others
    checked = tastes.checker(draws=3).check_one(person, crowd.people[person], others)
    shown = [len(checked.parts(draw)[0].shown) for draw in range(3)]
    assert shown == [shown[0]] * 3
    found = found_of(checked)
    own = found.ranking[PROFILE][AUC]
    assert own.low < own.value < own.high
    assert found.kinds[PROFILE]["precision"].low is None
    told = "\n".join(lines(found))
    assert "intervals: 95%, over the hidden items" in told
    assert "chance                                 0.500" in told
    assert "number of ratings" in told


def test_someone_who_is_in_no_table_is_checked_by_the_ratings_that_were_typed():
    crowd = tastes.crowd()
    rated = {
        f"Triple {row}": stars for row, stars in ((int(i[1:]), s) for i, s in crowd.people["u3"].items())
    }
    typed = "user({" + ", ".join(f'"{label}": {stars:.6f}' for label, stars in rated.items()) + "})"
    person, ratings = named_person(typed, crowd) if len(typed) <= 2000 else (NEW, crowd.people["u3"])
    assert person == NEW
    checked = tastes.checker(draws=1).check_one(person, ratings, ["u4"])
    assert np.isfinite(found_of(checked).ranking[PROFILE][AUC].value)


def test_the_profile_is_asked_with_the_kept_ratings_alone():
    seen = []

    class Listening(NearestEngine):
        def answers(self, prompts, sampling):
            seen.extend(prompts)
            yield from super().answers(prompts, sampling)

    engine = Listening(tastes.PROFILES, tastes.ENCODER)
    crowd, entry = tastes.crowd(), tastes.entry()
    checked = tastes.checker(engine, draws=1).check_one("u5", crowd.people["u5"], ["u6"])
    given = next(part.values for part in seen[0] if not isinstance(part, str))
    stored = entry.alignment(entry.users.vectors[[entry.users.index_of("u5")]], "user")[0]
    assert not np.allclose(given, stored, atol=1e-3)
    parts = {person: hide(crowd.people[person], 0.3, [0, 0, *person.encode()]) for person in ("u5", "u6")}
    assert checked.parts(0)[0].shown == parts["u5"].shown
    without = crowd.without({person: one.hidden for person, one in parts.items()})
    folded = entry.fold_in.vector(without.space, parts["u5"].shown)
    np.testing.assert_allclose(given, entry.alignment(folded[None], "user")[0], atol=1e-5)


def test_an_answer_that_states_what_ratings_do_not_tell_is_flagged():
    people = people_to_check(tastes.crowd(), 2, 0.3, 0)
    checked = tastes.checker(Still("This viewer is an old woman."), draws=1).check_many(people)
    assert found_of(checked).flagged == 2
    assert set(checked.profiles()[0]["flags"]) == {"age", "sex"}


# --- whose ---


def test_only_people_who_are_held_out_are_drawn_and_the_same_by_the_seed():
    crowd = tastes.crowd()
    first, again, other = (people_to_check(crowd, 6, 0.3, seed) for seed in (0, 0, 1))
    assert first == again != other
    assert all(map(is_held_out_person, first))
    assert sorted(people_to_check(crowd, 999, 0.3, 0)) == sorted(tastes.OUT)


def test_without_enough_people_the_reason_is_told():
    with pytest.raises(UserError, match="people who are held out rated enough for 95% to be hidden"):
        people_to_check(tastes.crowd(), 5, 0.95, 0)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('"Triple 1"', "is not one person"),
        ("user(999)", "nobody in the ratings has the id '999'.*there are: "),
        ('user({"Nothing": 3})', "at character 7: .*no item"),
        ("user(", "at character 6"),
        ('user({"Triple 1": 4, "Triple 2": 50})', "ratings of triples go from .* 'Triple 2' has 50"),
    ],
)
def test_what_is_no_person_is_refused(expression, message):
    with pytest.raises(UserError, match=message):
        named_person(expression, tastes.crowd())


def test_a_person_of_the_ratings_need_not_be_among_the_users():
    crowd = tastes.crowd()
    assert named_person('user("u7")', crowd) == ("u7", crowd.people["u7"])


class _Opened:
    def __init__(self, knows_tasks):
        self.manifest = self
        self.knows_tasks = knows_tasks


def test_it_is_said_whether_the_reader_may_know_the_person():
    inside = next(person for person in tastes.PEOPLE if not is_held_out_person(person))
    assert standing(_Opened(False), [inside]) == "the reader was trained on nobody's profile"
    assert standing(_Opened(True), [tastes.OUT[0]]).startswith("this person is held out")
    assert standing(_Opened(True), [inside]).startswith("THE READER MAY HAVE BEEN TRAINED")
    assert "in no table" in standing(_Opened(True), [NEW])
