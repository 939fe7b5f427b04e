"""How an answer begins: what is asked decides it, so that a question is answered and its subject not only described.

A small language model that is asked about a vector tells what the vector is, whatever was asked. Where its answer has
to go on from "It is not for people who", it says who should leave it alone. The beginnings are those of the tasks of
the set `questions`; which question means which task is read from its words.
"""

import re
from functools import cache

from vecspeak.tasks.task_set import load_task_set

SET = "questions"
_HERO = r"\b(?:hero(?:ine)?|protagonist|(?:main|central|leading) (?:character|person|figure))"
_PEOPLE = r"^(?:who|whom|(?:what|which) (?:(?:kind|sort) of )?(?:people|persons?|readers?|viewers?|users?|audience))\b"
_MEANT = {
    "ending": (r"^how (?:does|did|will) .*\bend\b", r"\b(?:at|in) the end\b", r"\bending\b"),
    "first": (
        r"^how (?:does|did) .*\b(?:begin|start)\b",
        r"\bhappens? first\b",
        r"\bsets? .*\bgoing\b",
        r"\bstarts? it all\b",
    ),
    "sequel": (r"\bsequel\b", r"\bsecond part\b", r"\bgo on\b", r"\bcome (?:after|next)\b"),
    "sell": (r"\bsell\b", r"\badverti[sz]", r"\btag ?line\b", r"\bslogan\b", r"\bposter\b"),
    "stakes": (r"\bat stake\b", r"\b(?:be|get) lost\b", r"^what hangs on\b", r"^why does it matter\b"),
    "avoid": (
        rf"{_PEOPLE}.*\b(?:not|n['’]t|never|avoid|skip|hate|dislike|warn|stay away|leave alone|wrong (?:for|with))\b",
    ),
    "audience": (
        rf"{_PEOPLE}(?: else)? (?:should|would|could|might|may|can|will)\b",
        rf"{_PEOPLE} (?:likes?|enjoys?|loves?|needs?|wants?|uses?|buys?)\b",
        rf"{_PEOPLE} (?:is|are) .*\bfor\b",
    ),
    "goal": (
        rf"^what (?:does|do|is|are) .*{_HERO}\b.*\b(?:want|after|hope|seek|try|need)",
        r"^what .*\bgoal\b",
    ),
    "who": (
        rf"^who (?:is|are) .*{_HERO}",
        r"^whom? (?:is|are) .*\babout\b",
        r"^whom? (?:does|do) (?:we|one|it) follow\b",
    ),
    "conflict": (r"\bconflict", r"\bfought over\b", r"\bagainst whom\b", r"\bfight about\b"),
    "weakness": (
        r"^why .*\b(?:not|n['’]t|never|nobody|no one)\b",
        r"\bcritici[sz]",
        r"\bwrong with\b",
        r"\bweak(?:ness|nesses)?\b",
        r"\bhold against\b",
        r"\bflaws?\b",
        r"\bdownsides?\b",
    ),
    "trouble": (
        r"\bgoes wrong\b",
        r"\bproblems?\b(?!.*\bsolve)",
        r"\bdangers?\b",
        r"\btrouble\b",
        r"\bthreat",
    ),
    "mood": (r"\bmoods?\b", r"\btone\b", r"\batmosphere\b", r"^how (?:does|do) .*\bfeel\b"),
    "lesson": (r"\blearn\b", r"\bmoral\b", r"\bmessage\b", r"\blesson\b", r"\bteach"),
    "setting": (
        r"^where\b",
        r"^in (?:what|which) (?:place|country|city|town|world|era)\b",
        r"^(?:what|which) places?\b",
        r"\bsetting\b",
    ),
    "kind": (r"^(?:what|which) (?:kind|sort|type) of\b",),
    "subject": (r"\b(?:subject|topic|theme)s?\b", r"\bdeals? with\b", r"\bconcerned with\b"),
    "reason": (
        r"^why (?:would|should|might|do|is|does)\b",
        r"\bworth\b",
        r"\bspeaks for\b",
        r"\bmakes? .*\b(?:special|different|interesting)\b",
    ),
}
"""What questions have that mean a task, by its name; the first that fits counts."""
_LISTED = re.compile(
    r"(?:list|name|write|(?:give me|which) (?:\w+ )?(?:two|three|four|five|\d+)|is|are|does|do|did|has|can)\b",
    re.IGNORECASE,
)
"""How questions begin that want a list, a text of their own form, or yes or no."""


def beginning_of(question: str) -> str:
    """How an answer to the question begins; empty for a question that none of the set's tasks means.

    >>> beginning_of("Which people should skip {x}?")
    'It is not for people who'
    >>> beginning_of("Describe {x}.")
    ''
    """
    asked = question.strip()
    if _LISTED.match(asked):
        return ""
    return next((_starts()[task] for task, is_meant in _patterns().items() if is_meant.search(asked)), "")


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {task: re.compile("|".join(some), re.IGNORECASE) for task, some in _MEANT.items()}


@cache
def _starts() -> dict[str, str]:
    return {name: task.start for name, task in load_task_set(SET).tasks.items()}
