"""Findings: what was read from vectors, the grade that follows from it, and the table for a data protection assessment.

A figure is held against the stronger of two others: what can be said without the vector (base rate) and what the same
attack says of another item's vector (shuffled control). Its advantage is the share of the way from there to 1, at the
low end of the 95% interval: below 0.1 there are traces, from 0.1 it is readable in part, from 0.5 readable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from markupsafe import Markup

from vecspeak.display import bar, bullets, element, table, to_frame
from vecspeak.errors import UserError, check_path
from vecspeak.explore.contrast import LEVEL
from vecspeak.explore.leaks.targets import ANY, NotMeasured
from vecspeak.foreign import shown, write_csv
from vecspeak.stats import Estimate
from vecspeak.storage import replace_file

Verdict = Literal["nothing found", "traces", "readable in part", "readable"]
Grade = Literal["A", "B", "C", "D", "F"]
GRADES: dict[Grade, str] = {
    "A": "nothing found",
    "B": "traces",
    "C": "the content is readable in part",
    "D": "the content is readable, or details in part",
    "F": "details or whole texts are readable",
}
ENCODER = "encoder"
"""What the attack is called that embeds candidates itself."""
_PART, _READABLE = 0.1, 0.5
"""Advantage from which on something is readable in part, and readable."""
_DETAILS = frozenset(("names", "numbers", "dates", "addresses", "whole texts", "attribute", "ratings"))
"""Kinds that point at persons, or at one item: they weigh more in the grade than what a text is about."""
CANNOT_SHOW = (
    "other attacks: a network trained on many more pairs, or a generator of texts, may read more",
    "models that come later, which will read more from the same vectors",
    "what follows from these vectors together with other data about the same items or persons",
    "what stands in texts in forms that no pattern here counts, and columns that were not measured",
    "nothing about single items: a figure is of all, and one item may be read better than the others",
    "no reading found is no proof that there is none",
)
_HEAD = 16
COLUMNS = (
    "kind of data", "readable?", "measured how", "base rate", "shuffled", "measured", "95% interval", "items",
    "held out by",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReading:
    """What one attack read of one kind of data, over the items that it had no data of."""

    kind: str
    """`words`, `names`, `numbers`, `dates`, `addresses`, `column`, `attribute`, `whole texts`, `ratings`."""
    name: str
    """The column, or which part of the kind."""
    attack: str
    measure: str
    measured: Estimate
    base: float
    """What can be said without the vector."""
    shuffled: float
    """The same attack given another item's vector."""
    beyond: Estimate
    """Measured minus the stronger of these two, paired by items."""
    q: float
    """False discovery rate, over all readings of the report, at which this would just count as found."""
    num_items: int
    examples: tuple[str, ...] = ()
    """Terms that are read best, with their AUC."""
    detail: str = ""
    held_out_by: str = ""
    """What is never on both sides; empty for what the report names."""

    @property
    def title(self) -> str:
        """Such as `column genres` or `whether there are dates`."""
        if self.name == ANY:
            return f"whether there are {self.kind}"
        return f"{self.kind}{', ' if self.kind == 'whole texts' and self.name else ' '}{self.name}".strip()

    @property
    def is_found(self) -> bool:
        """Whether more is read than by chance and than without the vector, of all items or of single terms."""
        return self.q < LEVEL

    @property
    def advantage(self) -> float:
        """Share of the way from the stronger of base rate and control to 1, at the low end of the interval."""
        room = 1 - (self.measured.value - self.beyond.value)
        return max(self.beyond.low, 0.0) / room if self.is_found and room > 0 else 0.0

    @property
    def verdict(self) -> Verdict:
        """By the advantage."""
        if not self.is_found:
            return "nothing found"
        if self.advantage < _PART:
            return "traces"
        return "readable in part" if self.advantage < _READABLE else "readable"

    @property
    def is_detail(self) -> bool:
        """Whether it points at persons or at one item, and not only at what a text is about."""
        return self.kind in _DETAILS and self.name != ANY

    @property
    def reason(self) -> str:
        """In a few words, as the grade is reasoned."""
        nothing = self.measured.value - self.beyond.value
        return f"{self.title}: {self.verdict} ({self.attack}: {self.measured:.2f}, {nothing:.2f} would be nothing)"

    def __str__(self) -> str:
        return f"{self.reason}; {self.measure}"


