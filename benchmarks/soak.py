"""Whether a server that is asked for a long time grows: memory, open files and threads, minute by minute.

    python benchmarks/soak.py [--minutes 20] [--clients 12] [--bundle FOLDER] [--work work/serving] [--out docs/scores]

Starts `vecspeak serve` as a process. Each client draws what it does next by a seed: asks, streams, asks for a point or
why two match, goes away in the middle of a stream, or asks what is refused. When it is ready, after two minutes of
warm-up, and every minute from then on, everybody waits until no question is left, and what the server uses is noted.
Writes OUT/soak.json.
"""

import argparse
import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from places import out_folder
from serving.process import ServerProcess, plain, question, running, small_bundle

from vecspeak.storage import write_json

WARM_UP = 120.0
CHAT = "/v1/chat/completions"


class Client(threading.Thread):
    """Asks one thing after the other, as its seed has it, until it is over."""

    def __init__(self, server: ServerProcess, space: str, labels: list[str], seed: int, gate: "Gate") -> None:
        super().__init__(daemon=True)
        self.server, self.space, self.labels, self.gate = server, space, labels, gate
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()

    def run(self) -> None:
        """Ask until it is over, and pause where everybody does."""
        kinds = (self.ask, self.stream, self.point, self.why, self.leave, self.mistake)
        with httpx.Client(base_url=self.server.address, timeout=300) as client:
            while self.gate.enter():
                try:
                    kind = self.random.choices(kinds, weights=(3, 3, 4, 3, 1, 2))[0]
                    try:
                        self.counts[f"{kind.__name__} {kind(client)}"] += 1
                    except httpx.HTTPError as error:
                        self.counts[f"{kind.__name__} {type(error).__name__}"] += 1
                finally:
                    self.gate.leave()

    def place(self) -> str:
        """A point: an item, or one between two."""
        first, second = (f'"{label}"' for label in self.random.sample(self.labels, 2))
        return self.random.choice((first, f"mid({first}, {second}, {self.random.random():.2f})"))

    def asked(self, **more: object) -> dict[str, object]:
        """A question of some length."""
        return question(self.place(), max_tokens=self.random.choice((8, 16, 32)), **more)

    def ask(self, client: httpx.Client) -> int:
        """Ask for a whole answer."""
        return client.post(CHAT, json=self.asked()).status_code

    def stream(self, client: httpx.Client) -> int:
        """Read an answer piece by piece."""
        with client.stream("POST", CHAT, json=self.asked(stream=True)) as got:
            for _ in got.iter_lines():
                pass
            return got.status_code

    def leave(self, client: httpx.Client) -> int:
        """Go away after the first pieces."""
        with client.stream("POST", CHAT, json=self.asked(stream=True)) as got:
            for number, _ in enumerate(got.iter_lines()):
                if number > 3:
                    break
            return got.status_code

    def point(self, client: httpx.Client) -> int:
        """Ask what is near a point."""
        return client.post(f"/v1/spaces/{self.space}/points", json={"expression": self.place()}).status_code

    def why(self, client: httpx.Client) -> int:
        """Ask why two match."""
        first, second = ({"expression": f'"{label}"'} for label in self.random.sample(self.labels, 2))
        return client.post(
            f"/v1/spaces/{self.space}/why", json={"first": first, "second": second}
        ).status_code

    def mistake(self, client: httpx.Client) -> int:
        """Ask what is refused."""
        wrong: tuple[dict[str, Any], ...] = (
            question('"no such item"'), question(self.place(), n=2), {"messages": []}, {"messages": [1]},
        )  # fmt: skip
        return client.post(CHAT, json=self.random.choice(wrong)).status_code


class Gate:
    """Lets clients ask, and waits until none does."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside, self._is_open, self._is_over = 0, True, False

    def enter(self) -> bool:
        """Wait until it is open; whether there is more to ask."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_open or self._is_over)
            self._inside += not self._is_over
            return not self._is_over

    def leave(self) -> None:
        """Note that a client is done."""
        with self._condition:
            self._inside -= 1
            self._condition.notify_all()

    def close(self) -> None:
        """Let nobody in, and wait until nobody asks."""
        with self._condition:
            self._is_open = False
            self._condition.wait_for(lambda: self._inside == 0)

    def open(self) -> None:
        """Let them in again."""
        with self._condition:
            self._is_open = True
            self._condition.notify_all()

    def end(self) -> None:
        """Let all go home."""
        with self._condition:
            self._is_over = True
            self._condition.notify_all()


def soaked(server: ServerProcess, minutes: float, clients: int, seed: int) -> dict[str, Any]:
    """What the server used after the warm-up and after each minute, and what it answered."""
    about = httpx.get(f"{server.address}/v1/spaces").json()["spaces"][0]
    listed = httpx.get(f"{server.address}/v1/spaces/{about['name']}/items?limit=200").json()["items"]
    labels, gate = [one["label"] for one in listed], Gate()
    ready = plain(server.used())
    asking = [Client(server, about["name"], labels, seed + number, gate) for number in range(clients)]
    for one in asking:
        one.start()
    used: list[dict[str, Any]] = []
    for number in range(1 + max(1, round(minutes))):
        time.sleep(60 if number else WARM_UP)
        gate.close()
        server.wait_until_idle()
        time.sleep(6)  # idle connections are closed after five seconds
        used.append({"minute": number, **plain(server.used())})
        print(used[-1], flush=True)
        gate.open()
    gate.end()
    for one in asking:
        one.join(300)
    counts = sum((one.counts for one in asking), Counter[str]())
    return {
        "clients": clients,
        "minutes": minutes,
        "ready": ready,
        "used": used,
        "counts": dict(sorted(counts.items())),
    }


def table(found: dict[str, Any]) -> str:
    """Some of the minutes as Markdown, and what was asked."""
    used = found["used"]
    shown = [one for one in used if one["minute"] in (0, 1, used[-1]["minute"]) or one["minute"] % 5 == 0]
    named = [("when ready", found["ready"]), *((str(one["minute"]), one) for one in shown)]
    lines = ["| minutes after the warm-up | MB | open files | threads |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {one['megabytes']:,.0f} | {one['files']} | {one['threads']} |" for name, one in named
    ]
    total = sum(found["counts"].values())
    by = Counter[str]()
    for name, number in found["counts"].items():
        by[name.rpartition(" ")[2]] += number
    said = ", ".join(f"{number:,} with {status}" for status, number in sorted(by.items()))
    most = max(one["megabytes"] for one in used) / used[0]["megabytes"] - 1
    return "\n".join(
        [
            *lines,
            "",
            f"{total:,} requests of {found['clients']} clients: {said}. After two minutes of them memory grows by "
            f"{most:.1%} at most.",
        ]
    )


def main() -> None:
    """Ask, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bundle", type=Path, help="a bundle; by default a small one is made")
    parser.add_argument("--work", type=Path, default=Path("work/serving"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    with running(given.bundle or small_bundle(given.work)) as server:
        found = soaked(server, given.minutes, given.clients, given.seed)
    write_json(given.out / "soak.json", found)
    print(table(found))


if __name__ == "__main__":
    main()
