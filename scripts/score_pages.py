"""Fills the tables of README.md and of docs that stand between marks from docs/scores: words, efforts, clauses, people.

    python scripts/score_pages.py

Blocks stand between `<!-- scores: NAME -->` and `<!-- end -->`. tests/test_score_pages.py holds the pages to them.
"""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))  # which print the same tables
SCORES = ROOT / "docs" / "scores"
PAGES = (
    "README.md",
    "docs/adding-an-encoder.md",
    "docs/bulk.md",
    "docs/explore.md",
    "docs/language-models.md",
    "docs/odd.md",
    "docs/maps.md",
    "docs/matches.md",
    "docs/performance.md",
    "docs/quality.md",
    "docs/regions.md",
    "docs/robustness.md",
    "docs/serving.md",
    "docs/stores.md",
    "docs/tasks.md",
    "docs/vllm.md",
    "docs/writers.md",
    "docs/your-data.md",
)
SHOWN = {
    "normal": "what `ask` shows",
    "no_words": "the same without words in the question",
    "plain": "the likeliest tokens, without words",
    "other_words": "another movie's words, own vector",
    "other_vector": "own words, another movie's vector",
    "nearest_text": "the nearest known plot, as long as an answer",
}
"""Rows of the README's table by the names in efforts.json."""
SETS = {
    "movies.semantic": "Movies by plots",
    "diagnoses": "Diagnoses, a subject that the reader never saw, only fitted",
    "words.glove": "Words, by GloVe",
    "movies.behavioral": "Movies by ratings",
}


def scores(name: str) -> Any:
    """The file of that name."""
    return json.loads((SCORES / f"{name}.json").read_text(encoding="utf-8"))


def cell(estimate: Any) -> str:
    """A number with its interval, from [value, low, high, ...] or {"value": ...}."""
    one = [estimate[key] for key in ("value", "low", "high")] if isinstance(estimate, dict) else estimate
    return f"{one[0]:.3f} [{one[1]:.3f}, {one[2]:.3f}]"


def percent(estimate: Any, decimals: int = 0) -> str:
    """The same in percent."""
    one = [estimate[key] for key in ("value", "low", "high")] if isinstance(estimate, dict) else estimate
    value, low, high = (f"{number:.{decimals}%}" for number in one[:3])
    return f"{value} [{low}, {high}]"


def readme_efforts() -> str:
    """What the README says of movies by plots, and of clauses and yes or no."""
    found, clauses, asked = scores("efforts")["sets"]["movies.semantic"], scores("clauses"), scores("yes-no")
    lines = ["| | cosine | true words | loops |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {cell(found[key]['sc_2'])} | {percent(found[key]['word_precision'])} | "
        f"{found[key]['loops'][0]:.0%} |"
        for key, name in SHOWN.items()
    ]
    curve = {one["coverage"]: one["precision"]["value"] for one in clauses["movies"]["curve"]}
    count = {name: f"{one['questions']:,}" for name, one in asked["any"]["own"].items()}
    own, other = (
        {name: f"{one['yes']['value']:.0%}" for name, one in asked["any"][vector].items()}
        for vector in ("own", "another")
    )
    lines += [
        "",
        "Both are read, the vector and its words. Of the half of the clauses that is held most probable\n"
        f"{curve[0.5]:.0%} hold in the true plot, of all {curve[1.0]:.0%}. Asked yes or no,",
        f"it says how likely: of {count['yes']} words that it calls yes {own['yes']} stand in the true plot,\n"
        f"of {count['likely']} likely ones {own['likely']}, of {count['perhaps']} that it says perhaps to "
        f"{own['perhaps']}; with another movie's vector {other['yes']}, {other['likely']} and {other['perhaps']}.",
    ]
    return "\n".join(lines)


