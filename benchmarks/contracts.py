"""What users and their scripts rely on, recorded from one checkout and held against another.

    python benchmarks/contracts.py --source CHECKOUT/src --python .venv/bin/python --out before
    python benchmarks/contracts.py --source OTHER/src --python .venv/bin/python --out after
    python benchmarks/contracts.py --compare before after

A recording runs a fixed list of commands, those that the README and the docs show and a handful of mistakes, on the
demo's bundle and on small tables made here with a fixed seed. Of each it keeps, as OUT/records/NAME.json, the
arguments, the exit status, what was printed, the last line of stderr, every JSON that was printed or written, and
the names and digests of the files. Seconds, dates, versions and absolute paths are replaced by their names. The
commands work in OUT/work and prepare their models in OUT/cache. Restartable: what is recorded already is not run
again, except with --again. Of the demo's data, MovieLens' ratings are looked for beside the given python.

A comparison fails (status 1) where an option or a command is gone, an exit status is another, a key of some JSON is
gone, or a number differs by more than --tolerance. Texts and files that differ are shown and fail nothing.
"""

import argparse
import csv
import difflib
import hashlib
import json
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from places import out_folder

CASES = """
demo              demo --out demo
embed-january     space embed january.csv --id sku --label title --text description --json \
                  --out january.parquet
embed-july        space embed july.csv --id sku --label title --text description --json --out july.parquet
factorize         space factorize ratings.csv --user user --item item --rating rating --dim 8 \
                  --labels january.csv --id sku --label title --out films.parquet
space-info        space info january.parquet --json
space-neighbours  space neighbours january.parquet "Blue rain jacket"
fit               fit items.parquet FIT --out shop.bundle
fit-json          fit items.parquet FIT --json --out json.bundle
fit-saved         fit january.parquet --out january.bundle
fit-films         fit films.parquet --text description --out films.bundle
ask               ask shop.bundle ASK JACKET
ask-movie         ask demo/movies.bundle SEM ASK --json --at 'x="Heart"'
ask-two           ask shop.bundle "What do {x} and {y} have in common?" --at 'x=id("B0042")' \
                  --at 'y=id("B0043")' --json
ask-best-of       ask shop.bundle ASK JACKET --best-of 3 --seed 1 --json
ask-path          ask shop.bundle ASK --at 'x=between("Blue rain jacket", "Red scarf") steps 3'
ask-path-json     ask shop.bundle ASK --json --at 'x=between("Blue rain jacket", "Red scarf") steps 3'
ask-task          ask shop.bundle --task pitch WORDS JACKET --json
ask-neighbour     ask shop.bundle --task difference_from_neighbour JACKET
ask-concept       ask demo/movies.bundle SEM ASK --json --at 'x="Heart" + 12*horror'
ask-centroid      ask demo/movies.bundle SEM ASK --json --at 'x=centroid(genres = "Horror")'
ask-cluster       ask demo/movies.bundle SEM ASK --json --at 'x=cluster(7)'
ask-query         ask demo/movies.bundle SEM ASK --json --at 'x=item(label ~ "ghosts of mars")'
ask-sum           ask demo/movies.bundle SEM ASK --json --at 'x=slerp("Heart", negate(random(7)), 0.3)'
ask-user          ask demo/movies.bundle BEH ASK --json --at 'x=user(42)'
ask-person        ask demo/movies.bundle BEH ASK --json --at 'x=user({"Alien": 5, "Pretty Woman": 1})'
ask-strict        ask demo/movies.bundle SEM ASK --strict --at 'x="Heart" + 200*horror'
ask-transformers  ask shop.bundle ASK JACKET --engine transformers --json
concept-fit       concept fit shop.bundle formal --where category=Formal
concept-where     concept fit demo/movies.bundle scary SEM --where genres=Horror --json
concept-query     concept fit demo/movies.bundle shocking SEM \
                  --where 'genres = Horror and not genres = Comedy' --method ridge
concept-lists     concept fit demo/movies.bundle mine SEM --positives have-it.txt \
                  --negatives lack-it.txt --force
concept-pairs     concept fit demo/movies.bundle funnier BEH --pairs judgements.csv --force
concept-text      concept fit demo/movies.bundle sad SEM --text "a sad movie" --against "a movie" \
                  --check genres=Drama
concept-import    concept import soft-attributes soft-attributes.csv demo/movies.bundle BEH --json
concept-list      concept list demo/movies.bundle
concept-list-json concept list demo/movies.bundle --json
concept-show      concept show demo/movies.bundle scary SEM
concept-show-json concept show shop.bundle formal --json
concept-remove    concept remove demo/movies.bundle shocking SEM
trace             trace shop.bundle '"Blue rain jacket"' --along formal --steps 0,1 --max-tokens 32
trace-json        trace demo/movies.bundle '"Heart"' SEM --along horror --steps '-6..6 by 6' \
                  --max-tokens 32 --json --out trace.html
atlas             atlas shop.bundle --regions 5 --out atlas
atlas-json        atlas demo/movies.bundle BEH --no-reader --no-save --json --out atlas-ratings
describe          describe shop.bundle --where 'category = Formal and price < 50'
describe-json     describe demo/movies.bundle SEM --cluster 7 --json
describe-ids      describe shop.bundle --ids ids.txt --no-reader --json
diff              diff shop.bundle 'cluster(3)' '"Red scarf"'
diff-json         diff demo/movies.bundle SEM 'cluster(3)' 'where: genres = Horror' --json
drift             drift january.parquet july.parquet
drift-json        drift january.parquet july.parquet --json --regions 4
profile           profile demo/movies.bundle BEH --ratings ml-100k.inter --at 'user(42)' \
                  --tasks movies --draws 2
profile-people    profile demo/movies.bundle BEH --ratings ml-100k.inter --people 4 --tasks movies \
                  --draws 1 --json
tasks-list        tasks list
tasks-list-items  tasks list --tasks items --word item=jacket --json
tasks-show        tasks show convince_1
tasks-show-json   tasks show pitch --tasks items --json
teach             teach shop.bundle --tasks items WORDS --count 3 --teacher facts --json --out targets
teach-held-out    teach shop.bundle --tasks items WORDS --count 3 --teacher facts --split holdout \
                  --out held-out
teach-dry         teach shop.bundle --tasks items WORDS --count 3 --teacher facts --dry-run --out dry
train             train CHECKOUT/recipes/own-tasks.toml --bundle shop.bundle --targets targets \
                  --targets held-out --work own --count 0 --json --out mine.bundle
ask-trained       ask mine.bundle --task pitch JACKET --json
report-plots      evaluate demo/movies.bundle SEM --question "Describe the movie {x}." --count 10 \
                  --best-of 2 --second-encoder none --seed 0 --out report-plots.json
report-ratings    evaluate demo/movies.bundle BEH --question "Describe {x}." --count 10 --best-of 2 \
                  --second-encoder none --seed 0 --out report-ratings.json
compare-same      evaluate --compare report-plots.json report-plots.json --json
compare-two       evaluate --compare report-plots.json report-ratings.json
report-tasks      evaluate shop.bundle --task all --tasks items WORDS --points both --count 5 \
                  --max-tokens 32 --second-encoder none --out report-tasks.json
report-wording    evaluate shop.bundle --task summary --task pitch --wording held-out --tasks items \
                  --points items --count 5 --max-tokens 32 --second-encoder none --json \
                  --out report-wording.json
report-viewers    evaluate demo/movies.bundle BEH --task user_profile --tasks movies \
                  --ratings ml-100k.inter --count 5 --max-tokens 32 --second-encoder none \
                  --out report-viewers.json
points-between    benchmarks/points.py --only interpolations --pairs 6 --max-tokens 32 --work points \
                  --file between.json --out scores-between
points-slopes     benchmarks/points.py --only slopes --space movies.behavioral --items 3 \
                  --amounts 0 1.5 3 --question "Describe {x}." --max-tokens 32 --work points \
                  --file slopes.json --out scores-slopes
tasks-benchmark   benchmarks/tasks.py --count 2 --spaces movies.behavioral --max-tokens 32 \
                  --second-encoder none --work task-run --out scores-tasks
rate-results      rate report-plots.json --results --json
rate-export       rate report-plots.json --export rated.csv
no-label          ask shop.bundle ASK --at 'x="Blu rain jacket"'
no-expression     ask shop.bundle ASK --at 'x=mid("Blue rain jacket",'
no-slot           ask shop.bundle ASK
no-concept        ask shop.bundle ASK --at 'x="Red scarf" + 2*nothing'
no-bundle         ask nowhere.bundle ASK JACKET
no-space          ask demo/movies.bundle ASK --at 'x="Heart"'
no-column         fit items.parquet --id none --label title --vector embedding --out nothing.bundle
no-text           space embed january.csv --id sku --label title --text none --out nothing.parquet
out-is-file       fit january.parquet --out ids.txt
no-task           ask shop.bundle --task nothing JACKET
no-split          evaluate shop.bundle --split cold --count 5 --out nothing.json
no-report         rate january.csv --results
no-rater          judge report-plots.json --url http://127.0.0.1:9/v1 --model NAME --count 1 \
                  --out nothing.json
no-recipe         train january.csv --work nothing --out nothing.bundle
no-cluster        describe shop.bundle --cluster 99
no-option         ask shop.bundle --nothing
no-command        nothing
"""
"""A name, then the arguments of vecspeak or, where a script comes first, of python; words of SHORT stand for more."""
SHORT = {
    "SEM": "--space movies.semantic",
    "BEH": "--space movies.behavioral",
    "ASK": '"Describe {x}."',
    "JACKET": "--at 'x=\"Blue rain jacket\"'",
    "FIT": "--id sku --label title --vector embedding --text description",
    "WORDS": "--word item=jacket --word items=jackets --word use=wear",
}
SLOW = ("train", "ask-trained")
"""Run only where --only names them: the training takes as long as all the rest together."""
USERS = ".users.parquet"
INPUTS = ("ids.txt",)
"""What commands are told to write to by mistake, and must not."""
VOLATILE = {"made", "created", "seconds", "hours", "libraries", "version", "vecspeak_version", "machine"}
BINARY = {".safetensors", ".parquet", ".npy", ".csv", ".npz"}
PASSING = r"\d%\||^preparing the reader"
"""Lines of stderr that come or not as the machine is: bars of progress, and what is prepared once."""
FUNNY = [
    "Grease",
    "Men in Black",
    "Toy Story",
    "Aladdin",
    "Get Shorty",
    "The Birdcage",
    "Grosse Pointe Blank",
]
FUNNY += ["Bean", "Sleepless in Seattle", "This Is Spinal Tap"]
GRAVE = [
    "Jaws",
    "Scream",
    "The Shining",
    "The Birds",
    "Alien",
    "The Omen",
    "Carrie",
    "Wolf",
    "Scream 2",
    "Alien 3",
]
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Case:
    """A command by a name."""

    name: str
    args: tuple[str, ...]

    @property
    def makes(self) -> str:
        """The file or folder that it writes, recorded after it; none where it has no --out."""
        out = self.args[self.args.index("--out") + 1] if "--out" in self.args else ""
        return "" if out in INPUTS else out

    @property
    def run_folder(self) -> str:
        """The folder of its --work, where what a run came to is written too."""
        return self.args[self.args.index("--work") + 1] if "--work" in self.args else ""

    @property
    def leftovers(self) -> list[str]:
        """What an earlier run of it wrote: kept answers too, which would be read instead of made."""
        beside = [Path(self.makes).stem + end for end in (".kept", ".html", USERS)] if self.makes else []
        return [name for name in (self.makes, self.run_folder, *beside) if name]

    def written(self, folder: Path) -> list[Path]:
        """The files to record."""
        found = sorted((folder / self.run_folder).glob("*.json")) if self.run_folder else []
        if self.makes:
            out = folder / self.makes
            found += [out, out.with_name(out.stem + USERS), *sorted(out.rglob("*"))]
        return [path for path in found if path.is_file()]