def best_of(readings: Iterable[LeakReading]) -> list[LeakReading]:
    """For each kind of data the reading that measured most, in the order in which they come; what is found first."""
    found: dict[str, LeakReading] = {}
    for one in readings:
        known = found.get(one.title)
        if known is None or _strength(one) > _strength(known):
            found[one.title] = one
    return list(found.values())


def _strength(one: LeakReading) -> tuple[bool, bool, float]:
    return one.is_found, one.advantage > 0, one.measured.value


def graded(readings: Sequence[LeakReading]) -> Grade:
    """A to F by the worst reading: details that are readable in part weigh as content that is readable.

    Whether a text has a name or a date at all counts as a trace.
    """
    content = [
        0.0 if one.name == ANY else one.advantage for one in readings if one.is_found and not one.is_detail
    ]
    details = [one.advantage for one in readings if one.is_found and one.is_detail]
    most, worst = max(content, default=-1.0), max(details, default=-1.0)
    if worst >= _READABLE:
        return "F"
    if worst >= _PART or most >= _READABLE:
        return "D"
    if most >= _PART:
        return "C"
    return "B" if content or details else "A"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionResult:
    """What a form of the vectors costs, and what it hides."""

    name: str
    bytes_each: int
    neighbours: Estimate
    """Share of the ten nearest items that stay."""
    grade: Grade
    readings: tuple[LeakReading, ...]
    """Of each kind of data the one that measured most."""

    @property
    def grade_without_encoder(self) -> Grade:
        """The grade where the attacker does not have the encoder."""
        return graded([one for one in self.readings if one.attack != ENCODER])

    def value(self, title: str) -> float | None:
        """What was measured of a kind of data; None where that was not measured."""
        return next((one.measured.value for one in self.readings if one.title == title), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """What somebody who gets the vectors of a space can read from them."""

    how_to_read: ClassVar[str] = (
        "Only what was measured above both the base rate (what can be said without the vector) and the same attack's "
        "figure for another item's vector was read from the vector. The attacker has other items' vectors and data, "
        "and is measured on items that it has no data of. Traces: less than a tenth of the way from there to 1; "
        "readable: half of it or more. A grade says how readable the vectors are, not how bad that is."
    )

    space: str
    num_items: int
    num_pairs: int
    """Items whose data the attacker is assumed to have."""
    num_held_out: int
    num_all: int
    """Items of the space; more than pairs and held-out items where it was sampled."""
    held_out_by: str
    encoder: str
    """The encoder that the attacker is assumed to have; empty for none."""
    grade: Grade
    reasons: tuple[str, ...]
    readings: tuple[LeakReading, ...]
    """Every attack's, of every kind of data."""
    not_measured: tuple[NotMeasured, ...]
    protections: tuple[ProtectionResult, ...]
    assumed: tuple[str, ...]
    """What the attacker is assumed to have and to do."""
    cannot_show: tuple[str, ...] = field(default=CANNOT_SHOW)

    @property
    def grade_without_encoder(self) -> Grade:
        """The grade where the attacker does not have the encoder."""
        return graded([one for one in self.readings if one.attack != ENCODER])

    @property
    def best(self) -> tuple[LeakReading, ...]:
        """Of each kind of data the reading that measured most."""
        return tuple(best_of(self.readings))

    @property
    def heading(self) -> str:
        """What was asked."""
        return f"What the vectors of {self.space} give away"

    @property
    def lines(self) -> tuple[str, ...]:
        """What a person reads first: the grade, each kind of data, protections, and what is not shown."""
        missing = [f"  {one.name}: {one.reason}" for one in self.not_measured]
        return (
            f"{self.space}: {self._graded()}",
            *(f"  {one}" for one in self.reasons),
            *self.assumed,
            "",
            *_sheet(self.best),
            *(["not measured", *missing] if missing else []),
            *self._curve(),
            "what this cannot show",
            *(f"  {one}" for one in self.cannot_show),
        )

    def _graded(self) -> str:
        without = (
            f"; for an attacker without {self.encoder} {self.grade_without_encoder}" if self.encoder else ""
        )
        return f"GRADE {self.grade}, {GRADES[self.grade]}{without}"

    def _curve(self) -> list[str]:
        if not self.protections:
            return []
        titles = self._titles()
        width = max(len(one.name) for one in self.protections)
        heads = "  ".join(f"{_head(title):>{_HEAD}}" for title in titles)
        grade = self._grade_head()
        found = ["", f"{'':{width + 2}}  {grade}  {'bytes':>6}  neighbours that stay   {heads}"]
        for one in self.protections:
            cells = "  ".join(f"{_cell(one.value(title)):>{_HEAD}}" for title in titles)
            stay = f"{_line(one.neighbours.value):<12} {one.neighbours.value:>7.0%}"
            grades = f"{self._grades(one):<{len(grade)}}"
            found.append(f"  {one.name:{width}}  {grades}  {one.bytes_each:>6,}  {stay}   {cells}")
        return [*found, ""]

    def _grade_head(self) -> str:
        return f"grade{' (no encoder)' if self.encoder else ''}"

    def _grades(self, one: ProtectionResult) -> str:
        return f"{one.grade} ({one.grade_without_encoder})" if self.encoder else one.grade

    def _titles(self) -> list[str]:
        """The kinds of data that the table of protections has: four at most, those with the largest advantage."""
        some = sorted(self.protections[0].readings, key=lambda one: -one.advantage)[:4]
        return [one.title for one in self.protections[0].readings if one in some]

    def __str__(self) -> str:
        return "\n".join(map(shown, self.lines))

    def __repr__(self) -> str:
        return f"Leaks({self.space!r}, grade {self.grade})"

    def _repr_html_(self) -> Markup:
        """The grade with its reasons, the table, the protections, and what is not shown."""
        titles = self._titles() if self.protections else []
        forms = (
            [
                one.name,
                self._grades(one),
                f"{one.bytes_each:,}",
                bar(one.neighbours.value, f"{one.neighbours.value:.0%}"),
                *(bar(one.value(title) or 0.0, _cell(one.value(title))) for title in titles),
            ]
            for one in self.protections
        )
        return element(
            "div",
            element("p", f"{self.space}: ", element("strong", self._graded())),
            bullets(self.reasons),
            bullets(self.assumed),
            element("p", self._same) if self._same else "",
            table(*self._sheet()),
            table(["not measured", "why"], [[one.name, one.reason] for one in self.not_measured])
            if self.not_measured
            else "",
            table(["vectors", self._grade_head(), "bytes", "neighbours that stay", *titles], forms)
            if titles
            else "",
            element("p", "What this cannot show"),
            bullets(self.cannot_show),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        found = asdict(self) | {"grade_without_encoder": self.grade_without_encoder}
        for values, one in zip(found["readings"], self.readings, strict=True):
            values |= _judged(one)
        for values, protection in zip(found["protections"], self.protections, strict=True):
            values["grade_without_encoder"] = protection.grade_without_encoder
            for inner, one in zip(values["readings"], protection.readings, strict=True):
                inner |= _judged(one)
        return found

    def to_pandas(self) -> Any:
        """A frame with a row for each kind of data and attack. Raises UserError where pandas is not installed."""
        return to_frame(
            {
                "kind": one.kind,
                "name": one.name,
                "attack": one.attack,
                "verdict": one.verdict,
                "measure": one.measure,
                "measured": one.measured.value,
                "low": one.measured.low,
                "high": one.measured.high,
                "base": one.base,
                "shuffled": one.shuffled,
                "advantage": one.advantage,
                "q": one.q,
                "num_items": one.num_items,
                "held_out_by": one.held_out_by or self.held_out_by,
            }
            for one in self.readings
        )

    def _rows(self) -> list[list[str]]:
        """The table for a data protection assessment, in the order of COLUMNS."""
        return [
            [
                one.title,
                one.verdict,
                f"{one.measure}; {one.attack}",
                f"{one.base:.2f}",
                f"{one.shuffled:.2f}",
                f"{one.measured.value:.2f}",
                f"[{one.measured.low:.2f}, {one.measured.high:.2f}]",
                f"{one.num_items:,}",
                one.held_out_by or self.held_out_by,
            ]
            for one in self.best
        ]

    @property
    def _same(self) -> str:
        """What the column of what is held out by says in every row; empty where rows differ."""
        held_out = {one.held_out_by or self.held_out_by for one in self.best}
        return f"Every line is held out by {held_out.pop()}" if len(held_out) == 1 else ""

    def _sheet(self) -> tuple[Sequence[str], list[list[str]]]:
        """Heads and rows as a person reads them: without the last column where it is the same in all."""
        if not self._same:
            return COLUMNS, self._rows()
        return COLUMNS[:-1], [row[:-1] for row in self._rows()]

    def to_markdown(self) -> str:
        """The report as Markdown: grade, reasons, assumptions, the table, protections, what is not shown."""
        titles = self._titles() if self.protections else []
        forms = [
            [
                one.name,
                self._grades(one),
                f"{one.bytes_each:,}",
                f"{one.neighbours.value:.0%} [{one.neighbours.low:.0%}, {one.neighbours.high:.0%}]",
                *(_cell(one.value(title)) for title in titles),
            ]
            for one in self.protections
        ]
        missing = [[one.name, one.reason] for one in self.not_measured]
        parts = [
            [f"# {_plain(self.heading)}", f"{_plain(self._graded())}."],
            _bullets(self.reasons),
            ["## What the attacker is assumed to have", *_bullets(self.assumed)],
            [
                "## What was read",
                *([f"{_plain(self._same)}."] if self._same else []),
                *_table(*self._sheet()),
            ],
            ["## Not measured", *_table(["what", "why"], missing)] if missing else [],
            [
                "## Protected",
                *_table(["vectors", self._grade_head(), "bytes", "neighbours that stay", *titles], forms),
            ]
            if forms
            else [],
            ["## What this cannot show", *_bullets(self.cannot_show)],
        ]
        return "\n\n".join("\n\n".join(part) for part in parts if part) + "\n"

    def write(self, path: str | Path) -> Path:
        """Write the report, whole or not at all: Markdown (.md), or the table alone (.csv).

        Raises UserError for another ending and where the file cannot be written.
        """
        path = check_path("path", path)
        check_ending(path)
        with replace_file(path) as beside:
            if path.suffix.casefold() == ".csv":
                write_csv(beside, [COLUMNS, *self._rows()])
            else:
                beside.write_text(self.to_markdown(), encoding="utf-8", errors="replace")
        return path


def check_ending(path: Path) -> None:
    """Raise UserError for a file that is neither Markdown nor CSV."""
    if path.suffix.casefold() not in (".md", ".csv"):
        raise UserError(f"a report is a file .md or .csv, got {path.name!r}", "name it such as leaks.md")


def _sheet(readings: Sequence[LeakReading]) -> list[str]:
    """The readings in columns, the terms that are read best below each."""
    width = max((len(one.title) for one in readings), default=0)
    found = [f"{'':{width}}  {'readable?':<17}  {'measured':<18}  {'base':>5}  {'other':>5}  how"]
    for one in readings:
        found.append(
            f"{one.title:{width}}  {one.verdict:<17}  {one.measured:.2f}  {one.base:5.2f}  {one.shuffled:5.2f}  "
            f"{one.measure}; {one.attack}"
        )
        more = "; ".join(filter(None, [one.detail, ", ".join(one.examples)]))
        found += [f"{'':{width}}    {more}"] if more else []
    return found


def _judged(one: LeakReading) -> dict[str, Any]:
    return {"title": one.title, "verdict": one.verdict, "advantage": one.advantage, "is_found": one.is_found}


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _head(title: str) -> str:
    """A title in the width of a column: of a long one its end tells it from others."""
    return title if len(title) <= _HEAD else f"…{title[1 - _HEAD :]}"


def _line(share: float) -> str:
    return "█" * round(12 * min(max(share, 0.0), 1.0))


def _bullets(sentences: Iterable[str]) -> list[str]:
    lines = "\n".join(f"- {_plain(one)}" for one in sentences)
    return [lines] if lines else []


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return ["\n".join("| " + " | ".join(map(_plain, line)) + " |" for line in lines)]


def _plain(text: str) -> str:
    """Foreign text as one line of Markdown that is neither a tag, a link nor a cell's end."""
    return "".join(f"\\{letter}" if letter in r"\|<>[]`*_" and letter else letter for letter in shown(text))
