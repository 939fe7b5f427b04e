"""Runs every command that names no address on small data, in a process in which no socket may reach out.

    python every_command.py FOLDER [slow]

Prints JSON: by command its exit status, its last line of standard error, and the addresses that Python was asked to
reach. What native libraries do themselves is not seen here: `make silent` traces the system's calls.
"""

import contextlib
import csv
import io
import json
import os
import random
import shlex
import sys
import time
from pathlib import Path

REACHES = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg")
KINDS = {
    "Horror": "ghost blood night scream house dead",
    "Comedy": "joke party wedding laugh friend prank",
    "Western": "sheriff horse saloon gun ranch dust",
}
COMMANDS = """
space embed t.csv --id id --label label --text text --out items.parquet
space factorize r.csv --user user --item item --rating rating --dim 4 --labels t.csv --id id --label label \
    --out films.parquet
space info items.parquet
space neighbours items.parquet "Film 0"
fit items.parquet --text text --out shop.bundle
fit films.parquet --text text --out people.bundle
ask shop.bundle "Describe {x}." --at 'x="Film 0"' --effort quick --max-tokens 6
words shop.bundle '"Film 0"'
concept fit shop.bundle horror --where genres=Horror --force
concept list shop.bundle
concept show shop.bundle horror
concept import soft-attributes soft.csv shop.bundle
trace shop.bundle '"Film 0"' --along horror --steps 0,1 --max-tokens 4 --controls 0
concept remove shop.bundle horror
atlas shop.bundle --regions 2 --no-reader --out atlas
labels shop.bundle embedding-atlas
labels shop.bundle datamapplot
labels shop.bundle bertopic --outliers leave
map shop.bundle --out map.csv
describe shop.bundle --where genres=Horror --no-reader
diff shop.bundle '"Film 0"' '"Film 1"' --no-reader
why shop.bundle '"Film 0"' '"Film 1"'
axes shop.bundle --count 3
odd shop.bundle --out odd.csv
leaks shop.bundle --out leaks.md
leaks people.bundle --ratings r.csv --user user --item item --no-protections
check shop.bundle
drift items.parquet items.parquet --regions 2
compare items.parquet items.parquet
profile people.bundle --ratings r.csv --user user --item item --at 'user("u1")' --draws 1 --tasks movies
tasks list
tasks show pitch --tasks items
teach shop.bundle --tasks items --count 2 --teacher facts --out some
teach shop.bundle --tasks items --count 2 --teacher facts --split holdout --out held
evaluate --compare scores.json scores.json
rate scores.json --export-items rated.csv
"""
SLOW = """
evaluate shop.bundle --count 5 --effort plain --max-tokens 4 --second-encoder none --out own.json
"""
"""Half a minute, which a test does not wait for."""


def write_data(folder: Path, rows: int = 60) -> None:
    """A table of films by kind, ratings of people, a crowd's judgements of an attribute, and a report."""
    from local_rater import report
    from vecspeak.evaluation.report import write_report

    write_report(folder / "scores.json", report())
    draw, kinds = random.Random(0), list(KINDS)
    with (folder / "t.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "label", "text", "genres"])
        for row in range(rows):
            words = draw.choices(KINDS[kinds[row % 3]].split(), k=5)
            out.writerow(
                [f"m{row}", f"Film {row}", f"A story about a {' and a '.join(words)}.", kinds[row % 3]]
            )
    with (folder / "r.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["user", "item", "rating"])
        for user in range(40):
            for row in draw.sample(range(rows), 45):
                out.writerow([f"u{user}", f"m{row}", 5 if row % 3 == user % 3 else draw.choice([1, 2])])
    with (folder / "soft.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["rater_id", "reference_title", "soft_attribute", "less_than", "about_as", "more_than"])
        for rater in range(60):
            horror, other = 3 * draw.randrange(20), 3 * draw.randrange(20) + 1
            out.writerow([f"r{rater % 4}", f"Film {horror}", "spooky", f'["Film {other}"]', "[]", "[]"])


def main(folder: Path, *, slow: bool = False) -> None:
    """Run the commands in a folder, and print what they reached for."""

    reached: list[str] = []

    def forbid(event: str, given: tuple[object, ...]) -> None:
        if event in REACHES:
            reached.append(f"{event} {given[1:] if event == 'socket.connect' else given[:2]}")
            raise OSError("no socket may be opened here")

    os.chdir(folder)
    write_data(folder)
    sys.addaudithook(forbid)
    from vecspeak.cli import main as vecspeak

    found = []
    for line in (COMMANDS + SLOW * slow).replace("\\\n", " ").strip().splitlines():
        said, status = io.StringIO(), 0
        reached.clear()
        before = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            try:
                vecspeak(shlex.split(line))
            except SystemExit as stop:
                status = int(stop.code or 0)
        seconds = time.process_time() - before
        found.append(
            {
                "seconds": round(seconds, 2),
                "command": line,
                "status": status,
                "said": said.getvalue()[-300:],
                "reached": list(reached),
            }
        )
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), slow="slow" in sys.argv[2:])
