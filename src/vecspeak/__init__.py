"""vecspeak: ask any embedding vector a question in plain language.

>>> from vecspeak import Space, VecSpeak
>>> vs = VecSpeak.from_pretrained()
>>> vs.fit(Space.from_parquet("items.parquet", id="sku", label="title", vector="embedding", text="description"))
>>> print(vs.ask("Describe {x}.", x="Blue rain jacket"))

Importing this package loads neither torch nor a language model: each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing takes 5 ms, in which the command line could not yet answer Ctrl-C
if TYPE_CHECKING:
    from typing import Any

    from vecspeak.api import VecSpeak
    from vecspeak.engines import Sampling
    from vecspeak.errors import UserError
    from vecspeak.evaluation.report import Report
    from vecspeak.evidence import Answer, Answers, Evidence, Neighbor
    from vecspeak.points import Concept, Point
    from vecspeak.spaces import Space
    from vecspeak.stats import Estimate
    from vecspeak.tasks.task_set import Task, TaskSet
    from vecspeak.training.recipe import Recipe

__version__ = "0.1.0"

_HOMES = {
    "Answer": "evidence",
    "Answers": "evidence",
    "Concept": "points",
    "Estimate": "stats",
    "Evidence": "evidence",
    "Neighbor": "evidence",
    "Point": "points",
    "Recipe": "training.recipe",
    "Report": "evaluation.report",
    "Sampling": "engines",
    "Space": "spaces",
    "Task": "tasks.task_set",
    "TaskSet": "tasks.task_set",
    "UserError": "errors",
    "VecSpeak": "api",
}
"""Module of each public name."""

__all__ = [
    "Answer",
    "Answers",
    "Concept",
    "Estimate",
    "Evidence",
    "Neighbor",
    "Point",
    "Recipe",
    "Report",
    "Sampling",
    "Space",
    "Task",
    "TaskSet",
    "UserError",
    "VecSpeak",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'vecspeak' has no attribute {name!r}")
    found = getattr(import_module(f"vecspeak.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
