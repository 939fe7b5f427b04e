"""Kills every command that writes, at every change of a file and at random times, and fills its disk.

    python benchmarks/kills.py [--only COMMAND ...] [--events 20] [--random 20] [--work FOLDER] [--out docs/scores]

Each command runs in a tiny world (`kill_cases/world.py`), where an older result of it lies already. After each end, in
this order: a command that opens what was written must say what it said of the old or of the new, word by word; every
file or folder must be the old or the new one, byte by byte but for dates; the same command once more must end well,
write the new, and leave the same names of files as a run that nothing happened to. Ends are SIGKILL before an event
(all of them, or as many as `--events` says, drawn with a seed), SIGKILL at a random time, a disk that is full from an
event on, files that may not grow beyond a size, and where this process may mount disks a small one and a read-only one.

What was measured is kept after each command: the same line goes on with a run that was stopped, as long as the package
is the same. `--again` begins anew.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONDONTWRITEBYTECODE": "1"}

from kill_cases import process, world
from kill_cases.figures import line, table
from kill_cases.process import Ended, Trouble
from places import out_folder

from vecspeak.storage import digest, read_json, write_json

NAME = "kills.json"
_TOKEN = re.compile(
    r"\.[0-9a-f]{8}(?=\.(?:new|old))|(?<=tmp)[0-9a-z_]{8}|[0-9a-f]{40}|(?<=\.)[0-9a-f]{16}(?=\.next)"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:\+00:00|Z| UTC)?)?")
_OF_A_RUN = {"seconds", "hours", "made", "date", "tokens_per_second", "asked", "cached"}
"""Keys that say how a run went, such as how many replies it had to ask for."""
_LARGEST = (0, 600, 6_000, 60_000)
"""Bytes that files may not exceed, in turn."""
_ROOM = (0, 4, 40, 200)
"""Kilobytes that a small disk has left, in turn."""
_FEWER = 3
"""A command that takes seconds is ended so many times less often at events and at random times."""


def main() -> None:
    """Kill, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", nargs="+", metavar="COMMAND", help="these commands, by their names in the table"
    )
    parser.add_argument(
        "--events", type=int, default=20, help="events of each command before which it is killed"
    )
    parser.add_argument("--random", type=int, default=20, help="kills of each command at random times")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="measure again what was measured")
    parser.add_argument("--work", type=Path, default=Path("work/kills"), help="folder of the tiny world")
    parser.add_argument("--out", type=out_folder, default="docs/scores", help="folder of kills.json")
    given = parser.parse_args()
    with _rater() as url:
        cases = {case.name: case for case in world.cases(url)}
        if unknown := set(given.only or ()) - set(cases):
            parser.error(f"no command {', '.join(sorted(unknown))}; there are: {', '.join(cases)}")
        path = given.out / NAME
        settings = {name: getattr(given, name) for name in ("events", "random", "seed")}
        found = _begun(path, settings)
        driver = Driver(given.work.resolve(), given.events, given.random, given.seed)
        for name in given.only or cases:
            if name not in found["commands"] or given.again:
                found["commands"][name] = driver.measured(cases[name])
                found["commands"] = {one: found["commands"][one] for one in cases if one in found["commands"]}
                write_json(path, found)
            print(line(name, found["commands"][name]), flush=True)
    print(f"\n{table(found)}")


