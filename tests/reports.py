"""Small reports whose estimates are true: each is computed from the numbers of the entities."""

from dataclasses import replace

import numpy as np

from vecspeak.evaluation.report import Entity, EvaluatedSet, Measure, Report, System, TrainingExample

MEASURES = (
    Measure(key="loss", name="Loss", what="Nats a token of the true text.", better="lower"),
    Measure(key="gap", name="Swap gap", what="Nats a token lost with another vector.", better="higher"),
    Measure(key="sc", name="Semantic consistency", what="Cosine of answer and truth.", better="higher"),
    Measure(key="r10", name="R@10", what="Share found within the first ten.", better="higher"),
    Measure(key="rank", name="Median rank", what="Rank of the truth.", better="lower", statistic="median"),
)
NAMES = {
    "reader": "The reader",
    "swapped": "Another entity's vector",
    "nearest_text": "Nearest training text",
    "lm_texts": "Untouched model, nearest texts",
}
AMONG = 500


def entities(count=12, *, seed=0, gap=1.0, better=0.1, start=0):
    """Entities with one difficulty each, which all systems share, so that pairing pays."""
    rng = np.random.default_rng(seed)
    return tuple(
        _entity(number, rng.normal(0, 0.2), rng, gap, better) for number in range(start, start + count)
    )


def _entity(number, ease, rng, gap, better):
    tokens = float(rng.integers(5, 40))
    values = {}
    for system in NAMES:
        lift = {"reader": better, "swapped": -0.3}.get(system, 0.0)
        sc = 0.4 + ease + lift + rng.normal(0, 0.02)
        rank = float(max(1, round(AMONG ** (0.7 - sc))))
        values[system] = {"sc": float(sc), "rank": rank, "r10": float(rank <= 10)}
    loss = float(3 - ease + rng.normal(0, 0.02))
    own_gap = float(gap + rng.normal(0, 0.01))
    values["reader"] |= {"loss": loss, "gap": own_gap}
    values["swapped"] |= {"loss": loss + own_gap}
    return Entity(
        id=f"e{number}",
        label=f"Entity {number}",
        truth=f"the truth of {number}",
        nearest=(TrainingExample(label=f"Known {number}", text=f"a known text {number}", similarity=0.75),),
        answers={system: f"{system} says {number}" for system in NAMES},
        values=values,
        weights={"reader": {"loss": tokens, "gap": tokens}, "swapped": {"loss": tokens}},
    )


def evaluated(rows=None, **changes):
    """A set of these entities, with every estimate made from them."""
    rows = entities() if rows is None else rows
    one = EvaluatedSet(
        name="plots",
        question="Describe {x}.",
        split="held out",
        trained_on=False,
        among=AMONG,
        nearest_by="cosine, among the training items",
        flags=(),
        measures=MEASURES,
        systems=(),
        entities=tuple(rows),
    )
    one = replace(one, **changes)
    return replace(one, systems=tuple(_system(one, key) for key in NAMES))


def _system(one, key):
    found = {measure.key: (measure, one.series(key, measure.key)) for measure in one.measures}
    estimates = {
        name: series.estimate(measure.statistic) for name, (measure, series) in found.items() if series
    }
    return System(key=key, name=NAMES[key], what=f"What {key} is given.", estimates=estimates)


def report(*sets, **changes):
    """A report of the sets, or of one."""
    whole = Report(
        bundle="movies",
        made="2026-01-02T03:04:05+00:00",
        settings={"seed": 7, "sampling": {"temperature": 0.0}, "versions": ["1", "2"]},
        digests={"reader": "ab" * 32, "space": "cd" * 32, "encoder": "ef" * 32},
        sets=sets or (evaluated(),),
    )
    return replace(whole, **changes)
