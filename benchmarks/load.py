"""64 clients at once against the same questions one after another, on one server in one run.

    python benchmarks/load.py [--clients 64] [--bundle FOLDER] [--work work/serving] [--out docs/scores]

Each client asks about an item of its own with OpenAI's client, first one after another, then all at once, then one
after another again, so that a machine that becomes slower in between shows. An answer is right where its text is that
of the same question asked alone; where it is another (near ties turn in another batch) its evidence must name the item
that was asked, and its round trip tells whether it is about it: the cosine with the item's own vector beside that with
other items'. Writes OUT/load.json and prints the ratio.
"""

import argparse
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from openai import OpenAI, OpenAIError
from places import out_folder
from serving.process import running, small_bundle

from vecspeak.storage import write_json


class Asked:
    """One client's question and what came of it."""

    def __init__(self, address: str, label: str, tokens: int) -> None:
        self.client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=600)
        self.label, self.tokens = label, tokens

    def __call__(self) -> dict[str, Any]:
        """Ask; the answer, how far it is about its item, and the seconds it took."""
        start = time.monotonic()
        parts = [
            {"type": "text", "text": "Describe {x}."},
            {"type": "embedding", "expression": f'"{self.label}"'},
        ]
        messages: Any = [{"role": "user", "content": parts}]
        try:
            found = self.client.chat.completions.create(model="", messages=messages, max_tokens=self.tokens)
        except OpenAIError as error:
            return {"error": type(error).__name__, "seconds": time.monotonic() - start}
        message = found.choices[0].message
        (point,) = (message.model_extra or {})["evidence"]["points"]
        return {
            "text": message.content,
            "is_own_item": point["expression"] == f'"{self.label}"',
            "round_trip": point["round_trip"],
            "others": point["swapped"],
            "seconds": time.monotonic() - start,
        }


def one_after_another(asked: list[Asked]) -> tuple[list[dict[str, Any]], float]:
    """What came, and the seconds of all."""
    start = time.monotonic()
    return [one() for one in asked], time.monotonic() - start


def at_once(asked: list[Asked]) -> tuple[list[dict[str, Any]], float]:
    """The same with all clients in threads of their own."""
    found: list[dict[str, Any]] = [{}] * len(asked)

    def ask(number: int) -> None:
        found[number] = asked[number]()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(asked))]
    start = time.monotonic()
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return found, time.monotonic() - start


def summed(
    alone: list[dict[str, Any]], together: list[dict[str, Any]], seconds: list[float]
) -> dict[str, Any]:
    """The figures of a run."""
    whole = [(one, two) for one, two in zip(alone, together, strict=True) if "error" not in one | two]
    slow, fast = (float(seconds[0] + seconds[2]) / 2, seconds[1])
    return {
        "clients": len(together),
        "errors": sum("error" in one for one in together),
        "seconds_one_after_another": [round(seconds[0], 2), round(seconds[2], 2)],
        "seconds_at_once": round(fast, 2),
        "ratio": round(slow / fast, 2),
        "equal_to_alone": sum(one["text"] == two["text"] for one, two in whole),
        "about_own_item": sum(two["is_own_item"] for _, two in whole),
        "nearer_to_own_item": sum(two["round_trip"] > two["others"] for _, two in whole),
        "nearer_to_own_item_alone": sum(one["round_trip"] > one["others"] for one, _ in whole),
        "seconds_p50": [round(_percentile(one, 50), 2) for one in (alone, together)],
        "seconds_p95": [round(_percentile(one, 95), 2) for one in (alone, together)],
    }


def _percentile(found: list[dict[str, Any]], share: float) -> float:
    return float(np.percentile([one["seconds"] for one in found], share))


def table(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    first, last = found["seconds_one_after_another"]
    count = found["clients"]
    return "\n".join([
        f"| {count} questions | one after another | at once |",
        "|---|---|---|",
        f"| seconds, all | {first:.1f}, after it {last:.1f} | {found['seconds_at_once']:.1f} |",
        f"| seconds of one, p50 and p95 | {found['seconds_p50'][0]:.2f}, {found['seconds_p95'][0]:.2f} | "
        f"{found['seconds_p50'][1]:.2f}, {found['seconds_p95'][1]:.2f} |",
        f"| nearer to the own item than to others | {found['nearer_to_own_item_alone']} | "
        f"{found['nearer_to_own_item']} |",
        "",
        f"At once is {found['ratio']:.2f} times as fast; {found['errors']} errors; {found['about_own_item']} answers "
        f"are about the item that was asked, {found['equal_to_alone']} are word by word those that were given alone.",
    ])  # fmt: skip


def main() -> None:
    """Ask, write, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--bundle", type=Path, help="a bundle; by default a small one is made")
    parser.add_argument("--work", type=Path, default=Path("work/serving"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    with running(given.bundle or small_bundle(given.work), "--timeout", "3600") as server:
        name = httpx.get(f"{server.address}/v1/spaces").json()["spaces"][0]["name"]
        page = httpx.get(
            f"{server.address}/v1/spaces/{name}/items", params={"limit": given.clients * 3}
        ).json()
        labels = [one["label"] for one in page["items"]][
            :: 3 if len(page["items"]) >= given.clients * 3 else 1
        ]
        asked = [Asked(server.address, label, given.tokens) for label in labels[: given.clients]]
        asked[0]()  # loads what is loaded once
        (alone, before), (together, fast), (_, after) = (
            one_after_another(asked),
            at_once(asked),
            one_after_another(asked),
        )
        found = summed(alone, together, [before, fast, after])
    write_json(given.out / "load.json", found)
    print(table(found))


if __name__ == "__main__":
    main()
