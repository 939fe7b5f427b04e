"""docs/tasks.md: its table is what the task set says."""

from pathlib import Path

from vecspeak.tasks.sets import load_task_set

PAGE = Path(__file__).parents[1] / "docs" / "tasks.md"


def table():
    """The table of the page, from the set of movies."""
    lines = ["| task | about | asked as | without a model | scored by |", "|---|---|---|---|---|"]
    for name, task in load_task_set("movies").tasks.items():
        made = " ".join(task.facts)
        lines.append(f"| `{name}` | {task.about} | {task.question} | {made} | {', '.join(task.score)} |")
    return "\n".join(lines)


def test_the_page_shows_the_tasks_as_they_are():
    text = PAGE.read_text(encoding="utf-8")
    shown = text.partition("<!-- tasks -->\n")[2].partition("\n<!-- /tasks -->")[0]
    assert shown == table()
