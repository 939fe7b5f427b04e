"""Names of regions, made from one half of each region's items and judged on the other half.

    pip install the second encoder as `make quality` does, then
    python benchmarks/names.py demo/movies.bundle [BUNDLE ...] [--only SPACE ...] [--seeds 2] [--out docs/scores]

Every space with texts of the bundles is cut as `vecspeak atlas` cuts it by k-means, with its coarser levels. Systems:
`names` (vecspeak's), `before` (what they were before they were ranked among all regions), `c-TF-IDF` (BERTopic's
weights: the first three words, and the first four as BERTopic shows them, English stop words left out, and with stop
words, its default) and `another's` (vecspeak's names, each given to the next region). Measured on the other half:

    coverage   share of a region's items that have at least one of the name's terms (a whole word, its plural, a value)
    precision  of the items with a term the share that is in the region, were all regions equally large
    auc        how often an item of the region has more of the terms than an item of another one, ties counting half
    first      whether no other region's items have more of the terms on average
    judged     whether the second encoder's vector of the name lies nearer to the mean vector of the region's texts,
               cut to 32 tokens as `inversion.py` does (whose cache is taken where it lies in the work folder), than to
               that of any other (cosine, less the mean over all names); `rank` is the mean of 1 / its place

Numbers are means over regions with 95% intervals over regions, seeds averaged first. Writes OUT/names.json.
"""

import argparse
import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from inversion import cut, opening_tokenizer
from names_before import names_before
from places import out_folder

from vecspeak.bundles import load_bundle
from vecspeak.bundles.lexicons import texts_of
from vecspeak.encoders.text import SECOND_ENCODER, CachedVectors, Encoder, load_encoder
from vecspeak.explore.contrast import Facts, contrast
from vecspeak.explore.names import name_regions
from vecspeak.points.queries import coded_values
from vecspeak.spaces import Space
from vecspeak.spaces.clusters import Clusters, cluster_space
from vecspeak.spaces.search import unit_rows
from vecspeak.stats import Series, difference
from vecspeak.storage import Cache, read_json, write_json

JUDGED_TEXTS = 40
"""Items of each region that the second encoder may read: those of them that are in the judging half."""
MEASURES = ("coverage", "precision", "auc", "first", "judged", "rank")
Named = list[tuple[str, list[str]]]
"""Of each region its name and the terms in it."""


