"""Oddities: the odd items of a space as a result, in groups that a person can act on."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from markupsafe import Markup

from vecspeak.display import LABEL, element, folded, table, to_frame
from vecspeak.errors import check_path, shorten
from vecspeak.foreign import shown, write_csv
from vecspeak.storage import replace_file

_LETTERS = 110
"""Of a text that are printed."""
_SHOWN = 10
"""Groups of a kind that are printed."""
_ITEMS = 20
"""Items of a group that a page lists."""
LEAST_POWER = 0.1
"""Share of what was planted that must be found for "nothing found" to say something."""
COLUMNS = ("kind", "group", "set", "row", "id", "label", "score", "note", "text", "near")


@dataclass(frozen=True, slots=True, kw_only=True)
class OddItem:
    """An item with what is odd about it."""

    row: int
    """In the space, from 0."""
    id: str
    label: str
    score: float
    """How odd: standard deviations below or beyond what is usual; of a copy the cosine with the nearest of its set."""
    note: str
    """What is odd, in a few words."""
    text: str
    """The beginning of its text; empty where it has none."""
    near: tuple[str, ...]
    """Labels of its nearest items; of a copy those of its set."""
    set: int = 0
    """Number of the set that an item belongs to: of one vector, of one exchange, of one run; 0 for none."""

    def __str__(self) -> str:
        parts = [f"{shorten(self.label, LABEL)} ({shorten(self.id, LABEL)}): {self.note}"]
        parts += [f'"{shorten(self.text, _LETTERS)}"'] if self.text else []
        parts += [f"near {self.near_in_short}"] if self.near else []
        return shown("; ".join(parts))

    @property
    def near_in_short(self) -> str:
        """Labels of its nearest items, each cut."""
        return "; ".join(shorten(one, LABEL) for one in self.near)


@dataclass(frozen=True, slots=True, kw_only=True)
class OddGroup:
    """Odd items that have something in common."""

    name: str
    reason: str
    """Why they are odd, and what to do, in a sentence."""
    items: tuple[OddItem, ...]
    """Worst first."""
    over_represented: tuple[str, ...] = ()
    """Values and words that they have more often than all others, at a false discovery rate of 5%; often none."""
    read: tuple[str, ...] = ()
    """Words that the lexicon reads from the mean of their vectors."""

    @property
    def example(self) -> OddItem:
        """The item to look at: the worst."""
        return self.items[0]

    @property
    def num_sets(self) -> int:
        """Sets that its items are in."""
        return len({one.set for one in self.items} - {0})

    @property
    def lines(self) -> tuple[str, ...]:
        """How many and why, the words, and the item to look at."""
        sets = f" in {self.num_sets:,} sets" if self.num_sets > 1 else ""
        found = [f"  {self.name}: {len(self.items):,} item{'s' * (len(self.items) > 1)}{sets}: {self.reason}"]
        if self.over_represented:
            found.append(f"    more often than others: {', '.join(self.over_represented)}")
        if self.read:
            found.append(f"    read from their mean: {', '.join(self.read)}")
        return (*found, f"    look at {self.example}")

    def __str__(self) -> str:
        return "\n".join(map(shown, self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class OddKind:
    """One kind of oddity: what was found, and how much that is worth."""

    kind: str
    """`texts`, `copies`, `labels` or `outliers`."""
    groups: tuple[OddGroup, ...]
    """Worst first."""
    num_items: int
    """Items that were looked at; 0 where nothing could be."""
    control: str
    """What the same rule finds where something was planted, or what it would take to be found."""
    figures: dict[str, float]
    """The numbers of `control`, by name."""

    @property
    def num_found(self) -> int:
        """Items in its groups, each once."""
        return len({one.row for group in self.groups for one in group.items})

    @property
    def is_found_where_planted(self) -> bool:
        """Whether a tenth of what was planted is found, or all is compared exactly."""
        planted = [self.figures[one] for one in ("of_shuffled", "of_random") if one in self.figures]
        return "embedded_again" in self.figures or all(one >= LEAST_POWER for one in planted)

    @property
    def lines(self) -> tuple[str, ...]:
        """What was found beside the control, and the groups."""
        if not self.num_items:
            return (f"{self.kind}: not looked at: {self.control}",)
        what = f"{self.num_found:,} of {self.num_items:,} items"
        if not self.groups:
            what = "NOTHING FOUND" if self.is_found_where_planted else "NOTHING COULD BE FOUND"
        found = [f"{self.kind}: {what}", f"  control: {self.control}"]
        for group in self.groups[:_SHOWN]:
            found += group.lines
        if len(self.groups) > _SHOWN:
            more = self.groups[_SHOWN:]
            rest = len({one.row for group in more for one in group.items})
            found.append(f"  and {len(more):,} more groups with {rest:,} items")
        return tuple(found)

    def __str__(self) -> str:
        return "\n".join(map(shown, self.lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddities:
    """The odd items of a space, by kind."""

    how_to_read: ClassVar[str] = (
        "Each rule has a false discovery rate of 5% over all items. The control says what the same rule finds of what "
        "was planted: texts and values given to other items, random directions. Nothing found is an answer only where "
        "that is much. Words of a group are those that its items have more often than all others."
    )

    space: str
    num_items: int
    """Of the space."""
    num_asked: int
    """Items that were looked at: fewer in a large space."""
    kinds: tuple[OddKind, ...]

    def kind(self, name: str) -> OddKind:
        """The kind of that name. Raises KeyError for one that was not asked for."""
        return {one.kind: one for one in self.kinds}[name]

    @property
    def heading(self) -> str:
        """What was asked."""
        return f"Odd items of {self.space}"

    @property
    def num_found(self) -> int:
        """Odd items, each once."""
        return len({item.row for _, _, item in self._items()})

    @property
    def lines(self) -> tuple[str, ...]:
        """How many, and the lines of each kind."""
        asked = "" if self.num_asked == self.num_items else f" ({self.num_asked:,} of them were looked at)"
        head = f"{self.space}: {self.num_found:,} of {self.num_items:,} items are odd{asked}"
        return head, *(line for one in self.kinds for line in one.lines)

    def __str__(self) -> str:
        return "\n".join(map(shown, self.lines))

    def __repr__(self) -> str:
        return f"Oddities({self.space!r}, {self.num_found:,} of {self.num_items:,} items)"

    def _repr_html_(self) -> Markup:
        """Each kind with its control, and its groups with their items folded away."""
        parts = [element("p", self.lines[0])]
        for one in self.kinds:
            parts.append(element("p", element("strong", one.lines[0])))
            parts.append(element("small", *one.lines[1:2]))
            for group in one.groups:
                rows = [
                    [
                        shorten(item.label, LABEL),
                        shorten(item.id, LABEL),
                        item.note,
                        shorten(item.text, _LETTERS),
                        item.near_in_short,
                    ]
                    for item in group.items[:_ITEMS]
                ]
                more = len(group.items) - len(rows)
                words = ", ".join(group.over_represented or group.read)
                inside = (
                    element("p", group.reason)
                    + element("p", words)
                    + table(["item", "id", "what", "text", "near"], rows)
                    + element("small", f"and {more:,} more" if more else "")
                )
                parts.append(folded(f"{group.name}: {len(group.items):,}", inside))
        return element("div", *parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, every item of every group among them."""
        found = asdict(self) | {"num_found": self.num_found}
        for one, given in zip(found["kinds"], self.kinds, strict=True):
            one["num_found"] = given.num_found
        return found

    def rows(self) -> list[dict[str, Any]]:
        """A row for each item of each group, in the order of the groups."""
        return [
            {
                **asdict(item),
                "kind": kind,
                "group": group,
                "near": "; ".join(item.near),
            }
            for kind, group, item in self._items()
        ]

    def to_pandas(self) -> Any:
        """The rows as a frame. Raises UserError where pandas is not installed."""
        return to_frame({name: row[name] for name in COLUMNS} for row in self.rows())

    def write(self, path: str | Path) -> int:
        """Write the rows as a table that a spreadsheet may open; how many there are."""
        with replace_file(check_path("path", path)) as temporary:
            return write_csv(temporary, [COLUMNS, *([row[name] for name in COLUMNS] for row in self.rows())])

    def _items(self) -> Iterator[tuple[str, str, OddItem]]:
        for one in self.kinds:
            for group in one.groups:
                for item in group.items:
                    yield one.kind, group.name, item
