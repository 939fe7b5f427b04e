"""Tokens: rows come back from the disk as they were made, and never for other inputs."""

import dataclasses

import numpy as np
import pytest
from packed import QUESTIONS

from tiny_models import tiny_reader
from vecspeak.model.prompt import PLAIN
from vecspeak.training import batching as tokens
from vecspeak.training.batching import cached_rows, make_rows, rows_key
from vecspeak.training.dataset import Example

EXAMPLES = [
    Example(task="t", question=q, rows=tuple(range(n, n + q.count("{"))), target=f"A {n}th shark.")
    for n, q in enumerate(QUESTIONS * 3)
]


@pytest.fixture(scope="module")
def reader():
    return tiny_reader()


def test_cached_rows_are_the_rows(reader, tmp_path):
    table = cached_rows(EXAMPLES, reader, tmp_path)
    wanted = make_rows(EXAMPLES, reader)
    assert len(table) == len(wanted)
    for row, other in zip(table, wanted, strict=True):
        assert row.ids.tolist() == other.ids.tolist()
        assert (row.num_prompt, row.rows) == (other.num_prompt, other.rows)
    assert [row.rows for row in table[2:4]] == [row.rows for row in wanted[2:4]]
    with pytest.raises(IndexError):
        table[len(wanted)]


def test_the_second_time_nothing_is_tokenised_and_the_file_is_mapped(reader, tmp_path, monkeypatch):
    cached_rows(EXAMPLES, reader, tmp_path)
    monkeypatch.setattr(tokens, "make_rows", None)
    table = cached_rows(EXAMPLES, reader, tmp_path)
    assert isinstance(table.ids, np.memmap)
    assert len(list(tmp_path.glob("tokens-*.npy"))) == 1


def test_whatever_changes_the_rows_changes_the_key(reader):
    adapter = tiny_reader(num_soft_tokens=3).adapter
    other_tokenizer = tiny_reader().tokenizer
    other_tokenizer.add_tokens(["shark"])
    changed = [
        dataclasses.replace(EXAMPLES[0], **{name: value})
        for name, value in (("question", "Sum up {x}."), ("target", "A dog."), ("rows", (9,)))
    ]
    keys = [
        rows_key(EXAMPLES, reader, 128),
        rows_key(EXAMPLES, reader, 64),
        rows_key(EXAMPLES[::-1], reader, 128),
        rows_key(EXAMPLES[1:], reader, 128),
        *(rows_key([one, *EXAMPLES[1:]], reader, 128) for one in changed),
        rows_key(EXAMPLES, dataclasses.replace(reader, chat=PLAIN), 128),
        rows_key(EXAMPLES, dataclasses.replace(reader, adapter=adapter), 128),
        rows_key(EXAMPLES, dataclasses.replace(reader, tokenizer=other_tokenizer), 128),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == rows_key(list(EXAMPLES), tiny_reader(), 128)


def test_a_write_that_is_cut_short_leaves_nothing_to_be_found(reader, tmp_path, monkeypatch):
    def half(file, array):
        file.write(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tokens.np, "save", half)
        with pytest.raises(KeyboardInterrupt):
            cached_rows(EXAMPLES, reader, tmp_path)
    assert list(tmp_path.glob("tokens-*")) == []
    assert len(cached_rows(EXAMPLES, reader, tmp_path)) == len(EXAMPLES)


@pytest.mark.parametrize("spoil", ["empty", "cut", "noise", "sums"])
def test_a_damaged_file_is_written_anew(tmp_path, spoil):
    examples = [
        Example(task="describe", question="Describe {x}.", rows=(i,), target="a b c " * i)
        for i in range(1, 5)
    ]
    reader = tiny_reader()
    wanted = [row.ids.tolist() for row in cached_rows(examples, reader, tmp_path)[:]]
    (path,) = tmp_path.glob("tokens-*.npy")
    content = path.read_bytes()
    spoiled = {"empty": b"", "cut": content[:-8], "noise": b"\xff" * len(content), "sums": None}[spoil]
    if spoiled is None:
        flat = np.load(path, allow_pickle=False).copy()
        flat[1] += 3
        np.save(path, flat)
    else:
        path.write_bytes(spoiled)
    assert [row.ids.tolist() for row in cached_rows(examples, reader, tmp_path)[:]] == wanted
