"""What a language model makes of the evidence that never saw a vector, beside what a sceptic would do instead.

    python benchmarks/writers.py smollm2-135m-instruct FOLDER... [--work work/writers] [--count 40] [--out docs/scores]

Held-out movies by plots. Each writer writes four texts from the evidence (words, drafts of the reader at normal
effort), of which the one is taken that fits the vector best; the same from another movie's evidence, and from the
texts of the three nearest known movies alone. all-mpnet-base-v2, which chose nothing, judges by the true plot, and so
do the true plot's words. Restartable: texts are kept in the work folder. Writes OUT/writers.json.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from efforts import ASK_MOVIE
from places import out_folder
from quality import movies_bundle

from vecspeak import VecSpeak
from vecspeak.asking import PreparedQuestion
from vecspeak.demo.data import SEMANTIC
from vecspeak.encoders.text import SECOND_ENCODER, load_encoder
from vecspeak.engines import Sampling
from vecspeak.evaluation.cases import space_cases
from vecspeak.evaluation.metrics import score_texts
from vecspeak.searching import FoundAnswer
from vecspeak.storage import read_json, write_json
from vecspeak.writers import Writer, open_writer
from vecspeak.writers.evidence import Read, request
from vecspeak.writing import WritingAsker

SAMPLING = Sampling(max_new_tokens=64, temperature=0.7)
DRAWN = 4
WORDS = 48
METRICS = ("sc", "sc_2", "word_precision", "word_recall", "loops")
SCORERS = ("consistency", "second_consistency", "word_accuracy", "loops")
CONDITIONS = {
    "own": "from the evidence",
    "another": "from another movie's evidence",
    "nearest": "from the nearest texts alone",
}


def requests_of(
    asker: WritingAsker, questions: Sequence[PreparedQuestion], found: Sequence[FoundAnswer]
) -> dict[str, list[str]]:
    """The messages of each condition, in the order of the questions."""
    own = [
        request(asked.question, asker.read_of(asked), asker.drafts_of(asked, one), words=WORDS)
        for asked, one in zip(questions, found, strict=True)
    ]
    nearest = []
    for asked in questions:
        (point,) = asked.points.values()
        space = asker.entry_of(point).space
        near = [(one.label, space.text_of(one.id) or "") for one in asker.near(point, 3)]
        nearest.append(request(asked.question, [Read(slot="x", nearest=near)], [], words=WORDS))
    return {"own": own, "another": [*own[1:], own[0]], "nearest": nearest}


def written(
    writer: Writer,
    asker: WritingAsker,
    questions: Sequence[PreparedQuestion],
    requests: Sequence[str],
    path: Path,
) -> list[str]:
    """The text of each question that fits its own vector best; drawn in blocks that are kept in a file."""
    drawn: list[list[str]] = read_json(path) if path.is_file() else []
    while len(drawn) < len(requests):
        block = requests[len(drawn) : len(drawn) + 4]
        drawn += writer.write(block, DRAWN, Sampling(max_new_tokens=96, temperature=SAMPLING.temperature))
        write_json(path, drawn)
    room = SAMPLING.max_new_tokens
    return [
        next(iter(asker.ranked(asked, texts, room)), "")
        for asked, texts in zip(questions, drawn, strict=True)
    ]


def main() -> None:
    """Measure the writers that are given, next to what the file has."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("writers", nargs="+")
    parser.add_argument("--work", type=Path, default=Path("work/writers"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--count", type=int, default=40)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    writers = [open_writer(name) for name in given.writers]
    vs = VecSpeak.load(movies_bundle(given.work).folder, writer=writers[0])
    asker = vs.asker(SEMANTIC, words_in_prompts=True)
    assert isinstance(asker, WritingAsker)
    cases = space_cases(asker.entry, asker.encoder, question=ASK_MOVIE, count=given.count, seed=3).only(
        None, SCORERS
    )
    questions = [asker.prepare(ASK_MOVIE, {"x": asker.entry.space[one]}) for one in cases.ids]
    kept = given.work / "drafts.json"
    if not kept.is_file():
        made = asker.find(questions, SAMPLING, effort="normal", progress="the reader")
        write_json(kept, [[one.text, *one.drafts] for one in made])
    found = [FoundAnswer(text=text, drafts=tuple(drafts)) for text, *drafts in read_json(kept)]
    second = load_encoder(SECOND_ENCODER)
    path = given.out / "writers.json"
    scores = read_json(path) if path.is_file() else {}

    def judged(texts: Sequence[str]) -> dict[str, list[float]]:
        series = score_texts(cases, texts, asker.encoder, second)
        made = {name: series[name].estimate() for name in METRICS if name in series}
        return {name: [one.value, one.low, one.high] for name, one in made.items() if one}

    scores["reader"] = {"normal": judged([one.text for one in found])}
    of = requests_of(asker, questions, found)
    for writer in writers:
        for condition, requests in of.items():
            texts = written(
                writer, asker, questions, requests, given.work / f"{writer.name}-{condition}.json"
            )
            scores.setdefault(writer.name, {})[condition] = judged(texts)
            write_json(path, scores)
            print(writer.name, condition, scores[writer.name][condition], texts[:3], flush=True)


if __name__ == "__main__":
    main()
