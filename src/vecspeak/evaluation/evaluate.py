"""Evaluate: run a reader over cases and score it. Answers are kept as they come, so that a stopped run goes on.

Knows readers, cases and metrics. Prints nothing.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from vecspeak.embedders.semantic import Encodes
from vecspeak.engines import Sampling
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.evaluation.cases import Cases
from vecspeak.evaluation.metrics import Consistency, Retrieval, SwapGap, consistency, retrieval, swap_gap
from vecspeak.model import Reader
from vecspeak.prompts import PromptTemplate
from vecspeak.training.batches import collate, make_row
from vecspeak.training.data import Example

REPORT_VERSION = 1
_BATCH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Everything measured on one set of cases."""

    name: str
    count: int
    question: str
    nearest_by: str
    swap_gap: SwapGap
    semantic_consistency: Consistency
    retrieval: Retrieval
    examples: tuple[dict[str, Any], ...]
    """Ten answers at random beside the truth, with their consistency."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"report_version": REPORT_VERSION, **asdict(self)}


def losses(reader: Reader, cases: Cases, vectors: np.ndarray, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Summed loss of each target in nats, and its tokens, when the question is asked of the given vectors."""
    examples = [Example(task="", question=cases.question, rows=(0,), target=text) for text in cases.targets]
    rows = [make_row(example, reader, max_answer=256) for example in examples]
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda i: len(rows[i].ids))
    for start in tqdm(range(0, len(rows), _BATCH), desc=label, unit="batch"):
        indices = order[start : start + _BATCH]
        batch = collate([rows[i] for i in indices], reader.stop_ids[0])
        with torch.inference_mode():
            sums_B, counts_B = reader.answer_losses(
                batch.ids_BT.to(reader.device),
                batch.labels_BT.to(reader.device),
                torch.from_numpy(vectors[indices]).to(reader.device),
            )
        sums[indices], counts[indices] = sums_B.cpu().numpy(), counts_B.cpu().numpy()
    return sums, counts


def answer(reader: Reader, cases: Cases, keep: Path | None, *, key: str, sampling: Sampling) -> list[str]:
    """An answer for each case; those already in `keep` under the same key are not made again."""
    marks = [_mark(key, cases.question, sampling, vector) for vector in cases.read]
    known = _read_kept(keep)
    missing = [i for i, mark in enumerate(marks) if mark not in known]
    engine = TransformersEngine(reader, batch_size=_BATCH)
    template = PromptTemplate(cases.question)
    for start in tqdm(range(0, len(missing), _BATCH), desc="answering", unit="batch"):
        indices = missing[start : start + _BATCH]
        texts = engine.generate([template.fill({"x": cases.read[i]}) for i in indices], sampling)
        made = {marks[i]: text for i, text in zip(indices, texts, strict=True)}
        known |= made
        if keep:
            with keep.open("a", encoding="utf-8") as file:
                file.writelines(json.dumps([mark, text]) + "\n" for mark, text in made.items())
    return [known[mark] for mark in marks]


def _mark(key: str, question: str, sampling: Sampling, vector: np.ndarray) -> str:
    parts = f"{key}/{question}/{sampling}".encode() + vector.astype(np.float32).tobytes()
    return hashlib.sha256(parts).hexdigest()[:24]


def _read_kept(keep: Path | None) -> dict[str, str]:
    """Kept answers; a last line that a kill cut short is passed over."""
    known: dict[str, str] = {}
    if keep and keep.exists():
        for line in keep.read_text(encoding="utf-8").splitlines():
            try:
                mark, text = json.loads(line)
            except ValueError:
                continue
            known[mark] = text
    return known


def evaluate(
    reader: Reader,
    cases: Cases,
    encoder: Encodes,
    *,
    key: str = "",
    keep: Path | None = None,
    sampling: Sampling | None = None,
) -> Scores:
    """All metrics of a reader on cases. `key` names the weights, so that kept answers of others are not used."""
    right, tokens = losses(reader, cases, cases.read, "loss, right vectors")
    swapped, _ = losses(reader, cases, np.roll(cases.read, 1, axis=0), "loss, swapped vectors")
    answers = answer(reader, cases, keep, key=key, sampling=sampling or Sampling())
    vectors = encoder.encode([text or "(no answer)" for text in answers])
    return Scores(
        name=cases.name,
        count=len(answers),
        question=cases.question,
        nearest_by=cases.nearest_by,
        swap_gap=swap_gap(right, swapped, tokens),
        semantic_consistency=consistency(vectors, cases.truth, cases.nearest_text),
        retrieval=retrieval(vectors, cases.pool, cases.nearest_text),
        examples=_examples(cases, answers, (vectors * cases.truth).sum(1)),
    )


def _examples(cases: Cases, answers: Sequence[str], scores: np.ndarray) -> tuple[dict[str, Any], ...]:
    drawn = np.random.default_rng(0).permutation(len(answers))[:10].tolist()
    return tuple(
        {"label": cases.labels[i], "answer": answers[i], "consistency": round(float(scores[i]), 3)}
        for i in drawn
    )


def flat_scores(scores: Scores) -> dict[str, dict[str, float]]:
    """The three numbers that a manifest carries."""
    return {
        "swap_gap": asdict(scores.swap_gap.gap),
        "semantic_consistency": asdict(scores.semantic_consistency.answer),
        "retrieval": asdict(scores.retrieval.recall_at_10),
    }
