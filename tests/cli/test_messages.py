"""What the library says of parameters and functions, the command line says of options and commands."""

import ast
import re
from pathlib import Path

import pytest

import vecspeak
from vecspeak.cli import cli
from vecspeak.cli.messages import as_options, command_names


@pytest.mark.parametrize(
    ("library", "command_line"),
    [
        ("use max_new_tokens=96", "use --max-tokens 96"),
        ("leave out strict=True to see it", "leave out --strict to see it"),
        ("use method='kmeans'", "use --method kmeans"),
        ("say which are which, such as id='sku', vector='v'", "say which are which, such as --id sku, --vector v"),
        ("lower `holdout` or `holdout_cold`", "lower --holdout or --holdout-cold"),
        ("choose one with `space='NAME'`", "choose one with --space NAME"),
        ("add `x=EXPRESSION`", "add --at x=EXPRESSION"),
        ("for example words={'item': 'jacket'}", "for example --word item=jacket"),
        ("make one with `VecSpeak.fit(...)`", "make one with vecspeak fit"),
        ("again with `VecSpeak.fit(..., text='COLUMN')`", "again with vecspeak fit ... --text COLUMN"),
        ("fit it with `VecSpeak.fit_concept(...)`", "fit it with vecspeak concept fit"),
        ("make the space with `factorize(...)`", "make the space with vecspeak space factorize"),
        ("`json` has no movies.csv, 2 = 2, genres='Horror'", "--json has no movies.csv, 2 = 2, genres='Horror'"),
        ("those of the set, not item=jacket", "those of the set, not item=jacket"),
    ],
)  # fmt: skip
def test_parameters_become_options(library: str, command_line: str) -> None:
    assert as_options(library, cli) == command_line


def test_names_come_from_the_commands() -> None:
    options, commands = command_names(cli)
    assert (options["space"], options["holdout_cold"]) == ("--space", "--holdout-cold")
    assert (commands["fit"], commands["fit_concept"]) == ("vecspeak fit", "vecspeak concept fit")


def texts_of(path: Path) -> list[tuple[int, str]]:
    """Every string of a file that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
    ]


_COMMANDS = "|".join(sorted({path.split()[1] for path in command_names(cli).commands.values()}))
# options of pip, and of vLLM's own command, whose only place is the export for it
_THEIRS = "no-deps|force-reinstall|upgrade|enable-prompt|no-enable-prefix|served-model|dtype|host|port"
_SAYS_OPTION = re.compile(rf"(?<![\w(-])--(?!{_THEIRS})[a-z]")
_SAYS_COMMAND = re.compile(rf"\bvecspeak ({_COMMANDS})\b")
_ROOT = Path(vecspeak.__file__).parent


@pytest.mark.parametrize(
    "path",
    [one for one in sorted(_ROOT.rglob("*.py")) if "cli" not in one.relative_to(_ROOT).parts],
    ids=lambda path: str(path.relative_to(_ROOT)),
)
def test_the_library_names_no_option_and_no_command(path: Path) -> None:
    found = [
        f"{line}: {text}"
        for line, text in texts_of(path)
        if _SAYS_OPTION.search(text) or _SAYS_COMMAND.search(text)
    ]
    assert not found
