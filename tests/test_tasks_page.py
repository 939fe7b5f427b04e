"""docs/tasks.md: its tables are what the task set and the files of scores say."""

import json
from pathlib import Path

from vecspeak.evaluation.report import read_summary
from vecspeak.report.tables import overview, task_markdown
from vecspeak.tasks.task_set import load_task_set

PAGE = Path(__file__).parents[1] / "docs" / "tasks.md"
SCORES = PAGE.parent / "scores"


def table():
    """The table of the page, from the set of movies."""
    lines = ["| task | about | asked as | without a model | scored by |", "|---|---|---|---|---|"]
    for name, task in load_task_set("movies").tasks.items():
        made = " ".join(task.facts)
        lines.append(f"| `{name}` | {task.about} | {task.question} | {made} | {', '.join(task.score)} |")
    return "\n".join(lines)


def test_the_page_shows_the_tasks_as_they_are():
    assert shown("tasks") == table()


def shown(mark):
    """What stands between two marks of the page."""
    text = PAGE.read_text(encoding="utf-8")
    return text.partition(f"<!-- {mark} -->\n")[2].partition(f"\n<!-- /{mark} -->")[0]


def test_the_page_shows_the_scores_as_they_were_written():
    assert shown("scores") == task_markdown(read_summary(SCORES / "tasks.json").sets)


def test_the_page_shows_what_training_on_a_domain_of_its_own_did():
    sets = read_summary(SCORES / "own-domain.json").sets
    assert shown("own-domain") == overview(sets)


def test_the_page_shows_how_the_two_readers_compare():
    assert shown("readers") == "\n".join(readers_table(json.loads((SCORES / "readers.json").read_text())))


def readers_table(found):
    lines = ["| set | measure | first | second | second minus first |", "|---|---|---|---|---|"]
    for name, one in found["sets"].items():
        for measure, values in one.items():
            if measure != "count":
                cells = [f"{v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for v in values.values()]
                lines.append(f"| {name} ({one['count']}) | {measure} | {' | '.join(cells)} |")
    return lines
