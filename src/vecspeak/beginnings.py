"""How an answer begins: what is asked decides it, so that a question is answered and its subject not only described.

A small language model that is asked about a vector tells what the vector is, whatever was asked. Where its answer has
to go on from "It is not for people who", it says who should leave it alone. The beginnings are those of the tasks of
the set `questions`; which question means which task is read from its words.
"""

import re
from functools import cache

from vecspeak.tasks.task_set import load_task_set

SET = "questions"
_NOUN = r"(?:hero(?:ine)?|protagonist|(?:main|central|leading) (?:character|person|figure))"
_MEANT = (
    ("ending", r"^how (?:does|did|will) .*\bend\b|\b(?:at|in) the end\b|\bending\b"),
    ("first", r"^how (?:does|did) .*\b(?:begin|start)\b|\bhappens? first\b|\bsets? .*\bgoing\b|\bstarts? it all\b"),
    ("sequel", r"\bsequel\b|\bsecond part\b|\bgo on\b|\bcome (?:after|next)\b"),
    ("sell", r"\bsell\b|\badverti[sz]|\btag ?line\b|\bslogan\b|\bposter\b"),
    ("stakes", r"\bat stake\b|\b(?:be|get) lost\b|^what hangs on\b|^why does it matter\b"),
    ("avoid", r"^(?:who|whom|what (?:kind|sort)|which (?:people|person)).*\b(?:not|n['’]t|never|avoid|skip|hate|dislike|"
     r"warn|stay away|leave alone|wrong (?:for|with))\b"),
    ("audience", r"^(?:who|whom)(?: else)? (?:should|would|could|might|may|can|will|likes?|enjoys?|loves?|needs?|wants?|uses?|buys?)\b"
     r"|^(?:who|whom) is .*\bfor\b|^(?:what|which) (?:(?:kind|sort) of )?(?:people|person|audience|readers?|viewers?|users?)\b"),
    ("goal", rf"^what (?:does|do|is|are) .*\b{_NOUN}\b.*\b(?:want|after|hope|seek|try|need)|^what .*\bgoal\b"),
    ("who", rf"^who (?:is|are) .*\b{_NOUN}|^who(?:m)? (?:is|are) .*\babout\b|^who(?:m)? (?:do|does) (?:we|one|it) follow\b"),
    ("conflict", r"\bconflict|\bfought over\b|\bagainst whom\b|\bfight about\b"),
    ("weakness", r"^why .*\b(?:not|n['’]t|never|nobody|no one)\b|\bcriticiz|\bcriticis|\bwrong with\b|\bweak(?:ness|nesses)?\b|\bhold against\b|\bflaws?\b|\bdownsides?\b"),
    ("trouble", r"\bgoes wrong\b|\bproblems?\b(?!.*\bsolve)|\bdangers?\b|\btrouble\b|\bthreat"),
    ("mood", r"\bmoods?\b|\btone\b|\batmosphere\b|^how (?:does|do) .*\bfeel\b|\bdark or light\b|\bfunny or sad\b"),
    ("lesson", r"\blearn\b|\bmoral\b|\bmessage\b|\blesson\b|\bteach"),
    ("setting", r"^where\b|^in (?:what|which) (?:place|country|city|town|world|era)\b|^(?:what|which) places?\b|\bsetting\b"),
    ("kind", r"^(?:what|which) (?:kind|sort|type) of\b|^how would you class"),
    ("subject", r"\b(?:subject|topic|theme)s?\b|\bdeals? with\b|\bconcerned with\b"),
    ("reason", r"^why (?:would|should|might|do|is|does)\b|\bworth\b|\bspeaks for\b|\bmakes? .*\b(?:special|different|interesting)\b"),
)  # fmt: skip
"""Names of tasks, and what a question has that means them; the first that fits counts."""
_LISTED = re.compile(
    r"(?:list|name|write|give me (?:\w+ )?(?:two|three|four|five|\d+)|which (?:two|three|four|five|\d+)|is|are|does|do|did|has|can)\b",
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
    return next((_starts()[task] for task, is_meant in _patterns() if is_meant.search(asked)), "")


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((task, re.compile(pattern, re.IGNORECASE)) for task, pattern in _MEANT)


@cache
def _starts() -> dict[str, str]:
    return {name: task.start for name, task in load_task_set(SET).tasks.items()}