def cases() -> list[Case]:
    """Every command of CASES, in order."""
    found = []
    for line in CASES.strip().splitlines():
        name, rest = line.split(None, 1)
        words = re.sub(r"(?<!\S)[A-Z]+(?!\S)", lambda match: SHORT.get(match[0], match[0]), rest)
        found.append(Case(name, tuple(shlex.split(words))))
    return found


def make_tables(work: Path, ratings: Path | None) -> None:
    """The tables that the commands read: sixty jackets at two dates with vectors, ratings of them, lists of movies."""
    rng = np.random.default_rng(7)
    kinds, cuts = ("Rain", "Formal", "Winter"), ("jacket", "coat", "parka", "scarf")
    told = (
        "keeps rain and wind out on wet days",
        "suits dinners and weddings",
        "keeps warm in snow and frost",
    )
    colours = ("Blue", "Red", "Green", "Black", "Grey")
    rows: list[dict[str, Any]] = []
    for at in range(60):
        kind, colour, cut = at % 3, colours[at // 3 % 5], cuts[at // 15]
        title = {0: "Blue rain jacket", 1: "Red scarf"}.get(at, f"{colour} {kinds[kind].lower()} {cut} {at}")
        text = f"A {colour.lower()} {cut} that {told[kind]}, number {at} of the shop, with {at % 7} pockets."
        row = {"sku": f"B{42 + at:04d}", "title": title, "category": kinds[kind], "price": 20 + at * 7 % 90}
        rows.append(row | {"description": text})
    vectors = rng.normal(size=(3, 24))[np.arange(60) % 3] + rng.normal(scale=0.7, size=(60, 24))
    column = pa.array(vectors.tolist(), pa.list_(pa.float32()))
    pq.write_table(pa.Table.from_pylist(rows).append_column("embedding", column), work / "items.parquet")
    later = [row | {"description": f"{row['description']} Now of wool."} for row in rows[:6]]
    later += rows[6:-4] + [
        row | {"sku": f"N{row['sku']}", "title": f"New {row['title']}"} for row in rows[:4]
    ]
    seen = [(user, at) for user in range(40) for at in range(60) if rng.random() < 0.4]
    liked = [1 + 3 * (at % 3 == user % 3) + int(rng.integers(2)) for user, at in seen]
    ratings_of = [
        {"user": f"u{user}", "item": rows[at]["sku"], "rating": rating}
        for (user, at), rating in zip(seen, liked, strict=True)
    ]
    pairs: list[dict[str, Any]] = [{"more": more, "less": less} for more in FUNNY for less in GRAVE]
    crowd: list[dict[str, Any]] = []
    for rater in range(20):
        lists = {
            "less_than": [GRAVE[rater % 10], GRAVE[(rater + 3) % 10]],
            "about_as": [],
            "more_than": FUNNY,
        }
        known = {
            "rater_id": f"r{rater}",
            "reference_title": GRAVE[(rater + 5) % 10],
            "soft_attribute": "funny",
        }
        crowd.append(known | {name: json.dumps(titles) for name, titles in lists.items()})
    tables = {
        "january": rows,
        "july": later,
        "ratings": ratings_of,
        "judgements": pairs,
        "soft-attributes": crowd,
    }
    for name, lines in tables.items():
        write_csv(work / f"{name}.csv", lines)
    for name, numbers_of in {"have-it": range(0, 40, 2), "lack-it": range(1, 40, 2)}.items():
        (work / f"{name}.txt").write_text("".join(f"m{at}\n" for at in numbers_of), encoding="utf-8")
    (work / "ids.txt").write_text("".join(f"B{at:04d}\n" for at in range(42, 62, 3)), encoding="utf-8")
    if ratings:
        shutil.copy(ratings, work / "ml-100k.inter")


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A table as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


class Recorder:
    """Runs cases of one checkout in one folder."""

    def __init__(self, source: Path, python: Path, out: Path) -> None:
        self.source, self.out, self.work = source.resolve(), out.resolve(), out.resolve() / "work"
        self.python = Path(os.path.abspath(python))
        own = {"PYTHONPATH": str(self.source), "VECSPEAK_CACHE": str(self.out / "cache"), "COLUMNS": "100"}
        self.env = os.environ | dict.fromkeys(ONE_THREAD, "1") | {"TOKENIZERS_PARALLELISM": "false"} | own
        places = (self.work, self.out, self.python.parent.parent, self.source.parent, Path.home())
        names = ("WORK", "OUT", "VENV", "CHECKOUT", "HOME")
        self.names = {str(place): name for place, name in zip(places, names, strict=True)}
        self.check_source()
        (self.out / "records").mkdir(parents=True, exist_ok=True)
        if not self.work.exists():
            self.work.mkdir()
            make_tables(self.work, next(self.python.parent.parent.rglob("ml-100k.inter"), None))

    def check_source(self) -> None:
        """Leave where the python would import vecspeak from elsewhere: the wrong checkout would be recorded."""
        code = "import vecspeak; print(vecspeak.__file__)"
        start = [str(self.python), "-c", code]
        done = subprocess.run(start, env=self.env, capture_output=True, text=True, check=False)
        if not done.stdout.startswith(f"{self.source}{os.sep}"):
            sys.exit(f"vecspeak is not imported from {self.source} but from {done.stdout or done.stderr}")

    def run(self, args: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """One command, as a subprocess in the work folder."""
        given = [arg.replace("CHECKOUT", str(self.source.parent)) for arg in args]
        script = given[0].endswith(".py")
        start = [str(self.source.parent / given.pop(0))] if script else ["-m", "vecspeak"]
        return subprocess.run(
            [str(self.python), *start, *given],
            cwd=self.work,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )

    def record(self, one: Case) -> dict[str, Any]:
        """What the case did."""
        for path in (self.work / name for name in one.leftovers):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        done = self.run(one.args)
        documents, files = {}, {}
        for path in one.written(self.work):
            key = re.sub(r"[0-9a-f]{16,}", "HEX", path.relative_to(self.work).as_posix())
            files[key] = hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix in BINARY else ""
            if path.suffix == ".json":
                documents[key] = self.plain(json.loads(path.read_text(encoding="utf-8")))
        try:
            documents["stdout"] = self.plain(json.loads(done.stdout))
            printed = ""
        except ValueError:
            printed = self.text(done.stdout)
        lines = [line for line in re.split(r"[\r\n]+", done.stderr) if line.strip()]
        errors = [line for line in lines if not re.search(PASSING, line)]
        last = self.text(errors[-1]) if errors else ""
        return {
            **{"name": one.name, "argv": list(one.args), "exit": done.returncode},
            **{"stdout": printed, "stderr": last, "json": documents, "files": files},
        }

    def record_help(self) -> dict[str, Any]:
        """The help of every command, and the names of its options and commands."""
        options, texts = {}, {}
        waiting: list[tuple[str, ...]] = [()]
        while waiting:
            path = waiting.pop(0)
            text = self.run([*path, "--help"]).stdout
            body, _, below = text.partition("\nCommands:\n")
            under = re.findall(r"^  (\S+)", below, re.M)
            found = re.findall(r"^  (-.*?)(?:  |$)", body.partition("\nOptions:\n")[2], re.M)
            names = {name for line in found for name in re.findall(r"(?<!\S)--?[a-z][\w-]*", line)}
            options[" ".join(path)], texts[" ".join(path)] = sorted(names | set(under)), text
            waiting += [(*path, name) for name in under]
        said = "\n".join(texts.values())
        return {
            **{"name": "help", "argv": ["--help"], "exit": 0, "options": options},
            **{"stdout": said, "stderr": "", "json": {}, "files": {}},
        }

    def text(self, text: str) -> str:
        """What was printed, without paths of this machine, dates and how long it took."""
        return re.sub(
            r"\b\d[\d,.]*( ?)(ms|s|seconds?|minutes?|hours?|min)\b", r"TIME\1\2", self.placeless(text)
        )

    def placeless(self, text: str) -> str:
        """A text without paths of this machine and points in time; times in an answer stay, for they are part of it."""
        for path, name in self.names.items():
            text = text.replace(path, name)
        return re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?", "DATE", text)

    def plain(self, value: Any, masked: bool = False) -> Any:
        """The same JSON without what differs from run to run; every key stays."""
        if isinstance(value, dict):
            return {self.placeless(k): self.plain(v, masked or k in VOLATILE) for k, v in value.items()}
        if isinstance(value, list):
            return [self.plain(one, masked) for one in value]
        if masked:
            return "MASKED"
        return self.placeless(value) if isinstance(value, str) else value


def leaves(value: Any, name: Callable[[int, Any], str], at: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything in a JSON that is no object and no list; empty ones too."""
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from leaves(one, name, f"{at}.{key}")
    elif isinstance(value, list) and value:
        for index, one in enumerate(value):
            yield from leaves(one, name, f"{at}[{name(index, one)}]")
    else:
        yield at, value


def key_paths(value: Any) -> set[str]:
    """Paths of all keys, the indices of lists left out, and every path above them."""
    found = {path for path, _ in leaves(value, lambda index, one: "")}
    return found | {path[: cut.start()] for path in found for cut in re.finditer(r"\.", path)} - {""}


def numbers(value: Any) -> dict[str, float]:
    """Every number by its path; members of lists by their id, key, name or place."""

    def name(index: int, one: Any) -> str:
        known = one if isinstance(one, dict) else {}
        return next(
            (f"{index}:{known[key]}" for key in ("id", "key", "task", "name") if key in known), str(index)
        )

    return {path: float(one) for path, one in leaves(value, name) if isinstance(one, int | float)}


def compare_numbers(a: dict[str, float], b: dict[str, float]) -> tuple[int, int, float, list[str]]:
    """How many of A's are in B, how many are equal, the largest difference, and those that B lacks."""
    shared = [path for path in a if path in b]
    gaps = [gap(a[path], b[path]) for path in shared]
    return len(shared), gaps.count(0.0), max(gaps, default=0.0), [path for path in a if path not in b]


def gap(a: float, b: float) -> float:
    """How far two numbers are apart: a NaN is equal to a NaN, and infinitely far from a number."""
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    return math.inf if math.isnan(a) or math.isnan(b) else abs(a - b)


def compare_case(a: dict[str, Any], b: dict[str, Any], tolerance: float) -> tuple[list[str], list[str]]:
    """What breaks between two records of a case, and what is merely other."""
    broken, told = [], []
    for path, names in a.get("options", {}).items():
        gone = sorted(set(names) - set(b["options"].get(path, [])))
        broken += [f"vecspeak {path}: gone: {', '.join(gone)}"] * bool(gone)
    if a["exit"] != b["exit"]:
        broken.append(f"exit status {a['exit']} became {b['exit']}: {b['stderr']}")
    for key, old in a["json"].items():
        if key not in b["json"]:
            broken.append(f"{key}: no such JSON any more")
            continue
        gone = sorted(key_paths(old) - key_paths(b["json"][key]))
        broken += [f"{key}: keys gone: {', '.join(gone[:8])} ({len(gone)})"] * bool(gone)
        before, after = numbers(old), numbers(b["json"][key])
        for kind in ("of entities", "other"):
            chosen = {
                p: v
                for p, v in before.items()
                if (".entities[" in p and ".values." in p) == (kind != "other")
            }
            count, equal, most, lacking = compare_numbers(chosen, after)
            line = f"{key}: numbers {kind}: {count} compared, {equal} equal, max difference {most:.3g}"
            if most > tolerance or lacking:
                broken.append(f"{line}; {len(lacking)} gone {lacking[:3]}")
            elif chosen and (kind != "other" or equal < count):
                told.append(line)
        if old != b["json"][key]:
            told += diff(f"{key} as text", json.dumps(old, indent=1), json.dumps(b["json"][key], indent=1))
    for part in ("stdout", "stderr"):
        told += diff(part, a[part], b[part])
    told += diff("names of files", "\n".join(a["files"]), "\n".join(b["files"]))
    other = [name for name, digest in a["files"].items() if digest != b["files"].get(name, digest)]
    return broken, told + [f"other bytes: {', '.join(other)}"] * bool(other)


def diff(what: str, a: str, b: str) -> list[str]:
    """A short unified diff, or nothing."""
    lines = list(difflib.unified_diff(a.splitlines(), b.splitlines(), "before", "after", n=0, lineterm=""))
    return [f"{what} differs:", *(f"    {line[:200]}" for line in lines[2:18])] if lines else []


def compare(before: Path, after: Path, only: Sequence[str], tolerance: float) -> bool:
    """Print what differs; True where nothing breaks."""
    failed, equal, count = 0, 0, 0
    for path in sorted((before / "records").glob("*.json")):
        if only and path.stem not in only:
            continue
        old, new = json.loads(path.read_text(encoding="utf-8")), after / "records" / path.name
        known = json.loads(new.read_text(encoding="utf-8")) if new.exists() else None
        broken, told = compare_case(old, known, tolerance) if known else (["not recorded"], [])
        failed, count = failed + bool(broken), count + 1
        equal += known == old
        print(f"{'BROKEN' if broken else 'equal' if known == old else 'other'}  {path.stem}")
        print(
            "".join(f"    ! {line}\n" for line in broken) + "".join(f"    {line}\n" for line in told), end=""
        )
    print(f"\n{count} commands compared: {equal} equal in everything, {failed} broken")
    return count > 0 and not failed


def main() -> None:
    """Record what is not recorded yet, or compare two recordings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, help="the src folder of the checkout to record")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="with vecspeak's dependencies"
    )
    parser.add_argument("--out", type=out_folder, help="folder of the recording")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these commands alone")
    parser.add_argument("--again", action="store_true", help="run what is recorded already too")
    parser.add_argument("--compare", nargs=2, type=Path, metavar=("A", "B"), help="two recordings, instead")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, help="largest difference of a number that passes"
    )
    given = parser.parse_args()
    names = ["help", *(one.name for one in cases())]
    if unknown := sorted(set(given.only) - set(names)):
        parser.error(f"no such command: {', '.join(unknown)}; there are {', '.join(names)}")
    if given.compare:
        before, after = given.compare
        sys.exit(not compare(before, after, given.only, given.tolerance))
    if not given.source or not given.out:
        parser.error("--source and --out, or --compare")
    recorder = Recorder(given.source, given.python, given.out)
    for one in [Case("help", ()), *cases()]:
        path = recorder.out / "records" / f"{one.name}.json"
        if (given.only and one.name not in given.only) or (path.exists() and not given.again):
            continue
        if one.name in SLOW and not given.only:
            continue
        made = recorder.record(one) if one.args else recorder.record_help()
        if made["exit"] < 0:
            sys.exit(f"{one.name} was ended by signal {-made['exit']} and is not recorded; run this again")
        waiting = path.with_suffix(".new")
        waiting.write_text(json.dumps(made, indent=1, ensure_ascii=False), encoding="utf-8")
        waiting.replace(path)
        print(f"{made['exit']:3}  {one.name:18} {made['stderr'][:90]}", flush=True)


if __name__ == "__main__":
    main()
