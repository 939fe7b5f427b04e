"""Forty questions that nobody listed, each about one held-out movie: twenty that a plot answers, twenty that none does.

    python benchmarks/free_questions.py [--work work/questions] [--effort normal] [--out docs/scores]

What is asked of a vector that cannot know is refused or made up, which this counts by itself. Whether the other
answers are right a person has to read: WORK/answers.md has each with the true plot. Writes OUT/free-questions.json.
"""

import argparse
from pathlib import Path

import numpy as np
from places import out_folder
from quality import movies_bundle

from vecspeak import VecSpeak
from vecspeak.answerable import UNCLEAR
from vecspeak.demo.data import SEMANTIC
from vecspeak.evidence import Answer
from vecspeak.spaces.splits import HOLDOUT
from vecspeak.storage import write_json

ANSWERABLE = (
    "What is {x} about?",
    "Who should not watch {x}?",
    "What is the mood of {x}?",
    "Is {x} about a war?",
    "Where does {x} take place?",
    "What does the hero of {x} want?",
    "Is {x} about music?",
    "What kind of people would enjoy {x}?",
    "What conflict drives {x}?",
    "Is {x} about a family?",
    "Why would somebody watch {x}?",
    "Does {x} deal with crime?",
    "What goes wrong in {x}?",
    "What is the main subject of {x}?",
    "Which genre is {x}?",
    "Is {x} a love story or a thriller?",
    "What could be criticized in {x}?",
    "What would a sequel of {x} be about?",
    "How would you sell {x} in one sentence?",
    "What does somebody learn from {x}?",
)
UNANSWERABLE = (
    "What is the title of {x}?",
    "Who directed {x}?",
    "When was {x} released?",
    "Who plays the lead in {x}?",
    "How long is {x}?",
    "How much did {x} cost?",
    "What is the name of the hero of {x}?",
    "In which language was {x} shot?",
    "Did {x} win an Oscar?",
    "Which studio made {x}?",
    "What is the rating of {x} on IMDb?",
    "Where was {x} filmed?",
    "How many people have seen {x}?",
    "Is {x} in black and white?",
    "Who composed the music of {x}?",
    "What did critics say of {x}?",
    "Is {x} on Netflix?",
    "Which book is {x} based on?",
    "How old is the director of {x}?",
    "What is the first line of {x}?",
)


def is_refused(answer: Answer) -> bool:
    """Whether it is said, without a language model, that the vector does not tell."""
    direct = answer.direct
    if direct is None:
        return False
    return direct.probability is None or UNCLEAR[0] <= direct.probability <= UNCLEAR[1]


def main() -> None:
    """Ask, write the sheet and the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("work/questions"))
    parser.add_argument("--effort", default="normal", choices=["plain", "quick", "normal", "high"])
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    vs = VecSpeak.load(movies_bundle(given.work).folder)
    entry = vs.bundle.entry(SEMANTIC)
    ids = [one for one in sorted(entry.splits[HOLDOUT]) if entry.space.text_of(one)]
    drawn = [ids[row] for row in np.random.default_rng(0).permutation(len(ids))]
    questions = [*ANSWERABLE, *UNANSWERABLE]
    lines, refused = list[str](), {"answerable": 0, "unanswerable": 0}
    for question, item in zip(questions, drawn, strict=False):
        answer = vs.ask(question, x=entry.space[item], space=SEMANTIC, effort=given.effort)
        kind = "answerable" if question in ANSWERABLE else "unanswerable"
        refused[kind] += is_refused(answer)
        text = " ".join((entry.space.text_of(item) or "").split())[:600]
        label = entry.space.labels[entry.space.index_of(item)]
        lines += [f"## {question}", f"**{answer.text}**", "", f"_{label}_: {text}", ""]
        print(f"{question}  {answer.text}", flush=True)
    (given.work / "answers.md").write_text("\n".join(lines), encoding="utf-8")
    counts = {
        "effort": given.effort,
        "asked": {"answerable": len(ANSWERABLE), "unanswerable": len(UNANSWERABLE)},
    }
    write_json(given.out / "free-questions.json", {**counts, "refused": refused})
    print(refused)


if __name__ == "__main__":
    main()
