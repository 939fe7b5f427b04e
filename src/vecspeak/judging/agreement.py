"""Agreement: how far raters of the same items agree beyond chance. Knows ratings only, not who or what rates."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from vecspeak.errors import require

Level = Literal["ordinal", "nominal"]


def krippendorff_alpha(
    ratings: Mapping[str, Mapping[str, float | str]], level: Level = "ordinal"
) -> float | None:
    """Krippendorff's alpha: 1 is perfect agreement, 0 is chance, below 0 is worse than chance.

    `ratings` is by rater and item; a rater may have left items out. Ordinal ratings are numbers, of which the
    order alone counts; nominal ones may be words. Items that a single rater rated count nothing. None where
    alpha is not defined: fewer than two raters share items, or all that they share has one and the same rating.
    Raises ValueError for ordinal ratings that are not numbers, UserError where the package is missing.
    """
    by_item: dict[str, dict[str, float | str]] = {}
    for rater, given in ratings.items():
        for item, value in given.items():
            by_item.setdefault(item, {})[rater] = value
    shared = [given for given in by_item.values() if len(given) > 1]
    values = {value for given in shared for value in given.values()}
    if level == "ordinal" and any(isinstance(value, str) for value in values):
        raise ValueError("ordinal ratings must be numbers; words can only be compared as nominal ratings")
    if len(values) < 2:
        return None
    codes = {value: code for code, value in enumerate(sorted(values, key=_order))}
    table = [[codes[given[r]] if r in given else np.nan for given in shared] for r in sorted(ratings)]
    return float(require("krippendorff", "judge").alpha(table, level_of_measurement=level))


def _order(value: float | str) -> tuple[bool, float, str]:
    return (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")
