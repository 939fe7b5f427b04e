"""The house in figures: how much code a checkout has and how it hangs together, a column for each checkout.

    python benchmarks/house.py CHECKOUT [CHECKOUT2] [--times] [--bundle FOLDER] [--out FILE.json]

Reads `src/vecspeak` of each checkout and runs nothing of it, but for `--times`. A room is the first name under
`vecspeak`: a folder or a module. An arrow is a room that imports another, wherever the import stands; a deferred
import stands in a function. Imports for types only (`if TYPE_CHECKING`) join rooms, and are left out of cycles. What
`vecspeak/__init__` imports, and who imports it, is told by no arrow: it stands for all rooms. A private function is
used once where its name is read once in its own file. Times are the best of five starts; with `--bundle` one is the
time until the first letter of an answer about it.
"""

import argparse
import ast
import io
import json
import os
import subprocess
import sys
import time
import tokenize
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache, cached_property
from pathlib import Path

from places import out_file

PACKAGE = "vecspeak"
TEMPLATES = (".html", ".j2", ".jinja", ".css", ".js")
SMALL_FILE, LONG_FUNCTION = 60, 60
"""Lines: files below the one are small, functions above the other are long."""
QUESTION = "Describe {x}."
STARTS = 5
"""Of each command; the shortest is told."""

Figure = int | float | str
Graph = Mapping[str, set[str]]
Function = ast.FunctionDef | ast.AsyncFunctionDef


class When(IntEnum):
    """When an import is carried out."""

    AT_ONCE = 0
    DEFERRED = 1
    """Inside a function."""
    NEVER = 2
    """For types only."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Module:
    """A Python file, read."""

    name: str
    """Dotted; of a folder's `__init__` the folder's."""
    is_package: bool
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        """Lines of the file, blank ones too."""
        return self.text.count("\n")

    @property
    def room(self) -> str:
        """The first name under the package; empty for the package's own `__init__`."""
        return self.name.removeprefix(PACKAGE).removeprefix(".").split(".")[0]

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All of the tree."""
        return list(ast.walk(self.tree))


def read_modules(source: Path) -> dict[str, Module]:
    """Every module under a folder, by its dotted name."""
    modules = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source.parent).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        text = path.read_text(encoding="utf-8")
        modules[name] = Module(name=name, is_package=is_package, text=text, tree=ast.parse(text))
    return modules


def _statements(
    node: ast.AST, when: When = When.AT_ONCE
) -> Iterator[tuple[ast.Import | ast.ImportFrom, When]]:
    """The imports under a node, with when each is carried out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, when
        elif isinstance(child, Function):
            yield from _statements(child, max(when, When.DEFERRED))
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            yield from _statements(child, When.NEVER)
        else:
            yield from _statements(child, when)


