"""Articles that people view: what `fit` sees in vectors of views, and in the same with shuffled texts.

    python benchmarks/views.py [--out docs/scores/views.json]

1,500 of the shipped movies stand for articles; vectors of their plots by all-MiniLM-L6-v2 are the texts' vectors. 1,200
made-up readers have one to three interests each, and open articles near them or that many open: 2 to 30, some eight,
so that most articles have a handful of views. The articles' own vectors are factors of these views alone. Twenty random
tenths are held out in turn, with the texts in their places and shuffled: how the right text is ranked, with the mean
text taken off and as it is, and how often the verdict is that nothing shows. A few minutes of one core, no network.
Writes numbers, no text.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

from vecspeak import Space
from vecspeak.encoders.factorization import Ratings, factorize
from vecspeak.model.alignment import fit_alignment, unit
from vecspeak.model.map_scores import held_out_report, verdict
from vecspeak.stats import estimate
from vecspeak.storage import write_json

ARTICLES, READERS, VIEWS, SHARPNESS = 1500, 1200, 8, 6.0
TRIES, SHARE = 20, 0.1
WORLDS = {"some eight views a reader": VIEWS, "some four views a reader": VIEWS // 2}


def viewed(views: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """[N, D] vectors by views, [N, T] vectors of the texts, [N] numbers of views."""
    draw = np.random.default_rng(seed)
    texts = unit(Space.from_pretrained().vectors)
    texts = texts[draw.choice(len(texts), ARTICLES, replace=False)]
    said = unit(texts - texts.mean(0))
    popular = draw.permutation(1 / np.arange(1, ARTICLES + 1) ** 0.8)
    readers, articles = [], []
    for reader in range(READERS):
        interests = said[draw.choice(ARTICLES, draw.integers(1, 4))]
        wish = popular * np.exp(SHARPNESS * (said @ interests.T).max(1))
        count = int(np.clip(draw.geometric(1 / views), 2, 30))
        opened = draw.choice(ARTICLES, count, replace=False, p=wish / wish.sum())
        readers += [f"r{reader}"] * count
        articles += [f"a{article}" for article in opened]
    seen = Ratings(user_ids=readers, item_ids=articles, values=np.ones(len(readers), np.float32))
    items = factorize(seen).items
    rows = [int(item[1:]) for item in items.ids]
    return items.vectors, texts[rows], np.array(items.metadata["num_ratings"].to_pylist())


def scores(vectors: np.ndarray, texts: np.ndarray, counts: np.ndarray, seed: int) -> dict[str, Any]:
    """The report on a held-out tenth of a map from the others."""
    out = np.random.default_rng(seed).random(len(vectors)) < SHARE
    fit = fit_alignment(vectors, texts, selected_rows=np.flatnonzero(~out))
    assert fit.alignment.offset is not None
    return held_out_report(fit, vectors[out], texts[out], fit.alignment.offset, counts[out])


def summary(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean over the tries with intervals, and how often nothing is shown."""
    keys = ("median_rank_percent", "centered_median_rank_percent", "recall_at_10", "centered_recall_at_10")
    found: dict[str, Any] = {key: _plain(np.array([one[key] for one in reports])) for key in keys}
    found["nothing_shows"] = sum("NOTHING SHOWS" in verdict(one) for one in reports)
    groups = sorted({(one["least"], one["most"] or 0) for report in reports for one in report["by_count"]})
    found["by_count"] = [
        {
            "least": least,
            "most": most or None,
            "centered_median_rank_percent": _plain(
                np.array(
                    [
                        one["centered_median_rank_percent"]
                        for report in reports
                        for one in report["by_count"]
                        if one["least"] == least
                    ]
                )
            ),
        }
        for least, most in groups
    ]
    return found


def _plain(values: np.ndarray) -> dict[str, float]:
    found = estimate(values)
    return {name: round(float(getattr(found, name)), 3) for name in ("value", "low", "high")}


def main() -> None:
    """Make the worlds, measure, and write the numbers."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("docs/scores/views.json"))
    given = parser.parse_args()
    started = time.process_time()
    made: dict[str, Any] = {"tries": TRIES}
    for name, views in WORLDS.items():
        vectors, texts, counts = viewed(views)
        shuffled = [np.random.default_rng(100 + seed).permutation(len(texts)) for seed in range(TRIES)]
        made[name] = {
            "articles": len(vectors),
            "views": int(counts.sum()),
            "median_views": float(np.median(counts)),
            "right": summary([scores(vectors, texts, counts, seed) for seed in range(TRIES)]),
            "shuffled": summary(
                [scores(vectors, texts[order], counts, seed) for seed, order in enumerate(shuffled)]
            ),
        }
    write_json(given.out, made)
    print(f"{given.out}: {time.process_time() - started:.0f} CPU seconds")


if __name__ == "__main__":
    main()
