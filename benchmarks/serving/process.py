"""`vecspeak serve` as a process of its own on a free port, and what it uses of memory, open files and threads."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
import numpy as np

from vecspeak import Space, VecSpeak

_GROUPS = {
    "baking": "bread dough oven flour yeast crust loaf",
    "sailing": "boat sail wind harbor rope anchor captain",
    "gardens": "rose soil seeds garden spade leaves rain",
    "music": "violin song concert drum choir melody stage",
}


@dataclass(frozen=True)
class Used:
    """What a process uses at one time."""

    megabytes: float
    """Resident memory."""
    files: int
    threads: int


class ServerProcess:
    """A running server."""

    def __init__(self, process: "subprocess.Popen[str]", address: str) -> None:
        self.process, self.address = process, address

    def used(self) -> Used:
        """Memory, open files and threads, as Linux counts them."""
        folder = Path(f"/proc/{self.process.pid}")
        status = (folder / "status").read_text(encoding="ascii")
        resident, threads = (re.search(rf"{name}:\s+(\d+)", status) for name in ("VmRSS", "Threads"))
        assert resident and threads
        return Used(round(int(resident[1]) / 1024, 1), len(os.listdir(folder / "fd")), int(threads[1]))

    def count(self, name: str) -> float:
        """A count of its metrics, over all labels."""
        said = httpx.get(f"{self.address}/metrics", timeout=60).text
        return sum(
            float(line.rpartition(" ")[2]) for line in said.splitlines() if re.match(rf"{name}[ {{]", line)
        )

    def wait_until_idle(self, seconds: float = 120) -> bool:
        """Whether no question waits any more within some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.count("vecspeak_questions_waiting") == 0:
                return True
            time.sleep(0.5)
        return False


@contextmanager
def running(bundle: Path, *options: str) -> Iterator[ServerProcess]:
    """The server of a bundle, ready to be asked; stopped when the block ends."""
    command = [sys.executable, "-m", "vecspeak", "serve", str(bundle), "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        lines = process.stdout.readline(), process.stdout.readline()
        found = re.search(r"http://[^/]+", lines[1])
        if found is None:
            raise SystemExit(f"the server did not start: {lines}")
        server = ServerProcess(process, found[0])
        while httpx.get(f"{server.address}/ready", timeout=600).status_code != 200:
            time.sleep(0.2)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def small_bundle(work: Path) -> Path:
    """A bundle of 240 made-up texts in four groups with vectors of 32 numbers, read by the shipped reader."""
    folder = work / "small.bundle"
    if not (folder / "manifest.json").is_file():
        reader = VecSpeak.from_pretrained()
        rng = np.random.default_rng(0)
        names = [name for name in _GROUPS for _ in range(60)]
        texts = [" ".join(rng.choice(_GROUPS[name].split(), size=6)) for name in names]
        vectors = reader.encoder.encode(texts) @ rng.normal(size=(reader.encoder.dim, 32))
        labels = [f"{name} {number}" for number, name in enumerate(names)]
        space = Space.from_arrays(
            vectors.astype(np.float32),
            ids=[f"i{number}" for number in range(len(names))],
            labels=labels,
            texts=texts,
            name="small",
        )
        folder.parent.mkdir(parents=True, exist_ok=True)
        reader.fit(space).save(folder)
    return folder


def question(expression: str, *, text: str = "Describe {x}.", **more: object) -> dict[str, object]:
    """The body of a question about one point."""
    parts = [{"type": "text", "text": text}, {"type": "embedding", "expression": expression}]
    return {"messages": [{"role": "user", "content": parts}], **more}


def plain(one: Used) -> dict[str, float]:
    """For JSON."""
    return asdict(one)


def as_bytes(body: object) -> bytes:
    """A body as it is sent."""
    return json.dumps(body).encode()