def efforts() -> str:
    """A table for each space: baselines, efforts and controls."""
    from efforts import table

    found = scores("efforts")["sets"]
    parts = [
        f"**{title}** ({space})\n\n{table(found[space])}" for space, title in SETS.items() if space in found
    ]
    return "\n\n".join(parts)


def clauses() -> str:
    """Precision of clauses by coverage."""
    found = scores("clauses")
    lines = ["| | all | half | quarter | tenth | AUC |", "|---|---|---|---|---|---|"]
    for name in ("movies", "diagnoses"):
        curve = {one["coverage"]: one["precision"]["value"] for one in found[name]["curve"]}
        shares = " | ".join(f"{curve[one]:.2f}" for one in (1.0, 0.5, 0.25, 0.1))
        lines.append(f"| {name} | {shares} | {found[name]['auc']:.2f} |")
    return "\n".join(lines)


def yes_no() -> str:
    """What questions with yes or no come to."""
    found = scores("yes-no")
    own, other = found["any"]["own"], found["any"]["another"]
    lines = [
        f"| {name} | {one['questions']:,} | {one['stated']:.1%} | {percent(one['yes'], 1)} | "
        f"{percent(other[name]['yes'], 1)} |"
        for name, one in own.items()
    ]
    return (
        f"**Yes or no** (`benchmarks/yes_no.py`): {found['questions']} questions whether a held-out movie is about a "
        f"word, half of them true. By how much the vector raises\nthe odds has an AUC {found['auc']:.2f}, of another "
        f"movie's vector {found['auc_of_another_vector']:.2f}; the stated probability "
        f"{found['auc_of_the_probability']:.2f}, for yes is rarer of rare words.\n\n"
        f"Any word that 0.2% to 20% of the plots have, {found['any']['words']:,} of them, asked of "
        f"{found['any']['movies']} held-out movies:\n\n"
        "| the answer begins | questions | stated, mean | it stands in the plot | with another movie's vector |\n"
        "|---|---|---|---|---|\n" + "\n".join(lines)
    )


def seconds() -> str:
    """How long one answer takes."""
    found = scores("efforts")["seconds"]
    shown = ", ".join(
        f"{effort} {one[0]:.1f} s ({one[1]:.1f} to {one[2]:.1f})" for effort, one in found.items()
    )
    return f"One answer on two idle cores, median and range of twelve (`--seconds`): {shown}."


def inversion() -> str:
    """The inversion card."""
    from inversion import card

    return card(scores("inversion"))


RANKED = {
    "exemplars": "items that sum the person up",
    "another person's exemplars": "another person's",
    "tastes": "kinds, decades and words",
    "another person's tastes": "another person's",
    "vector beyond the average person": "the vector, beyond the average person",
    "vector": "the vector",
    "average person": "the average person",
    "mean rating": "mean rating of others",
}
"""Rows of the table of people by the names in people.json."""


def people() -> str:
    """How well hidden ratings are ordered by what is said of a person."""
    found = scores("people")
    lines = ["| ranked by | AUC |", "|---|---|"]
    lines += [f"| {name} | {cell(found[key])} |" for key, name in RANKED.items()]
    own, tastes = (found[f"{one} less another person's"] for one in ("exemplars", "tastes"))
    kept = (found["exemplars"][0] - 0.5) / (found["vector"][0] - 0.5)
    return "\n".join(lines) + (
        f"\n\nOver another person's: items {cell(own)}, terms {cell(tastes)}. The items keep {kept:.0%} of what the "
        "vector has over chance."
    )


