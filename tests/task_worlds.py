"""Grounds for tests of tasks: the tiny world of word pairs, with users and ratings, and answers without a model."""

import dataclasses

import numpy as np
import pyarrow as pa

import worlds
from fakes import WORDS, NearestEngine
from vecspeak.encoders.factorization import Ratings
from vecspeak.evaluation.evaluate import Models
from vecspeak.evaluation.task_cases import TaskSelection, evaluation_data, plan_tasks, select_tasks, tastes_of
from vecspeak.model.alignment import Alignment
from vecspeak.spaces import Space
from vecspeak.tasks.examples import is_held_out_person
from vecspeak.tasks.task_set import load_task_set

ENCODER = worlds.ENCODER
MOVIES = load_task_set("movies")
TEXTS = [f"It is about a {pair} and about nothing else." for pair in worlds.PAIRS]
PEOPLE = [f"u{number}" for number in range(150)]
OUT = [person for person in PEOPLE if is_held_out_person(person)]


class Still:
    """An engine that ignores vectors: a question always gets one answer."""

    name = "still"

    def answers(self, prompts, sampling):
        for number, prompt in enumerate(prompts):
            yield number, "ghost " + " ".join(part for part in prompt if isinstance(part, str))[-20:]


class Counted:
    """Any engine, with the prompts of every call kept."""

    name = "counted"

    def __init__(self, engine):
        self.engine, self.calls = engine, []

    def answers(self, prompts, sampling):
        self.calls.append(list(prompts))
        yield from self.engine.answers(prompts, sampling)


class Retelling:
    """An base model that repeats the end of what it was told."""

    name = "retelling"

    def answers(self, prompts, sampling):
        yield from enumerate(prompt[0].partition("\n\n")[0][-60:] for prompt in prompts)


def taste(person):
    """Each person likes one word and dislikes the next."""
    number = PEOPLE.index(person) % len(WORDS)
    return WORDS[number], WORDS[(number + 1) % len(WORDS)]


def ratings():
    """Five stars for what holds the liked word, fewer for the disliked one, three for the rest."""
    rows = [
        (person, f"p{row}", 5.0 if taste(person)[0] in pair else 2.5 if taste(person)[1] in pair else 3.0)
        for person in OUT
        for row, pair in enumerate(worlds.PAIRS)
    ]
    people, items, values = (np.array(column, dtype=object) for column in zip(*rows, strict=True))
    return Ratings(user_ids=people, item_ids=items, values=values.astype(np.float32))


def entry(*, users=True):
    """The word pairs, with people who lie where what they like lies."""
    kinds = pa.array([pair.split() for pair in worlds.PAIRS], type=pa.list_(pa.string()))
    space = dataclasses.replace(
        worlds.space(), vectors=ENCODER.encode(TEXTS), metadata=pa.table({"text": TEXTS, "genres": kinds})
    )
    vectors = ENCODER.encode([f"{taste(person)[0]} {person}" for person in PEOPLE])
    made = Space(name="pairs.users", ids=tuple(PEOPLE), labels=tuple(PEOPLE), vectors=vectors)
    alignment = Alignment(dim=ENCODER.dim, encoder_dim=ENCODER.dim)
    return worlds.entry(space=space, users=made if users else None, alignment=alignment)


def cases(*names, users=True, rated=True, split="holdout", **wanted):
    """A plan of these tasks of the movies set, or of all."""
    made = entry(users=users)
    tastes = tastes_of(made, MOVIES, MOVIES.task("user_profile"), ratings()) if users and rated else None
    ground = evaluation_data(made, ENCODER, split=split, seed=0, tastes=tastes)
    return plan_tasks(ground, TaskSelection(tasks=select_tasks(MOVIES, names or ["all"]), **wanted))


def models(reader=None, second=None):
    """A reader that answers with the text whose vector is nearest to the first that it reads."""
    return Models(
        engines={"reader": reader or NearestEngine(TEXTS, ENCODER), "base": Retelling()},
        encoder=ENCODER,
        second=second,
        key="tiny",
    )
