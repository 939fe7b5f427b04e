"""Fuzzing of all that reads what somebody else wrote: it is read, or refused in one line, in seconds, in memory.

    python benchmarks/fuzz.py [--cases 100000] [--seed 0] [--minutes 60] [--only expressions tables]
    python benchmarks/fuzz.py --coverage 60 [--only expressions]     # needs: pip install atheris

Inputs are drawn by grammars and types (`fuzzing/`), so that most are valid or nearly valid. Each must end in a result
whose laws hold or in a UserError of one line and at most 500 letters, within 10 seconds of a processor and 2 GiB.
Batches run in processes of their own, one a core, which a crash ends alone. Failures are noted with their seed and a
short input in WORK/failures.json; the same seed gives the same inputs. Writes OUT/fuzz.json, where it ran whole.

`--coverage SECONDS` spends that time on each class with Atheris, which keeps inputs that reach new lines of vecspeak;
what it finds stands in WORK/failures.json, and its counts in WORK/fuzz.json.
"""

import argparse
import json
import logging
import multiprocessing
import multiprocessing.connection
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
if __name__ == "__main__":
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # a core has a process


def _counted() -> AbstractContextManager[Any]:
    """Where coverage is asked for, Atheris counts the lines of the modules that are imported inside."""
    if "--coverage" not in sys.argv[:-1] or sys.argv[sys.argv.index("--coverage") + 1] == "0":
        return nullcontext()
    import atheris

    logging.disable(logging.INFO)  # a line for every module
    return atheris.instrument_imports(include=["vecspeak"], enable_loader_override=False)


with _counted():
    from fuzzing.classes import World, classes
from fuzzing.counts import Batch, summed, table  # noqa: E402
from fuzzing.loop import FuzzClass, cover, limit_memory, run_batch, silence  # noqa: E402
from fuzzing.world import make  # noqa: E402
from places import out_folder  # noqa: E402

from vecspeak.console import print_line, progress_bar  # noqa: E402
from vecspeak.storage import write_json  # noqa: E402

BATCH, STUCK = 250, 900.0
"""Cases of a process, and seconds after which it is killed: its cases are stopped after ten each."""
Job = tuple[str, int, int]
"""A class, the seed of a batch, and its number of cases."""


def opened(work: Path) -> dict[str, FuzzClass]:
    """The classes by name, about the world in WORK, in a scratch folder of this process."""
    return {one.name: one for one in classes(World(work / "world", work / f"scratch-{os.getpid()}"))}


def plan(work: Path, cases: int, seed: int, only: Sequence[str]) -> list[Job]:
    """Batches of all classes by their shares, the classes in turn."""
    shares = {name: one.share for name, one in opened(work).items() if not only or name in only}
    jobs: list[tuple[float, Job]] = []
    for name, share in shares.items():
        count = round(cases * share / sum(shares.values()))
        sizes = [min(BATCH, count - start) for start in range(0, count, BATCH)]
        jobs += [((n + 1) / len(sizes), (name, seed * 10_000 + n, size)) for n, size in enumerate(sizes)]
    return [job for _, job in sorted(jobs)]


def _in_a_process(work: Path, job: Job, path: Path, note: Path | None) -> None:
    name, number, count = job
    silence()
    one = opened(work)[name]
    os.chdir(work / f"scratch-{os.getpid()}")
    limit_memory()
    found = run_batch(one, number, count, note=note)
    path.write_text(json.dumps(asdict(found)), encoding="utf-8")


def _alone(function: Callable[..., None], *given: Any) -> None:
    """The function's work, done in a process of its own."""
    made = multiprocessing.get_context("fork").Process(target=function, args=given)
    made.start()
    made.join()
    if made.exitcode:
        raise SystemExit(f"{function.__name__} ended with {made.exitcode}")


def _start(work: Path, job: Job, path: Path, note: Path | None = None) -> Any:
    made = multiprocessing.get_context("fork").Process(target=_in_a_process, args=(work, job, path, note))
    made.start()
    return made


