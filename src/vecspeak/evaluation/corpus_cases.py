"""Case sets of a training recipe: its held-out texts, kinds and tasks, or what it trained on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vecspeak.encoders.text import Encoder
from vecspeak.errors import UserError
from vecspeak.evaluation.cases import (
    ENTITY_BASELINES,
    ENTITY_SCORERS,
    NUM_NEAREST,
    SHOWN,
    TRAIN,
    CaseSet,
    question_about_x,
)
from vecspeak.evaluation.report import TrainingExample
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.tasks.corpus import CORPUS_TASKS, CorpusTask, Text
from vecspeak.tasks.task_set import Keywords, opening
from vecspeak.training.dataset import TrainingTexts, held_out_kinds, held_out_tasks, prepare, prepare_texts
from vecspeak.training.recipe import Recipe

KINDS, TASKS_SPLIT = "kinds", "tasks"
SPLITS = (HOLDOUT, KINDS, TASKS_SPLIT, TRAIN)
"""Held-out texts of the kinds in training; of kinds held out; held-out tasks; and what was trained on."""
_POOL = 5000


def corpus_sets(
    recipe: Recipe, encoder: Encoder, folder: Path, *, split: str = HOLDOUT, count: int = 500, seed: int = 0
) -> list[CaseSet]:
    """The sets of one split: other texts and plots for `holdout` and `train`, else one a held-out kind or task.

    Every entity but those of `train` is held out. Raises UserError for a split that the recipe does not have.
    """
    if split not in SPLITS:
        raise UserError(
            f"no split {split!r} of a recipe; it has {', '.join(SPLITS)}", "use `split='holdout'`"
        )
    kinds, tasks = held_out_kinds(recipe), held_out_tasks(recipe)
    if (split == KINDS and not kinds) or (split == TASKS_SPLIT and not tasks):
        raise UserError(
            f"the recipe {recipe.name!r} held out no {split}",
            f'name some under [hold_out] before training, such as {split} = ["..."]',
        )
    maker = _Maker(recipe, encoder, folder, count=count, seed=seed)
    if split == KINDS:
        return [maker.cases(f"texts of kind {kind}", split, [kind]) for kind in sorted(kinds)]
    if split == TASKS_SPLIT:
        single = [CORPUS_TASKS[name] for name in sorted(tasks) if CORPUS_TASKS[name].num_slots == 1]
        if not single:
            raise UserError(
                "only tasks about two vectors were held out, and an evaluation asks about one",
                "hold out a task about one vector as well",
            )
        return [maker.task_cases(task) for task in single]
    others = [kind for kind in recipe.texts if kind != "plot" and kind not in kinds]
    named = [("texts of other kinds", others), ("movie plots", ["plot"] if "plot" in recipe.texts else [])]
    return [maker.cases(name, split, selected) for name, selected in named if selected]


class _Maker:
    """Makes cases of one recipe; its texts and vectors are opened once."""

    def __init__(self, recipe: Recipe, encoder: Encoder, folder: Path, *, count: int, seed: int) -> None:
        self.encoder = encoder
        self.count = count
        self.seed = seed
        self.data: TrainingTexts = prepare(recipe, encoder, folder)
        everything = prepare_texts(recipe, folder)
        order = np.random.default_rng(seed).permutation(len(everything))
        self.held_out = [everything[i] for i in order if everything[i].split == "held_out"]
        self.train = np.asarray(self.data.vectors)

    def cases(self, name: str, split: str, kinds: Sequence[str]) -> CaseSet:
        """Texts of these kinds, asked to be described."""
        question = "Describe the movie {x}." if list(kinds) == ["plot"] else "Describe {x}."
        rows = [row for row, text in enumerate(self.data.texts) if text.kind in kinds]
        np.random.default_rng(self.seed).shuffle(rows)
        if split == TRAIN:
            texts = [self.data.texts[row] for row in rows[: self.count]]
            vectors, filling = self.train[rows[: self.count]], rows[self.count :]
        else:
            wanted = [text for text in self.held_out if text.kind in kinds]
            texts, filling = wanted[: self.count], rows
            vectors = self.encoder.encode([text.text for text in texts], progress=True)
        pool = np.concatenate([vectors, self.train[filling[: max(0, _POOL - len(texts))]]])
        return self._made(name, split, question, texts, vectors, [text.target for text in texts], pool)

    def task_cases(self, task: CorpusTask) -> CaseSet:
        """A task that training never asked, of texts that it never saw."""
        keywords = Keywords.fit((text.text for text in self.data.texts), min_count=20)
        pairs = ((text, task.target((text,), keywords)) for text in self.held_out)
        retained = [(text, target) for text, target in pairs if target][: self.count]
        texts = [text for text, _ in retained]
        vectors = self.encoder.encode([text.text for text in texts], progress=True)
        targets = [str(target) for _, target in retained]
        return self._made(
            f"task {task.name}", TASKS_SPLIT, task.wordings[0], texts, vectors, targets, pool=None
        )

    def _made(
        self,
        name: str,
        split: str,
        question: str,
        texts: list[Text],
        vectors: np.ndarray,
        truths: list[str],
        pool: np.ndarray | None,
    ) -> CaseSet:
        if len(texts) < 5:
            raise UserError(
                f"{name}: only {len(texts)} texts to evaluate on; at least 5 are needed",
                "choose another split",
            )
        near = self._near(vectors, own=split == TRAIN)
        of_texts = pool is not None
        known = [
            tuple(TrainingExample(label=t.title, text=opening(t.text, SHOWN), similarity=s) for t, s in row)
            for row in near
        ]
        return CaseSet(
            name=name,
            question=question_about_x(question),
            split=split,
            trained_on=split == TRAIN,
            ids=[f"{text.source}/{text.key}/{text.kind}/{row}" for row, text in enumerate(texts)],
            labels=[text.title for text in texts],
            inputs=vectors[:, None],
            mean_input=self.train.mean(0),
            truths=[(text.text,) for text in texts] if of_texts else [(truth,) for truth in truths],
            contexts=[(text.text,) for text in texts],
            neighbors=[(one,) for one in known],
            nearest_truths=[row[0].text for row in known],
            nearest_by="cosine, among all training texts",
            training_texts=[text.text for text in self.data.texts] if of_texts else [],
            baselines=ENTITY_BASELINES,
            scorers=ENTITY_SCORERS,
            context_chars=2 * SHOWN,
            truth=vectors if of_texts else self.encoder.encode(truths),
            mean_truth=self.train.mean(0),
            pool=pool,
        )

    def _near(self, vectors: np.ndarray, *, own: bool) -> list[list[tuple[Text, float]]]:
        """The nearest training texts of each vector; for a training text not itself."""
        found = []
        skipped = 1 if own else 0
        for block in np.array_split(vectors, max(1, len(vectors) // 256)):
            scores = block @ self.train.T
            best = np.argpartition(-scores, NUM_NEAREST + skipped)[:, : NUM_NEAREST + skipped]
            for row, indices in enumerate(best):
                order = indices[np.argsort(-scores[row, indices])][skipped:]
                found.append([(self.data.texts[i], float(scores[row, i])) for i in order])
        return found
