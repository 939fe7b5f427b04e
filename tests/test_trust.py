"""Trust: one rule for every result, which says no exactly where a reason is given."""

from dataclasses import replace

import pytest

from vecspeak.evidence import Clause
from vecspeak.trust import Trust, evidence_of, trust_of


def test_nothing_against_it_is_trust_and_reasons_come_once():
    assert Trust().trusted and "speaks against" in Trust().reason
    both = Trust(("a", "b"))
    assert not both.trusted and both.reason == "a; b"


def clauses(*probabilities):
    return tuple(Clause(text=f"clause {one} ", probability=one) for one in probabilities)


def test_an_answer_with_a_weak_clause_is_not_trusted_and_says_how_many_there_are(reader):
    answer = replace(reader.ask("Describe {x}.", x="Thing 3", effort="quick"), clauses=clauses(0.9, 0.5))
    assert trust_of(answer).reasons == answer.warnings
    weak = trust_of(replace(answer, clauses=clauses(0.96, 0.7, 0.11, 0.07)))
    assert weak.reasons == (*answer.warnings, "weak clauses, likelier wrong than right: 2 of 4")
    assert trust_of(replace(answer, clauses=clauses(None, None))).reasons == answer.warnings


def test_a_refusal_to_answer_is_no_answer_to_trust(reader):
    asked = reader.ask("Who is it?", x="Thing 3", effort="quick")
    assert asked.direct is not None and not asked.is_answered
    said = evidence_of(asked)
    assert (said["trusted"], said["answered"]) == (False, False)
    assert "do not say what was asked" in trust_of(asked).reason
    assert trust_of(replace(asked, text="", direct=None)).reasons[0] == "it is no answer"


def test_the_server_says_the_same_and_names_what_is_not_read(reader):
    answer = reader.ask("Describe {x}.", x="Thing 3", effort="quick")
    weak = replace(answer, clauses=clauses(0.1))
    said = evidence_of(weak)
    assert (said["trusted"], tuple(said["reasons"])) == (False, trust_of(weak).reasons)
    asker, prepared = reader.prepared("Describe {x}.", at={"x": reader.point("Thing 3")}, effort="quick")
    named = replace(answer, clauses=asker.clauses_of(prepared, "A ghost of zorro."))
    named = replace(named, clauses=(replace(named.clauses[0], probability=0.9),))
    found = evidence_of(named)
    assert found["reasons"][0].endswith("may be invented: zorro") and not found["trusted"]
    assert found["clauses"][0]["unread"] == ["zorro"]


def test_what_the_caller_knows_counts_once_and_an_empty_sentence_nothing(reader):
    found = reader.why("Thing 1", "Thing 2")
    assert trust_of(found, "", "mind this", "mind this").reasons[0] == "mind this"
    assert len(set(trust_of(found, "mind this").reasons)) == len(trust_of(found, "mind this").reasons)
    assert found.is_found or found.verdict in trust_of(found).reasons


def test_two_points_with_the_same_vector_have_no_difference_to_trust(reader):
    assert "no word is read" in trust_of(reader.diff("Thing 1", "Thing 1", reader=False)).reason
    assert trust_of(reader.diff("Thing 1", "Thing 4", reader=False)).trusted


def test_two_regions_that_differ_by_chance_are_not_told_apart(reader):
    found = reader.diff("where: label ~ 1", "where: label ~ 2", reader=False)
    is_empty = found.more_in_first.is_empty and found.more_in_second.is_empty
    assert trust_of(found).trusted is not is_empty


def test_a_region_has_its_own_flags(reader):
    found = reader.describe(where="label ~ 1", reader=False)
    assert trust_of(found).reasons == found.flags


def test_what_has_no_rule_is_no_result():
    with pytest.raises(TypeError, match="nothing says whether to trust a str"):
        trust_of("a text")
