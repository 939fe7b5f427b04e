"""Names: what a tuple of texts does, in Arrow's memory, small and large alike."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecspeak.errors import UserError
from vecspeak.tables import names as names_module
from vecspeak.tables.names import Names

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=30)


@pytest.fixture(params=["small", "scanned", "hashed"])
def size(request, monkeypatch):
    monkeypatch.setattr(names_module, "SMALL", 0 if request.param != "small" else 100)
    monkeypatch.setattr(names_module, "_SCANS", 0 if request.param == "hashed" else 64)
    monkeypatch.setattr(names_module, "_BLOCK", 3)


@pytest.mark.parametrize("small, scans", [(100, 64), (0, 64), (0, 0)])
@settings(deadline=None, max_examples=50)
@given(TEXTS)
def test_names_do_what_a_tuple_does(small, scans, texts):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(names_module, "SMALL", small)
        patch.setattr(names_module, "_SCANS", scans)
        patch.setattr(names_module, "_BLOCK", 3)
        names, known = Names.of(texts), tuple(texts)
        assert names == known and known == names and hash(names) == hash(known) and list(names) == texts
        assert names[1:] == known[1:] and names[::-2] == known[::-2] and names != (*known, "x")
        for text in {*texts, "", "x"}:
            assert (text in names) == (text in known) and names.count(text) == known.count(text)
            assert names.rows_of(text) == [row for row, one in enumerate(known) if one == text]
            assert names.rows_folded(text) == Names.of(texts).rows_folded(text)
        assert names.repeated() == {one for one in known if known.count(one) > 1}
        wanted = [*texts, "no such name, for it is longer"]
        assert names.find(wanted).tolist() == [*map(texts.index, texts), -1]


def test_names_of_every_kind_of_string_and_of_slices_are_the_same(size):
    texts = ["a", "bb", "ccc", "é" * 9, "", "a"]
    whole = pa.chunked_array([["zz", *texts[:2]], texts[2:]]).slice(1)
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        names = Names(whole.cast(kind))
        assert names == tuple(texts) and names.rows_of("a") == [0, 5] and names.rows_of("é" * 9) == [3]
        assert names.take([5, 1]) == ("a", "bb") and names.repeated() == {"a"}
    assert Names(whole.chunk(1)) == tuple(texts[2:]) and Names(whole.chunk(1)).rows_of("ccc") == [0]


def test_case_and_composition_do_not_matter_where_they_are_not_asked_for(size):
    names = Names.of(["Heat", "STRASSE", "straße", "caf\u0065\u0301", "CAFÉ", "heat"])
    assert names.rows_folded("HEAT") == [0, 5] and names.rows_folded("strasse") == [1, 2]
    assert names.rows_folded("café") == [3, 4] and names.rows_folded("no") == []


def test_row_numbers_take_no_memory_and_are_found():
    names = Names.numbered(5_000_000)
    assert len(names) == 5_000_000 and names[-1] == "4999999" and names.rows_of("4999999") == [4_999_999]
    assert not names.repeated()
    assert not any(one in names for one in ("5000000", "-1", "007", "+1", "1.0", "", "²", "x"))
    assert names[10:30:10] == ("10", "20") and names[10:30:10].rows_of("20") == [1]
    assert Names.numbered(3) == ("0", "1", "2") and Names.numbered(3).array.to_pylist() == ["0", "1", "2"]
    assert Names.numbered(3) == Names.of("012") and Names.numbered(12).take([11, 3]) == ("11", "3")


def test_texts_of_one_hash_are_told_apart(monkeypatch):
    monkeypatch.setattr(names_module, "SMALL", 0)
    monkeypatch.setattr(names_module, "_SCANS", 0)
    monkeypatch.setattr(names_module, "_hashes", lambda array: np.zeros(len(array), np.uint64))
    names = Names.of(["a", "b", "c", "b"])
    assert names.rows_of("b") == [1, 3] and names.rows_of("x") == [] and names.repeated() == {"b"}
    assert names.find(["c", "x", "b", "\ud800", "a"]).tolist() == [2, -1, 1, -1, 0]


def test_half_of_a_letter_is_refused_and_never_found(size):
    with pytest.raises(UserError, match="half of a letter"):
        Names.of(["a", "\ud800"], "ids")
    assert "\ud800" not in Names.of(["a", "b"])
    assert repr(Names.of("abcd")) == "Names('a', 'b', 'c', ... 4)"
