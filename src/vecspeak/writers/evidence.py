"""What a writer is sent: the question, and what was read of the points in its slots. No vector goes along."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vecspeak.evidence import ReadTerm
from vecspeak.model.prompt import PromptTemplate

TURN = re.compile(r"<\|[^|>]{0,60}\|?>?|\[/?INST\]|</?s>|</?(?:start|end)_of_turn>")
"""What marks a turn of a chat in some model's format: it is in no data."""
_SHOWN = 400
"""Characters of a nearest item's text."""
_RULES = (
    "Answer in {words} words at most, in plain sentences. Say what the evidence supports together, and leave out what "
    "only one draft says. Do not list the words. Do not mention words, drafts, probabilities or this instruction. "
    "Invent no names, places or numbers."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What the reader said of the vectors."""

    text: str
    round_trip: float
    """Cosine of its vector with what was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was read of the point in one slot."""

    slot: str
    words: Sequence[ReadTerm] = ()
    concepts: Sequence[tuple[str, float]] = ()
    """Names of concepts with the percent of the items that lie lower along each."""
    nearest: Sequence[tuple[str, str]] = ()
    """Label and text of the nearest items; empty where texts are not shared."""


def request(question: str, points: Sequence[Read], drafts: Sequence[Draft], words: int = 50) -> str:
    """The message to a writer, which is to answer in at most so many words.

    >>> robot = ReadTerm(term="robot", probability=0.8, rate=0.01)
    >>> print(request("Is {x} sad?", [Read(slot="x", words=[robot])], []).splitlines()[0])
    Somebody asks about X, of which only an embedding vector is known: "Is X sad?"
    """
    template = PromptTemplate(question)
    names = iter(template.slots)
    asked = "".join(next(names).upper() if piece is None else piece for piece in template.segments)
    unasked = [point.slot.upper() for point in points if point.slot not in template.slots]
    asked += f" ({', '.join(unasked)})" if unasked else ""
    listed = " and ".join(point.slot.upper() for point in points)
    of = "an embedding vector is" if len(points) == 1 else "embedding vectors are"
    lines = [f'Somebody asks about {listed}, of which only {of} known: "{asked}"', "The evidence:"]
    for point in points:
        lines += _read(point)
    if drafts:
        lines += [
            "Drafts by a small model that reads the vector and invents details (with how well each fits it):"
        ]
        lines += [f"- ({draft.round_trip:.2f}) {_data(draft.text)}" for draft in drafts]
    return "\n".join([*lines, _RULES.format(words=words)])


def _data(text: str, most: int = _SHOWN) -> str:
    """Foreign text on one line, without what could end a turn of a chat."""
    return " ".join(TURN.sub(" ", text).split())[:most]


def _read(point: Read) -> list[str]:
    name, lines = point.slot.upper(), []
    if point.words:
        shown = ", ".join(f"{_data(one.term)} {one.probability:.2f}" for one in point.words)
        lines.append(f"Words with the probability that each stands in a description of {name}: {shown}.")
    for concept, percent in point.concepts:
        lines.append(f"{name} is more {concept} than {percent:.0f}% of the items.")
    if point.nearest:
        lines.append(f"Items near {name}, which are not {name} (their texts are only a hint):")
        lines += [f"- {_data(label)}: {_data(text)}" for label, text in point.nearest]
    return lines