def batches(work: Path, jobs: Sequence[Job], minutes: float) -> Iterator[Batch]:
    """What came of each batch, so many at a time as there are cores; none is begun after so many minutes."""
    waiting, running, until = list(reversed(jobs)), [], time.monotonic() + 60 * minutes
    while waiting or running:
        if time.monotonic() > until:
            waiting = []
        while waiting and len(running) < (os.cpu_count() or 1):
            job = waiting.pop()
            path = work / f"{job[0]}-{job[1]}.json"
            running.append((_start(work, job, path), job, path, time.monotonic()))
        multiprocessing.connection.wait([one.sentinel for one, *_ in running], timeout=1)
        for process, job, path, since in list(running):
            if process.is_alive() and time.monotonic() - since > STUCK:
                process.kill()
            elif not process.is_alive():
                running.remove((process, job, path, since))
                yield (
                    Batch(**json.loads(path.read_text()))
                    if process.exitcode == 0
                    else _crashed(work, job, process)
                )
                path.unlink(missing_ok=True)
                shutil.rmtree(work / f"scratch-{process.pid}", ignore_errors=True)


def _crashed(work: Path, job: Job, process: Any) -> Batch:
    """The batch whose process was killed, run once more to see which case did it."""
    note = work / "case.txt"
    again = _start(work, job, work / "again.json", note)
    again.join(STUCK)
    again.kill()
    case = note.read_text(encoding="utf-8") if note.is_file() else ""
    what = f"the process ended with {process.exitcode}"
    return Batch(
        name=job[0], seed=job[1], tried=1, failures={what: {"count": 1, "seed": job[1], "case": case}}
    )


def covered(work: Path, seconds: int, only: Sequence[str]) -> list[Batch]:
    """What came of each class in so many seconds of Atheris, so many at a time as there are cores."""
    waiting = [name for name in opened(work) if not only or name in only]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda name: _alone(_cover, work, name, seconds), waiting))
    found = (work / f"coverage-{name}" / "counts.json" for name in waiting)
    return [Batch(**json.loads(path.read_text(encoding="utf-8"))) for path in found if path.is_file()]


def _cover(work: Path, name: str, seconds: int) -> None:
    silence()
    one = opened(work)[name]
    os.chdir(work / f"scratch-{os.getpid()}")
    cover(one, seconds, work / f"coverage-{name}")


def tried(work: Path, given: argparse.Namespace) -> list[Batch]:
    """All batches, with a bar and a line for each failure."""
    jobs, found = plan(work, given.cases, given.seed, given.only), []
    with progress_bar(total=sum(count for *_, count in jobs), desc="fuzzing", unit="case") as bar:
        for one in batches(work, jobs, given.minutes):
            found.append(one)
            bar.update(one.tried)
            for what in one.failures:
                print_line(f"{one.name}: {what}")
    return found


def main() -> None:
    """Draw, try, count, and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="no batch begins later")
    parser.add_argument("--only", nargs="+", default=[], metavar="CLASS")
    parser.add_argument("--coverage", type=int, default=0, metavar="SECONDS")
    parser.add_argument("--work", type=Path, default=Path("work/fuzz"))
    parser.add_argument("--out", type=out_folder, default=Path("docs/scores"))
    given = parser.parse_args()
    work, out = given.work.resolve(), given.out.resolve()
    for old in (work / "world", *work.glob("scratch-*")):
        shutil.rmtree(old, ignore_errors=True)
    _alone(
        make, work / "world"
    )  # threads of libraries do not live on in the processes that are started later
    start = time.monotonic()
    found = covered(work, given.coverage, given.only) if given.coverage else tried(work, given)
    by_class, failures = summed(found)
    scores = {"seed": given.seed, "seconds": round(time.monotonic() - start), "classes": by_class}
    write_json(work / "failures.json", failures)
    kinds = [{key: one[key] for key in ("class", "what", "count")} for one in failures]
    write_json((work if given.only or given.coverage else out) / "fuzz.json", {**scores, "failures": kinds})
    print(table(scores))
    for one in failures:
        print(
            f"{one['class']}: {one['what']} ({one['count']} times, seed {one['seed']})\n    {one['case'][:400]}"
        )
    print(f"{scores['seconds']} s; the cases that failed: {work / 'failures.json'}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