def stores() -> str:
    """What was written by each store's own client and read back."""
    lines = [
        "| store | client | rows | largest difference | other columns | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in scores("stores").items():
        payload = "kept" if one["payload"] else "it has none"
        lines.append(
            f"| {name} | {one['package']} {one['version']} | {one['rows']:,} | {one['difference']:g} | {payload} | "
            f"{one['seconds']:.2f} |"
        )
    return "\n".join(lines)


def vllm() -> str:
    """Tokens and answers a second of three engines, by how many questions are asked at a time."""
    rows = {(one["engine"], one["at_once"]): one for one in scores("vllm")["rows"]}
    counts = sorted({at_once for _, at_once in rows})
    heads = [f"{count} at a time: answers / s | tokens / s" for count in counts]
    lines = [f"| engine | {' | '.join(heads)} | as transformers |", f"|---|{'---|---|' * len(counts)}---|"]
    for name in dict.fromkeys(name for name, _ in rows):
        cells = [
            f"{rows[name, count]['answers_a_second']:.2f} | {rows[name, count]['tokens_a_second']:.0f}"
            for count in counts
        ]
        same = sum(rows[name, count]["as_transformers"] for count in counts)
        lines.append(
            f"| {name} | {' | '.join(cells)} | {same} of {sum(rows[name, one]['answers'] for one in counts)} |"
        )
    return "\n".join(lines)


def kills() -> str:
    """How often each command was ended at a bad moment, and what that cost."""
    from kill_cases.figures import table

    found = scores("kills")
    kills = sum(one.get(kind, 0) for one in found["commands"].values() for kind in ("kill", "random kill"))
    return (
        f"{kills} kills: before as many as {found['events']} events of each command and at {found['random']} random "
        f"times, a third of that where a run takes seconds.\n\n{table(found)}"
    )


def families() -> str:
    """What each family of language models did at random weights."""
    lines = [
        "| family | layers that a LoRA changes | scores | difference after saving | answers | from GGUF | on a CPU |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in scores("families")["families"].items():
        made = [f"times {one['scale']:g}"] if one["scale"] != 1 else []
        made += [f"capped at {one['cap']:g}"] if one["cap"] else []
        gguf = "not tried" if one["gguf"] is None else f"differs by {one['gguf']:.1%}"
        engine = (
            "openvino"
            if one["openvino"]
            else "torch, batches in flight"
            if one["continuous"]
            else "torch, plain batches"
        )
        answers = "in a batch as alone" if one["batched_as_alone"] else "IN A BATCH NOT AS ALONE"
        lines.append(
            f"| {name} ({one['class']}) | {', '.join(one['layers'])} | {', '.join(made) or 'as they are'} | "
            f"{one['difference']:.2%} | {answers} | {gguf} | {engine} |"
        )
    return "\n".join(lines)


def writers() -> str:
    """What writers that never saw a vector make of the evidence, beside the reader and the nearest texts."""
    of = {
        "own": "the evidence",
        "another": "another movie's evidence",
        "nearest": "the three nearest texts alone",
    }
    lines = [
        "| what wrote | from | consistency | true content words | words of the text said |",
        "|---|---|---|---|---|",
    ]
    for name, rows in scores("writers").items():
        for condition, one in rows.items():
            lines.append(
                f"| {name} | {of.get(condition, f'the vector, with effort {condition}')} | {cell(one['sc_2'])} | "
                f"{percent(one['word_precision'])} | {percent(one['word_recall'])} |"
            )
    return "\n".join(lines)


def bases() -> str:
    """What readers of several bases say, trained from nothing at the same tokens."""
    lines = [
        "| base | tokens | held-out loss | swap gap | effort | consistency | about another | true content words | "
        "R@1 | R@10 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in scores("bases").items():
        after = one["run"]["held_out"]["after"]
        for effort in ("quick", "normal"):
            own, other = one["scores"][effort], one["scores"][f"{effort}, about another"]
            lines.append(
                f"| {name} | {one['run']['tokens']:,} | {cell(after['loss'])} | {cell(after['swap_gap'])} | {effort} | "
                f"{cell(own['sc_2'])} | {other['sc_2'][0]:.3f} | {cell(own['word_precision'])} | "
                f"{cell(own['r1'])} | {cell(own['r10'])} |"
            )
    return "\n".join(lines)


def large() -> str:
    """How millions of vectors are opened."""
    from large import table

    return table(scores("large"))


def bulk() -> str:
    """Rows a second and memory of words of up to ten million rows."""
    from narrate import table

    return table(scores("narrate"))


def encoder() -> str:
    """What the reader says of another encoder's vectors: behind a map, crossed, trained on."""
    names = {
        "its own vectors": "the shipped reader on its own encoder's vectors",
        "behind a map": "the shipped reader behind the map",
        "crossed": "the map inside its adapter, no training",
        "trained": "the same, trained on",
    }
    lines = ["| reader | consistency | over another movie's plot | true content words |", "|---|---|---|---|"]
    systems = scores("encoder")["systems"]
    for key, name in names.items():
        one = systems[key]["scores"]
        lines.append(
            f"| {name} | {cell(one['sc'])} | {cell(one['over another'])} | {percent(one['true words'])} |"
        )
    return "\n".join(lines)


def fuzzing() -> str:
    """Made-up inputs of every class: how many were tried, held, were refused, and failed."""
    from fuzzing.counts import table

    return table(scores("fuzz"))


def understanding() -> str:
    """What was planted in real spaces, and what was found and invented."""
    from planting.figures import table

    return table(scores("understand")["cases"])


def maps() -> str:
    """What lays a space out, what it keeps, and what it costs."""
    from maps import table

    return table(scores("maps"))


MAPPED = {
    "plots": "openings of plots, mpnet",
    "glosses": "glosses, mpnet",
    "words": "words, GloVe (their glosses)",
    "ratings": "movies by ratings (title and genres)",
}
"""Spaces by the names in pairs.json."""


def pairs() -> str:
    """Maps from few pairs and from many."""
    lines = [
        "| | pairs | ridge | low rank | Procrustes | kernel | shuffled pairs |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, title in MAPPED.items():
        for one in scores("pairs").get(name, {}).values():
            forms = one["forms"]
            cells = (
                f"{forms[form]['centered_cosine'][0]:.3f}, {forms[form]['recall_at_10'][0]:.0%}"
                for form in ("low rank", "Procrustes", "kernel", "shuffled")
            )
            ridge = f"{cell(forms['ridge']['centered_cosine'])}, {forms['ridge']['recall_at_10'][0]:.0%}"
            lines.append(f"| {title} | {one['pairs']:,} | {ridge} | {' | '.join(cells)} |")
    return "\n".join(lines)


def unpaired() -> str:
    """Maps from few pairs and none, and what the proof lets through."""
    found = scores("unpaired")
    lines = ["| | pairs | without pairs, or with these | ridge | Procrustes |", "|---|---|---|---|---|"]
    for key, one in found["curve"].items():
        name, count, _ = key.split(", ")
        systems = [one["systems"].get(system) for system in ("unpaired", "ridge", "Procrustes")]
        cells = (f"{cell(given['cosine'])}, {given['top_1'][0]:.0%}" if given else "–" for given in systems)
        lines.append(f"| {name} | {count.split()[0]} | {' | '.join(cells)} |")
    right = list(found["matching"].values())
    wrong = list(found["foreign"].values())
    passed = [one for one in right if one["accepted"]]
    found_maps = [one for one in right if one["true"]["foscttm"][0] < FOUND]
    lines += [
        "",
        f"Of {len(right)} spaces that belong to their pile {len(passed)} are accepted; of {len(wrong)} that do not "
        f"{sum(one['accepted'] for one in wrong)} (95%: at most {upper(wrong):.0%}).",
        f"Of the {len(found_maps)} whose map is right (FOSCTTM below {FOUND}) "
        f"{sum(one['accepted'] for one in found_maps)} are accepted, of the "
        f"{len(right) - len(found_maps)} whose search failed "
        f"{sum(one['accepted'] for one in right if one not in found_maps)}.",
    ]
    return "\n".join(lines)


def odd() -> str:
    """What was planted and is found, and what is invented, by system."""
    lines = ["| planted | by | found | invented | as it is |", "|---|---|---|---|---|"]
    for name, systems in scores("odd")["summary"].items():
        for system, one in systems.items():
            shown, most = (f"**{system}**", one["false"]) if system == "odd" else (system, one["false"])
            invented = f"{most[0]:.1f} [{most[1]:.1f}, {most[2]:.1f}]"
            lines.append(
                f"| {name} | {shown} | {percent(one['recall'])} | {invented} | {one['false_as_it_is']} |"
            )
    return "\n".join(lines)


NAMED = {
    "movies.semantic": "movies by plots",
    "movies.behavioral": "movies by ratings",
    "glosses": "glosses",
}
"""Spaces by the names in names.json."""


def names() -> str:
    """Names of regions by system and level."""
    lines = [
        "| | | coverage | precision | AUC | nearest | vecspeak's less this | letters |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for space, levels in scores("names")["spaces"].items():
        for level, systems in levels.items():
            for system, one in systems.items():
                title = f"{NAMED[space]}, {level}" if system == "names" else ""
                gain = "" if system == "names" else cell(one["names_less"]["judged"])
                plain = " | ".join(f"{one[measure][0]:.2f}" for measure in ("coverage", "precision", "auc"))
                name = "**vecspeak**" if system == "names" else system
                lines.append(
                    f"| {title} | {name} | {plain} | {cell(one['judged'])} | {gain} | {one['letters']:.0f} |"
                )
    return "\n".join(lines)


def upper(wrong: list[Any]) -> float:
    """Upper end of the exact 95% interval of the share that is accepted."""
    from scipy.stats import binomtest

    accepted = sum(one["accepted"] for one in wrong)
    return float(binomtest(accepted, len(wrong)).proportion_ci().high)


FOUND = 0.05
"""FOSCTTM below which a map is right."""


def hostile() -> str:
    """What a server answered to requests that mean it harm."""
    from hostile import table

    return table(scores("hostile"))


def soak() -> str:
    """What a server used, minute by minute."""
    from soak import table

    return table(scores("soak"))


def load() -> str:
    """Many clients at once beside the same one after another."""
    from load import table

    return table(scores("load"))


def few_ratings() -> str:
    """What is read of people by how many ratings they gave."""
    from few_ratings import table

    return table(scores("few-ratings"))


def page_map() -> str:
    """How fast the page's map is drawn."""
    from page_map import table

    return table(scores("page_map"))


BLOCKS: dict[str, Callable[[], str]] = {
    "readme efforts": readme_efforts,
    "efforts": efforts,
    "clauses": clauses,
    "yes or no": yes_no,
    "seconds": seconds,
    "inversion": inversion,
    "people": people,
    "stores": stores,
    "kills": kills,
    "families": families,
    "bases": bases,
    "writers": writers,
    "encoder": encoder,
    "bulk": bulk,
    "large": large,
    "maps": maps,
    "pairs": pairs,
    "unpaired": unpaired,
    "names": names,
    "fuzzing": fuzzing,
    "odd": odd,
    "understanding": understanding,
    "hostile": hostile,
    "soak": soak,
    "load": load,
    "page map": page_map,
    "few ratings": few_ratings,
    "vllm": vllm,
}


def filled(page: str) -> str:
    """The page with every block as the files have it. Raises KeyError for a block of another name."""
    return re.sub(
        r"(<!-- scores: ([a-z ]+) -->\n).*?(\n<!-- end -->)",
        lambda block: f"{block[1]}{BLOCKS[block[2]]()}{block[3]}",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    for page in PAGES:
        path = ROOT / page
        before = path.read_text(encoding="utf-8")
        if (after := filled(before)) != before:
            path.write_text(after, encoding="utf-8")
            print(f"{page} is new", file=sys.stderr)
