"""How far weighed clauses can be believed: fitted on held-out movies, judged on others, on words and on diagnoses.

    python benchmarks/clauses.py [--work work/clauses] [--count 120] [--effort normal] [--fit] [--out docs/scores]

Answers about held-out items are searched for at the given effort, and each clause is held against the item's true
text: by its content words, and by a second encoder where one is installed. With --fit the weights of the signs are
fitted on half of the movies and written into the package (src/vecspeak/assets/clauses.json); the other half judges.
Restartable: answers are kept in the work folder as they come. Writes OUT/clauses.json.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from efforts import DIAGNOSES, bundle_of
from places import out_folder
from quality import WORDS, movies_bundle

from vecspeak.api import VecSpeak
from vecspeak.clauses import WEIGHTS, ClauseModel, fit_clause_model, shipped_clause_model
from vecspeak.demo.data import SEMANTIC
from vecspeak.encoders.text import SECOND_ENCODER, Encoder, is_installed, load_encoder
from vecspeak.engines import Sampling
from vecspeak.evaluation.clause_scores import ClauseScores, judge_clauses, score_clauses
from vecspeak.evidence import Answer, Clause, ClauseSigns
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.storage import Cache, write_json
from vecspeak.tables.columns import TEXT_COLUMN

QUESTION = "Describe the movie {x}."


def held_out(vs: VecSpeak, space: str, count: int) -> list[str]:
    """Ids of items that nothing was fitted on and that have a text, in an order that the seed gives."""
    entry = vs.bundle.entry(space)
    texts = entry.space.metadata.column(TEXT_COLUMN).to_pylist()
    ids = [i for i, text in zip(entry.space.ids, texts, strict=True) if text and i in entry.splits[HOLDOUT]]
    return [ids[row] for row in np.random.default_rng(0).permutation(len(ids))[:count]]


def answers_about(
    vs: VecSpeak, space: str, ids: Sequence[str], question: str, effort: Any, tokens: int, cache: Cache
) -> list[Answer]:
    """An answer to the question about each item, its clauses with their signs; cached by item."""
    asker = vs.asker(space, words_in_prompts=True)
    keys = {i: f"{vs.bundle.manifest.files}/{space}/{question}/{effort}/{tokens}/{i}" for i in ids}
    known = cache.get_many(list(keys.values()))
    waiting = [i for i in ids if keys[i] not in known]
    for start in range(0, len(waiting), 16):
        some = waiting[start : start + 16]
        asked = [asker.prepare(question, {"x": vs.bundle.entry(space).space[i]}) for i in some]
        for i, answer in zip(
            some, asker.answer_all(asked, Sampling(max_new_tokens=tokens), effort=effort), strict=True
        ):
            value = {"text": answer.text, "clauses": [asdict(one) for one in answer.clauses]}
            cache.put({keys[i]: value})
            known[keys[i]] = value
        print(f"{space}: {start + len(some)} of {len(waiting)}", flush=True)
    return [_answer(question, known[keys[i]]) for i in ids]


def _answer(question: str, value: dict[str, Any]) -> Answer:
    clauses = tuple(msgspec.convert(one, Clause) for one in value["clauses"])
    return Answer(question=question, text=value["text"], evidence=(), clauses=clauses)


def weighed(answers: Sequence[Answer], model: ClauseModel) -> list[Answer]:
    """The same answers with the probabilities of a model."""
    found = []
    for answer in answers:
        signs = [one.signs for one in answer.clauses if one.signs is not None]
        shares = model.probabilities(signs).tolist()
        clauses = tuple(
            replace(one, probability=share) for one, share in zip(answer.clauses, shares, strict=True)
        )
        found.append(replace(answer, clauses=clauses))
    return found


def scores_of(
    vs: VecSpeak, space: str, ids: Sequence[str], answers: Sequence[Answer], second: Encoder | None
) -> ClauseScores:
    """What the probabilities of clauses are worth."""
    entry = vs.bundle.entry(space)
    truths = [entry.space.text_of(i) or "" for i in ids]
    judged = judge_clauses(answers, truths, entry.term_reader, second)
    return score_clauses([one for _, one in judged], len(answers))


def examples_of(
    vs: VecSpeak, space: str, ids: Sequence[str], answers: Sequence[Answer]
) -> tuple[list[ClauseSigns], list[bool]]:
    """Signs of the clauses that can be judged, and whether each holds."""
    entry = vs.bundle.entry(space)
    judged = judge_clauses(answers, [entry.space.text_of(i) or "" for i in ids], entry.term_reader)
    return [c.signs for c, _ in judged if c.signs], [one.holds for c, one in judged if c.signs]


def main() -> None:
    """Answer, fit where asked, judge, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("work/clauses"))
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--effort", choices=["quick", "normal", "high"], default="normal")
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument(
        "--fit", action="store_true", help="fit the weights on half of the movies and write them"
    )
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    vs = VecSpeak.load(movies_bundle(given.work).folder)
    cache = Cache(given.work / "answers.sqlite")
    second = load_encoder(SECOND_ENCODER) if is_installed(SECOND_ENCODER) else None
    ids = held_out(vs, SEMANTIC, given.count)
    answers = answers_about(vs, SEMANTIC, ids, QUESTION, given.effort, given.max_tokens, cache)
    half = len(ids) // 2
    model = shipped_clause_model()
    if given.fit:
        signs, holds = examples_of(vs, SEMANTIC, ids[:half], answers[:half])
        model = fit_clause_model(
            signs, holds, f"{half} held-out movies by their plots, effort {given.effort}"
        )
        WEIGHTS.write_bytes(msgspec.json.format(msgspec.json.encode(model)) + b"\n")
    assert model is not None, "there are no weights yet: --fit makes them"
    print(dict(zip(model.signs, np.round(model.weights, 2).tolist(), strict=True)))
    found = {"movies": scores_of(vs, SEMANTIC, ids[half:], weighed(answers[half:], model), second)}
    for name, space, longest in (("words", WORDS, 40), ("diagnoses", DIAGNOSES, 64)):
        other = VecSpeak.load(bundle_of(space, given.work))
        ids = held_out(other, space, given.count - half)
        said = answers_about(other, space, ids, "Describe {x}.", given.effort, longest, cache)
        found[name] = scores_of(other, space, ids, weighed(said, model), second)
    for name, judged in found.items():
        print(
            f"{name}: AUC {judged.auc}, calibration error {judged.calibration_error:.3f}, {judged.num_clauses} clauses"
        )
        for point in judged.curve:
            print(f"{point.coverage:.2f}  {point.precision}  {point.precision_by_second}")
    numbers = {name: msgspec.to_builtins(judged) for name, judged in found.items()}
    write_json(given.out / "clauses.json", {"effort": given.effort, "count": given.count, **numbers})


if __name__ == "__main__":
    main()
