"""What a person's tastes in closed form say of ratings that were hidden from the space, beside the vector itself.

    python benchmarks/people.py [--work work/people] [--count 250] [--out docs/scores]

People of MovieLens 100k: three tenths of each one's ratings are hidden, and the space is factorized again without
them. The hidden movies are ranked by the tastes that `vecspeak words BUNDLE 'user(ID)'` tells (its terms, and its
exemplars), by another person's, by the vector, by what sets it apart from the average person, by the average person,
and by others' ratings. AUC: how often a movie that they liked stands above one that they disliked. No language model
takes part. Writes OUT/people.json.
"""

import argparse
from pathlib import Path

import numpy as np
from places import out_folder
from quality import movies_bundle

from vecspeak import VecSpeak
from vecspeak.demo.data import BEHAVIORAL, find_sources
from vecspeak.engines import Sampling
from vecspeak.evaluation.metrics import ScoringContext
from vecspeak.protocols.hiding import can_hide
from vecspeak.protocols.people import read_user_ratings
from vecspeak.protocols.profiles import AUC, OWN, Checker, ProfileConfig, hidden_orders, person_task
from vecspeak.stats import Series
from vecspeak.storage import write_json

SYSTEMS = ("tastes", "exemplars", "person", "average_person", "popular", "mean_rating")
SHARE = 0.3


def main() -> None:
    """Hide, factorize again, rank, and write the means with their intervals."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, default=Path("work/people"))
    parser.add_argument("--out", type=out_folder, default="docs/scores")
    parser.add_argument("--count", type=int, default=250)
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    vs = VecSpeak.load(movies_bundle(given.work).folder)
    asker = vs.asker(BEHAVIORAL)
    columns = {"user": "user_id", "item": "item_id", "rating": "rating"}
    crowd = read_user_ratings(asker.entry, find_sources().ratings / "ml-100k.inter", **columns)
    task_set = vs.task_set(space=BEHAVIORAL)
    config = ProfileConfig(share=SHARE, draws=1, sampling=Sampling())
    checker = Checker(asker, task_set, person_task(task_set), crowd, config)
    able = [person for person, rated in crowd.people.items() if can_hide(rated, SHARE)]
    drawn = [able[row] for row in np.random.default_rng(0).permutation(len(able))[: given.count]]
    cases = checker.cases({person: crowd.people[person] for person in drawn}, 0)
    context = ScoringContext(cases, asker.encoder, texts={one: [""] * len(cases) for one in SYSTEMS})
    found = {
        f"{system} {measure}": np.array([order.auc for order in orders])
        for system in SYSTEMS
        for measure, orders in hidden_orders(context.answers(system), cases).items()
    }
    rows = {
        "vector": found[f"person {AUC}"],
        "vector beyond the average person": found[f"person {OWN}"],
        "average person": found[f"average_person {AUC}"],
        "number of ratings": found[f"popular {AUC}"],
        "mean rating": found[f"mean_rating {AUC}"],
    }
    by_tastes: dict[str, np.ndarray] = cases.compared_with.by_tastes
    for system, scores in list(by_tastes.items()):
        rows[system] = found[f"{system} {AUC}"]
        by_tastes[system] = np.roll(scores, 1, axis=0)
        another = hidden_orders(context.answers(system), cases)[AUC]
        rows[f"another person's {system}"] = np.array([order.auc for order in another])
        rows[f"{system} less another person's"] = rows[system] - rows[f"another person's {system}"]
    made = {name: Series(values).estimate() for name, values in rows.items()}
    numbers = {name: [one.value, one.low, one.high] for name, one in made.items() if one}
    write_json(given.out / "people.json", numbers)
    for name, (value, low, high) in numbers.items():
        print(f"{name:<34} {value:.3f} [{low:.3f}, {high:.3f}]")


if __name__ == "__main__":
    main()