def _begun(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """What an earlier run of the same settings on the same package measured; else nothing yet."""
    source = Path(__file__).parents[1] / "src" / "vecspeak"
    package = digest(one.read_bytes() for one in sorted(source.rglob("*.py")))[:16]
    head = {"package": package, **settings}
    found = read_json(path) if path.exists() else {}
    if {name: found.get(name) for name in head} != head:
        found = {**head, "commands": {}}
    return found


@contextmanager
def _rater() -> Iterator[str]:
    """The address of a rater in a process of its own: a thread here would be in the way of forks."""
    code = (
        f"import sys; sys.path[:0] = [{str(world.ROOT / 'tests')!r}]\n"
        "from local_rater import Server, honest\n"
        "server = Server(honest); print(server.url, flush=True); server.http.serve_forever()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.kill()


class Driver:
    """Runs commands in a folder, over and over from the same state."""

    def __init__(self, work: Path, events: int, random_kills: int, seed: int) -> None:
        self.world, self.old, self.place = (work / name for name in ("world", "old", "place"))
        self.events, self.random_kills, self.seed = events, random_kills, seed
        self.can_mount = _can_mount(work)
        _import_all()
        if not (self.world / "whole").exists():
            shutil.rmtree(work, ignore_errors=True)
            (work / "scratch").mkdir(parents=True)
            self._build(work / "scratch")

    def _build(self, scratch: Path) -> None:
        """In a fork: training starts threads, which no fork may meet."""
        self.world.mkdir()
        child = os.fork()
        if not child:
            try:
                for name in ("tmp", "cache"):
                    (self.world / name).mkdir()
                os.environ |= {"TMPDIR": str(scratch), "VECSPEAK_CACHE": str(self.world / "cache")}
                world.build(self.world)
                (self.world / "whole").touch()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        if not (self.world / "whole").exists():
            raise SystemExit("the tiny world could not be made")

    def measured(self, case: world.Case) -> dict[str, Any]:
        """A command's figures: how often it was ended in which way, what was found after, and what was wrong."""
        self.case, self.wrong, started = case, list[str](), time.monotonic()
        self.counts: Counter[str] = Counter()
        self._restore(self.world)
        if not case.is_new:
            self._check(self._run(case.arguments(0)), "run 0")
        shutil.rmtree(self.old, ignore_errors=True)
        shutil.copytree(self.place, self.old, symlinks=True)
        self.known = [self._state()]
        self._restore(self.old)
        whole = self._check(self._run(case.arguments(1)), "run 1")
        self.names, self.said = _names(self.place), _steady(whole.out)
        self.known.append(self._state())
        for kind, troubles in self._troubles(whole).items():
            for number, trouble in enumerate(troubles):
                self._ended(kind, f"{kind} {number + 1}", trouble)
        if self.can_mount:
            for kilobytes in _ROOM:
                self._on_small_disk(kilobytes)
            self._read_only()
        return {
            "events": whole.events,
            "seconds": round(whole.seconds, 2),
            **self.counts,
            "wrong": self.wrong,
            "took": round(time.monotonic() - started),
        }

    def _troubles(self, whole: Ended) -> dict[str, list[Trouble]]:
        draw, fewer = random.Random(f"{self.seed} {self.case.name}"), _FEWER if self.case.is_big else 1
        every = list(range(1, whole.events + 1))
        at = sorted(draw.sample(every, min(len(every), max(1, self.events // fewer))))
        full = sorted(draw.sample(every, min(len(every), max(1, self.events // (2 * fewer)))))
        return {
            "kill": [Trouble(kill_at=one) for one in at],
            "random kill": [
                Trouble(kill_after=draw.random() * whole.seconds) for _ in range(self.random_kills // fewer)
            ],
            "full disk": [Trouble(full_at=one) for one in full],
            "short file": [Trouble(largest_file=one) for one in _LARGEST],
        }

    def _run(self, arguments: Sequence[str], trouble: Trouble | None = None) -> Ended:
        return process.run(arguments, self.place, prepare=self.case.prepare, trouble=trouble)

    def _check(self, ended: Ended, what: str) -> Ended:
        """The command must end well where nothing happens to it."""
        if ended.status:
            raise SystemExit(f"{self.case.name}: {what} ends with {ended.status}\n{ended.err}")
        return ended

    def _restore(self, state: Path) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(state, self.place, symlinks=True)

    def _state(self) -> dict[str, str]:
        """What a person sees of what was written, and the digest of each part; opening goes first, as it recovers."""
        for left in self.place.glob("probe.*"):  # of an earlier look
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        found = {}
        if self.case.probe:
            probe = self._run(self.case.probe)
            found["shown"] = digest([probe.status, _steady(probe.out), probe.err if probe.status else ""])
        return found | {name: _content(self.place, name) for name in self.case.written}

    def _ended(self, kind: str, what: str, trouble: Trouble) -> None:
        """One end in the place, from the old state, and all that is looked at after it."""
        self._restore(self.old)
        ended = self._run(self.case.arguments(1), trouble)
        if "kill" in kind and not ended.killed:
            self.counts["ended before"] += 1
            return
        self.counts[kind] += 1
        self._after(what, ended)

    def _after(self, what: str, ended: Ended) -> None:
        said = f"{self.case.name}, {what} ({ended.status})"
        if not ended.killed:
            self._check_words(said, ended)
        now = self._state()
        for part, value in now.items():
            if value not in (self.known[0][part], self.known[1][part]) and not self.case.may_be_part:
                self._note("lost", f"{said}: {part} is neither the old nor the new")
        told = [part for part in now if self.known[0][part] != self.known[1][part]]
        kept = sum(now[part] == self.known[0][part] for part in told)
        self.counts["old kept" if kept == len(told) else "new taken" if not kept else "some of each"] += 1
        again = self._run(self.case.arguments(1))
        is_done = self.case.done and self.case.done in again.err
        if again.status and not is_done:
            self._note("rerun failed", f"{said}: once more ends with {again.status}: {again.err[-300:]}")
            return
        if self.case.says and _steady(again.out) != self.said:
            self._note("rerun failed", f"{said}: once more, it says something else")
        for part, value in self._state().items():
            if value != self.known[1][part]:
                self._note("rerun failed", f"{said}: once more, {part} is not the new")
        if left := sorted(set(_names(self.place)) - set(self.names)):
            self._note("left behind", f"{said}: once more leaves {', '.join(left[:4])}")

    def _check_words(self, said: str, ended: Ended) -> None:
        """A failure is one line and status 2."""
        lines = [line for line in ended.err.splitlines() if line.startswith("vecspeak: ")]
        if "Traceback" in ended.err or ended.status not in (0, 2) or (ended.status and len(lines) != 1):
            self._note("no plain line", f"{said}: {ended.err[-300:]}")

    def _note(self, kind: str, line: str) -> None:
        self.counts[kind] += 1
        self.wrong.append(line)
        print(f"  {line}", flush=True)

    def _on_small_disk(self, kilobytes: int) -> None:
        """A disk that has so much room beside the old state; then it gets room, and the command runs again."""
        size = sum(_blocks(path) for path in self.old.rglob("*")) + 4 * 40
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        with _mounted(self.place, "tmpfs", f"size={size + kilobytes}k"):
            shutil.copytree(self.old, self.place, symlinks=True, dirs_exist_ok=True)
            free = shutil.disk_usage(self.place).free // 1024 - kilobytes
            if free > 0:
                (self.place / "ballast").write_bytes(b"0" * (free * 1024))
            ended = self._run(self.case.arguments(1))
            _mount(self.place, "tmpfs", f"remount,size={size + 64_000}k")
            (self.place / "ballast").unlink(missing_ok=True)
            self.counts["small disk"] += 1
            self._after(f"a disk with {kilobytes} KB", ended)

    def _read_only(self) -> None:
        """A disk that may only be read: one plain line, and nothing changed."""
        self._restore(self.old)
        with _mounted(self.place, "bind", ""):
            _mount(self.place, "bind", "remount,bind,ro")
            ended = self._run(self.case.arguments(1))
            _mount(self.place, "bind", "remount,bind,rw")
            self.counts["read-only disk"] += 1
            self._after("a read-only disk", ended)


def _import_all() -> None:
    """Import what the commands import, so that each fork has it; nothing of it starts a thread."""
    from vecspeak.cli import cli
    from vecspeak.cli.messages import command_names

    command_names(cli)
    for name in (
        *("vecspeak.api", "vecspeak.building", "vecspeak.report.html", "vecspeak.report.terminal"),
        *(
            "vecspeak.raters",
            "vecspeak.raters.llm",
            "vecspeak.raters.study",
            "vecspeak.encoders.factorization",
        ),
        *(
            "vecspeak.training.run",
            "vecspeak.teachers.job",
            "vecspeak.evaluation.evaluate",
            "vecspeak.demo.run",
        ),
        *("vecspeak.protocols.expert_iteration", "vecspeak.engines.transformers", "vecspeak.bundles.weights"),
        *(
            "vecspeak.engines.openvino",
            "vecspeak.explore.atlas",
            "vecspeak.explore.trace",
            "vecspeak.lexicon.joint",
        ),
        *(
            "transformers.models.llama.modeling_llama",
            "peft",
            "openai",
            "filelock",
            "platformdirs",
            "sqlite3",
        ),
        *("sklearn.linear_model", "sklearn.cluster", "sklearn.manifold", "sklearn.feature_extraction.text"),
        *("matplotlib.figure", "matplotlib.backends.backend_svg", "pyarrow.dataset", "pyarrow.pandas_compat"),
        "implicit.als",
    ):
        try:
            __import__(name)
        except ImportError as error:
            print(f"  {name} is not imported before: {error}", flush=True)
    import pyarrow
    import torch

    torch.set_num_threads(1)
    pyarrow.set_cpu_count(1)


def _blocks(path: Path) -> int:
    """Kilobytes that a file or folder takes, in pages of four."""
    return 4 if path.is_dir() else 4 * (-(-path.lstat().st_size // 4096))


def _can_mount(work: Path) -> bool:
    """Whether this process may mount a disk."""
    work.mkdir(parents=True, exist_ok=True)
    place = work / "mounted"
    place.mkdir(exist_ok=True)
    try:
        with _mounted(place, "tmpfs", "size=64k"):
            return True
    except OSError:
        return False


@contextmanager
def _mounted(place: Path, kind: str, options: str) -> Iterator[None]:
    _mount(place, kind, options)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


def _mount(place: Path, kind: str, options: str) -> None:
    source = ["--bind", str(place)] if kind == "bind" and not options else ["-t", kind, "none"]
    if "remount" in options:
        source = []
    command = ["mount", *source, *(["-o", options] if options else []), str(place)]
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise OSError("there is no mount here") from error
    if done.returncode:
        raise OSError(done.stderr.strip())


def _names(folder: Path) -> list[str]:
    """Every name below a folder, without tokens; what the probe wrote is no part of it."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(_TOKEN.sub("#", name) for name in found if not name.startswith("probe."))


def _content(folder: Path, name: str) -> str:
    """Digest of a file, a folder, or a pair of items and users, dates left out."""
    path = folder / name.removesuffix(" + users")
    paths = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    if name.endswith(" + users"):
        paths = [path, *_users(path)]
    made = hashlib.sha256()
    for number, one in enumerate(paths):
        title = str(number) if name.endswith(" + users") else one.relative_to(folder).as_posix()
        made.update(title.encode() + b"\0" + (_steady_bytes(one) if one.is_file() else b"absent"))
    return made.hexdigest()[:16]


def _users(items: Path) -> list[Path]:
    """The users that are read with the items: those that wait, where a kill came between the two."""
    from vecspeak.spaces.io import _users_of

    return [_users_of(items)]


def _steady_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix in (".json", ".html", ".jsonl", ".csv"):
        return _steady(data.decode(errors="replace")).encode()
    return data


def _steady(text: str) -> str:
    """A text without dates and durations."""
    try:
        text = json.dumps(_untimed(json.loads(text)), sort_keys=True)
    except ValueError:
        pass
    return _DATE.sub("DATE", text)


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(one) for key, one in value.items() if key not in _OF_A_RUN}
    return [_untimed(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