def _targets(module: Module, statement: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Dotted names that a statement may import, the longest first where one may be a name in the other."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names)
        return
    parts = module.name.split(".")
    above = statement.level - module.is_package
    start = parts[: len(parts) - above] if statement.level else []
    stem = ".".join([*start, *([statement.module] if statement.module else [])])
    yield from (f"{stem}.{alias.name}" for alias in statement.names)


def imports(modules: Mapping[str, Module], latest: When) -> dict[str, set[str]]:
    """The modules that each module imports, those carried out later than `latest` left out."""
    graph: dict[str, set[str]] = {name: set() for name in modules}
    for module in modules.values():
        for statement, when in _statements(module.tree):
            for target in _targets(module, statement) if when <= latest else ():
                found = target if target in modules else target.rpartition(".")[0]
                if found in modules and found != module.name:
                    graph[module.name].add(found)
    return graph


def groups(graph: Graph) -> dict[str, frozenset[str]]:
    """For each node those that it reaches and that reach it, itself among them."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        found, waiting = {start}, [start]
        while waiting:
            new = graph[waiting.pop()] - found
            found |= new
            waiting += new
        reached[start] = found
    return {node: frozenset(n for n in found if node in reached[n]) for node, found in reached.items()}


def cycles(graph: Graph) -> str:
    """How many cycles there are, and how many modules each has."""
    sizes = sorted((len(one) for one in set(groups(graph).values()) if len(one) > 1), reverse=True)
    return f"{len(sizes)} (of {', '.join(map(str, sizes))} files)" if sizes else "0"


def between_rooms(modules: Mapping[str, Module], graph: Graph) -> dict[str, set[str]]:
    """The rooms that each room imports; the package's own `__init__` is no room."""
    rooms: dict[str, set[str]] = {module.room: set() for module in modules.values() if module.room}
    for name, others in graph.items():
        room = modules[name].room
        if room:
            rooms[room] |= {modules[other].room for other in others} - {room, ""}
    return rooms


def levels(graph: Graph) -> int:
    """Rooms of the longest chain in which each imports the next; rooms of a cycle are one."""
    group_of = groups(graph)

    @cache
    def height(group: frozenset[str]) -> int:
        below = {group_of[other] for node in group for other in graph[node]} - {group}
        return 1 + max(map(height, below), default=0)

    return max(map(height, group_of.values()), default=0)


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _uses(module: Module) -> Counter[str]:
    """How often each name is read, or looked up in something."""
    return Counter(
        node.id if isinstance(node, ast.Name) else node.attr
        for node in module.nodes
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


def _comments(text: str) -> int:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type == tokenize.COMMENT for token in tokens)


def _docstring_words(module: Module) -> int:
    """Words of all strings that stand alone: docstrings, and those below a constant or a field."""
    return sum(
        len(node.value.value.split())
        for node in module.nodes
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _public_names(top: Module) -> int:
    """Names in `__all__`, or else those that the package defines or imports at its top, private ones left out."""
    names: set[str] = set()
    for node in top.tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            assigned = {target.id for target in targets if isinstance(target, ast.Name)}
            if "__all__" in assigned and isinstance(node.value, ast.List | ast.Tuple):
                return len(node.value.elts)
            names |= assigned
        elif isinstance(node, Function | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return sum(not name.startswith("_") for name in names)


def _is_option(node: ast.AST) -> bool:
    """A call of click's `option`."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "option"


def _options(modules: Iterable[Module]) -> int:
    """Options at all commands together: one that is kept under a name counts wherever it decorates a command."""
    kept = {
        target.id
        for module in modules
        for node in module.tree.body
        if isinstance(node, ast.Assign) and _is_option(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }

    def is_at_command(node: ast.AST) -> bool:
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        return _is_option(node) or name in kept

    functions = (node for module in modules for node in module.nodes if isinstance(node, Function))
    return sum(is_at_command(decorator) for function in functions for decorator in function.decorator_list)


def _sizes(source: Path, modules: Mapping[str, Module]) -> dict[str, Figure]:
    lines = sum(module.lines for module in modules.values())
    templates = [path for path in source.rglob("*") if path.suffix in TEMPLATES]
    rooms: dict[str, int] = defaultdict(int)
    for module in modules.values():
        rooms[module.room] += module.lines
    biggest = max(rooms, key=lambda room: rooms[room])
    return {
        "lines of Python": lines,
        "lines with templates": lines
        + sum(path.read_text(encoding="utf-8").count("\n") for path in templates),
        "files": len(modules),
        "packages (folders and top-level modules)": len(rooms),
        "biggest room": f"{biggest} ({rooms[biggest]:,} lines)",
        f"files under {SMALL_FILE} lines, without `__init__`": sum(
            module.lines < SMALL_FILE and not module.is_package for module in modules.values()
        ),
    }


def _structure(modules: Mapping[str, Module]) -> dict[str, Figure]:
    every = imports(modules, When.NEVER)
    rooms = between_rooms(modules, every)
    importers = Counter(other for others in every.values() for other in others)
    return {
        "import levels": levels(rooms),
        "arrows between rooms": sum(map(len, rooms.values())),
        "cycles between modules, deferred imports counted": cycles(imports(modules, When.DEFERRED)),
        "cycles between modules, at module level": cycles(imports(modules, When.AT_ONCE)),
        "files imported by exactly one other": sum(count == 1 for count in importers.values()),
    }


def _contents(modules: Mapping[str, Module]) -> dict[str, Figure]:
    every = list(modules.values())
    lines = sum(module.lines for module in every)
    functions = [(module, node) for module in every for node in module.nodes if isinstance(node, Function)]
    private = [(module, node.name) for module, node in functions if _is_private(node.name)]
    uses = {module.name: _uses(module) for module in every}
    classes = Counter(
        node.name for module in every for node in module.nodes if isinstance(node, ast.ClassDef)
    )
    return {
        "public names at the top": _public_names(modules[PACKAGE]),
        "functions": len(functions),
        "private functions": f"{len(private):,} ({len(private) / len(functions):.0%})",
        "private functions used once": sum(uses[module.name][name] == 1 for module, name in private),
        f"functions over {LONG_FUNCTION} lines": sum(
            (node.end_lineno or node.lineno) - node.lineno + 1 > LONG_FUNCTION for _, node in functions
        ),
        "classes": sum(classes.values()),
        "class names used more than once": sum(count > 1 for count in classes.values()),
        "`#` comments per 100 lines": round(100 * sum(_comments(module.text) for module in every) / lines, 1),
        "docstring words per 100 lines": round(100 * sum(map(_docstring_words, every)) / lines, 1),
        "options of the command line": _options([module for module in every if module.room == "cli"]),
    }


def _seconds(command: list[str], source: Path, *, to_first_letter: bool) -> float:
    """How long a command runs with the package from this folder, or takes to its first letter."""
    environment = {**os.environ, "PYTHONPATH": str(source.resolve()), "TOKENIZERS_PARALLELISM": "false"}
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdout is not None
        letters = process.stdout.read(1 if to_first_letter else -1)
        if not to_first_letter and process.wait() or to_first_letter and not letters:
            raise SystemExit(f"failed with {source}: {' '.join(command)}")
        seconds = time.perf_counter() - started
        process.kill()
    return seconds


def times(sources: Sequence[Path], bundle: Path | None, point: str) -> list[dict[str, Figure]]:
    """Seconds that a person waits, for each checkout; they take turns, so that a busy machine is so for all."""
    run = [sys.executable, "-m", PACKAGE]
    commands = {
        f"seconds of `import {PACKAGE}`": [sys.executable, "-c", f"import {PACKAGE}"],
        f"seconds of `{PACKAGE} --help`": [*run, "--help"],
    }
    first = f"seconds to the first letter of `{PACKAGE} ask`"
    if bundle is not None:
        commands[first] = [*run, "ask", str(bundle), QUESTION, "--at", f"x={point}"]
    found: list[dict[str, Figure]] = [{} for _ in sources]
    for name, command in commands.items():
        rounds = [
            [_seconds(command, one, to_first_letter=name == first) for one in sources] for _ in range(STARTS)
        ]
        for figures, seconds in zip(found, zip(*rounds, strict=True), strict=True):
            figures[name] = round(min(seconds), 3)
    return found


def measured(checkout: Path) -> dict[str, Figure]:
    """The figures of a checkout, by what they count."""
    source = checkout / "src" / PACKAGE
    modules = read_modules(source)
    if PACKAGE not in modules:
        raise SystemExit(f"{checkout} has no src/{PACKAGE}")
    return _sizes(source, modules) | _structure(modules) | _contents(modules)


def table(columns: Mapping[str, Mapping[str, Figure]]) -> str:
    """The figures as Markdown."""
    rows = dict.fromkeys(key for column in columns.values() for key in column)

    def cell(value: Figure) -> str:
        return f"{value:,}" if isinstance(value, int) else str(value)

    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    lines += [f"| {key} | {' | '.join(cell(c.get(key, '–')) for c in columns.values())} |" for key in rows]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkouts", nargs="+", type=Path, metavar="CHECKOUT")
    parser.add_argument("--times", action="store_true", help="also how long it takes to import and to start")
    parser.add_argument("--bundle", type=Path, help="a bundle to ask, with --times")
    parser.add_argument(
        "--at", default="random(0)", help="the point that is asked about (default: %(default)s)"
    )
    parser.add_argument("--out", type=out_file, help="a JSON file for the figures")
    given = parser.parse_args()
    names = [checkout.resolve().name for checkout in given.checkouts]
    if len(set(names)) < len(names):
        names = [str(checkout) for checkout in given.checkouts]
    columns = dict(zip(names, map(measured, given.checkouts), strict=True))
    if given.times:
        sources = [checkout / "src" for checkout in given.checkouts]
        for figures, more in zip(columns.values(), times(sources, given.bundle, given.at), strict=True):
            figures |= more
    print(table(columns))
    if given.out:
        given.out.write_text(json.dumps(columns, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
