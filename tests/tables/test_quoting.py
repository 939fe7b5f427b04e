"""Quotation marks are found block by block as they are found in the whole file."""

import random
from pathlib import Path

import pytest

from vecspeak.errors import UserError
from vecspeak.tables import quoting
from vecspeak.tables.ledger import Ledger
from vecspeak.tables.quoting import find_quoting, has_one_width

PARTS = ['"', '"', '""', "a", "bc", ",", ",", "\n", "\r\n", '\\"', "\\", "\t", '"x"', '"x\ny"', "é"]


def found(text, sep):
    try:
        return find_quoting(Path("t.csv"), text.encode(), sep, Ledger())
    except UserError as error:
        return str(error)


def brute_width(text, sep):
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    widths = {line.count(sep) for line in lines if line}
    return len(widths) == 1 and widths != {0}


@pytest.mark.parametrize("seed", range(150))
def test_blocks_find_what_the_whole_finds(seed, monkeypatch):
    draw = random.Random(seed)
    text = "".join(draw.choice(PARTS) for _ in range(draw.randrange(1, 60)))
    if draw.random() < 0.5:  # well formed, as most files are
        rows = [
            [draw.choice(["a", '"b"', '"c,d"', '"e\nf"', '"g""h"', '"i\\"j"', ""]) for _ in range(3)]
            for _ in range(6)
        ]
        text = "\n".join(map(",".join, rows)) + draw.choice(["", "\n"])
    whole = {sep: (found(text, sep), has_one_width(text.encode(), sep)) for sep in ",\t"}
    assert all(width == brute_width(text, sep) for sep, (_, width) in whole.items())
    for block in (1, 2, 3, 7):
        monkeypatch.setattr(quoting, "_BLOCK", block)
        assert {sep: (found(text, sep), has_one_width(text.encode(), sep)) for sep in ",\t"} == whole