class Halves:
    """A space whose items are halved region by region."""

    def __init__(self, space: Space, clusters: Clusters, seed: int) -> None:
        draw = np.random.default_rng(seed)
        first = [
            draw.permutation(clusters.rows_of(number))[: max(1, clusters.sizes[number] // 2)]
            for number in range(clusters.num_regions)
        ]
        self.space, self.clusters = space, clusters
        self.named = np.sort(np.concatenate(first))
        self.judging = np.setdiff1d(np.flatnonzero(clusters.labels >= 0), self.named)

    @property
    def half(self) -> Clusters:
        """The regions with the items that names are made from alone."""
        labels = self.clusters.labels[self.named]
        vectors = self.space.vectors[self.named]
        means = [vectors[labels == number].mean(0) for number in range(self.clusters.num_regions)]
        return dataclasses.replace(self.clusters, labels=labels, centroids=np.stack(means))


def groups_of(clusters: Clusters) -> list[np.ndarray]:
    """[K] the group of each region on every level, the finest last."""
    return [*(level.parents for level in clusters.levels), np.arange(clusters.num_regions)]


def by_weights(texts: Sequence[str], groups: np.ndarray, count: int, stop_words: str | None) -> Named:
    """BERTopic's names: the `count` words of highest c-TF-IDF of each group's texts taken together."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(stop_words=stop_words)
    joined = [
        " ".join(text for text, group in zip(texts, groups.tolist(), strict=True) if group == one)
        for one in range(groups.max() + 1)
    ]
    found = vectorizer.fit_transform(joined).astype(float)
    shares = found.multiply(1 / np.maximum(found.sum(1), 1)).tocsr()
    weights = shares.multiply(np.log(1 + found.sum(1).mean() / np.asarray(found.sum(0)))).toarray()
    words = vectorizer.get_feature_names_out()
    best = [[str(words[place]) for place in np.argsort(-row)[:count]] for row in weights]
    return [(", ".join(terms), terms) for terms in best]


class Judge:
    """What says on the other half whether a name fits."""

    def __init__(self, halves: Halves, texts: Sequence[str], encoder: Encoder) -> None:
        self.clusters, self.tokenizer = halves.clusters, opening_tokenizer()
        self.rows, self.labels = halves.judging, halves.clusters.labels[halves.judging]
        self.texts = [texts[row].casefold() for row in self.rows.tolist()]
        self.encoder, self.values, self._has = encoder, values_of(halves.space, self.rows), {}
        self.means = np.stack([self._mean(number, texts) for number in range(halves.clusters.num_regions)])

    def _mean(self, region: int, texts: Sequence[str]) -> np.ndarray:
        """[T] mean vector of the openings of a region's texts, of the same items for every seed."""
        whole = np.flatnonzero(self.clusters.labels == region)
        pool = np.random.default_rng(region).permutation(whole)[:JUDGED_TEXTS]
        some = [row for row in np.intersect1d(pool, self.rows).tolist() if texts[row]]
        return self.encoder.encode([cut(texts[row], self.tokenizer) for row in some] or ["none"]).mean(0)

    def has(self, term: str) -> np.ndarray:
        """[M] whether an item has a term."""
        if term in self.values:
            return self.values[term]
        if term not in self._has:
            pattern = re.compile(rf"(?<!\w){re.escape(term.casefold())}(?:s|es)?(?!\w)")
            self._has[term] = np.array([bool(pattern.search(text)) for text in self.texts])
        return self._has[term]

    def measures(self, named: Named, parents: np.ndarray) -> np.ndarray:
        """[G, 6] the measures of each group's name."""
        groups, count = parents[self.labels], len(named)
        sizes = np.bincount(groups, minlength=count)
        means = np.stack([self.means[parents == group].mean(0) for group in range(count)])
        similar = unit_rows(self.encoder.encode([text for text, _ in named])) @ unit_rows(means).T
        similar -= similar.mean(0)
        found = []
        for group, (_, terms) in enumerate(named):
            counts = (
                np.sum([self.has(term) for term in terms], axis=0) if terms else np.zeros(len(groups), int)
            )
            shares = np.zeros((count, 8))
            np.add.at(shares, (groups, counts), 1)
            shares /= sizes[:, None]
            having, average = 1 - shares[:, 0], shares @ np.arange(8)
            outside = np.delete(shares, group, axis=0).mean(0)
            auc = (shares[group] * (outside.cumsum() - outside / 2)).sum()
            place = 1 + (similar[group] > similar[group, group]).sum()
            found.append(
                [
                    having[group],
                    having[group] / max(having.sum(), 1e-12),
                    auc,
                    average[group] >= average.max() and average[group] > 0,
                    place == 1,
                    1 / place,
                ]
            )
        return np.array(found, dtype=float)


def values_of(space: Space, rows: np.ndarray) -> dict[str, np.ndarray]:
    """[M] by value whether an item has it."""
    found: dict[str, np.ndarray] = {}
    for name in space.metadata.column_names:
        coded = None if name in ("text", "split") else coded_values(space.metadata.column(name))
        if coded is not None:
            items, codes, values = coded
            for code, value in enumerate(values):
                has = np.zeros(space.num_items, dtype=bool)
                has[items[codes == code]] = True
                found.setdefault(value, has[rows])
    return found


def systems_of(halves: Halves, texts: Sequence[str]) -> list[dict[str, Named]]:
    """Of each level, the finest last, every system's names from the first half."""
    space, half = halves.space.take(halves.named), halves.half
    facts, own = Facts.from_space(space), [texts[row] for row in halves.named.tolist()]
    ours = name_regions(space, half, facts=facts)
    found = []
    for parents, names in zip(groups_of(half), (*ours.levels, ours.regions), strict=True):
        groups = parents[half.labels]
        named = [(one.text, list(one.terms)) for one in names]
        contrasts = [contrast(facts, np.flatnonzero(groups == group)) for group in range(len(names))]
        found.append(
            {
                "names": named,
                "before": names_before(contrasts),
                "c-TF-IDF, 3 words": by_weights(own, groups, 3, "english"),
                "c-TF-IDF, 4 words": by_weights(own, groups, 4, "english"),
                "c-TF-IDF, with stop words": by_weights(own, groups, 4, None),
                "another's": named[1:] + named[:1],
            }
        )
    return found


def measured(space: Space, encoder: Encoder, seeds: int) -> dict[str, Any]:
    """All systems on one space, level by level."""
    clusters, texts = cluster_space(space, "kmeans"), texts_of(space)
    by_level: dict[str, dict[str, list[np.ndarray]]] = {}
    letters: dict[str, dict[str, list[float]]] = {}
    unique: dict[str, dict[str, list[float]]] = {}
    examples: dict[str, dict[str, list[str]]] = {}
    for seed in range(seeds):
        halves = Halves(space, clusters, seed)
        judge = Judge(halves, texts, encoder)
        for parents, systems in zip(groups_of(clusters), systems_of(halves, texts), strict=True):
            level = f"{parents.max() + 1} regions"
            for system, named in systems.items():
                names = [text for text, _ in named]
                by_level.setdefault(level, {}).setdefault(system, []).append(judge.measures(named, parents))
                letters.setdefault(level, {}).setdefault(system, []).append(
                    float(np.mean([*map(len, names)]))
                )
                unique.setdefault(level, {}).setdefault(system, []).append(len(set(names)) / len(names))
                examples.setdefault(level, {}).setdefault(system, names)
        print(f"{space.name}: seed {seed} done", flush=True)
    return {
        level: {
            system: {
                **estimates(np.mean(runs, axis=0)),
                "letters": float(np.mean(letters[level][system])),
                "unique": float(np.mean(unique[level][system])),
                "names_less": {
                    measure: dataclasses.astuple(gain)
                    for place, measure in enumerate(MEASURES)
                    if (gain := difference(column(systems["names"], place), column(runs, place))) is not None
                },
                "examples": examples[level][system],
            }
            for system, runs in systems.items()
        }
        for level, systems in by_level.items()
    }


def column(runs: list[np.ndarray], place: int) -> Series:
    """One measure of each region, seeds averaged."""
    return Series(np.mean(runs, axis=0)[:, place])


def estimates(values: np.ndarray) -> dict[str, Any]:
    """Each measure with its interval over regions."""
    found = {}
    for place, measure in enumerate(MEASURES):
        one = Series(values[:, place]).estimate()
        assert one is not None, "regions count"
        found[measure] = dataclasses.astuple(one)
    return found


def main() -> None:
    """Measure every space with texts of the bundles."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--only", nargs="+", default=[], help="spaces, of which the others stay as they were")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--work", type=out_folder, default="work/names")
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    encoder = load_encoder(SECOND_ENCODER)
    path = given.out / "names.json"
    found: dict[str, Any] = read_json(path)["spaces"] if given.only and path.is_file() else {}
    with Cache(given.work / "vectors.sqlite") as cache:
        judge = CachedVectors(encoder, cache, key=encoder.digest)
        for folder in given.bundles:
            for name, entry in load_bundle(folder).entries.items():
                if any(texts_of(entry.space)) and name in (given.only or [name]):
                    found[name] = measured(entry.space, judge, given.seeds)
    write_json(path, {"seeds": given.seeds, "judge": SECOND_ENCODER, "spaces": found})
    for name, levels in found.items():
        for level, systems in levels.items():
            for system, one in systems.items():
                shown = ", ".join(f"{measure} {one[measure][0]:.2f}" for measure in MEASURES)
                print(f"{name}, {level}, {system}: {shown}, {one['letters']:.0f} letters")


if __name__ == "__main__":
    main()
