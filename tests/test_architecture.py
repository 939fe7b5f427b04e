"""Architecture: imports go one way, the light parts stay light, and nothing is pickled."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "vecspeak"
BOTTOM = {"errors", "alone", "files", "journal", "machine"}
MAY_IMPORT = {
    "errors": set(),
    "alone": {"errors"},
    "files": {"errors"},
    "journal": {"files"},
    "machine": set(),
    "picture": set(),
    "chat": {"errors"},
    "alignment": {"errors"},
    "prompts": {"errors"},
    "adapter": {"errors"},
    "spaces": BOTTOM,
    "points": BOTTOM | {"spaces"},
    "embedders": BOTTOM | {"spaces", "bases"},
    "tasks": BOTTOM | {"prompts", "spaces"},
    "layout": {"prompts"},
    "injection": {"errors", "adapter", "prompts", "layout"},
    "model": {"errors", "injection", "adapter", "prompts", "layout"},
    "bases": BOTTOM,
}
MAY_IMPORT["bundles"] = set(MAY_IMPORT) - {"tasks", "embedders"}
MAY_IMPORT["training"] = set(MAY_IMPORT)
MAY_IMPORT["engines"] = set(MAY_IMPORT) - {"training", "tasks", "embedders"}
MIDDLE = {
    "evaluation",
    "judging",
    "rating",
    "teachers",
    "asking",
    "tracing",
    "fitting",
    "profiles",
    "building",
    "shipped",
    "regions",
    "concepts",
}
"""What the ways in stand on; among themselves they may import, as long as there is no cycle."""
TOP = {"__main__", "cli", "server", "demo"}
LIGHT = (
    "vecspeak",
    "vecspeak.cli",
    "vecspeak.asking",
    "vecspeak.bundles.manifest",
    "vecspeak.engines.openvino",
    "vecspeak.layout",
    "vecspeak.points",
    "vecspeak.prompts",
    "vecspeak.training.recipe",
)


def unit_of(module):
    """`spaces` for `vecspeak.spaces.formats`; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


@cache
def modules():
    """Every module by its dotted name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(node, module):
    """Dotted names of ours that an import statement names."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    else:
        base = node.module or ""
        if node.level:
            package = module if modules()[module].name == "__init__.py" else module.rpartition(".")[0]
            kept = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*kept, *filter(None, [base])])
        whole = [f"{base}.{alias.name}" for alias in node.names]
        names = [name if name in modules() else base for name in whole]
    return {name for name in names if name.split(".")[0] == "vecspeak"}


def is_only_for_types(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_at_the_top(module):
    """What importing a module imports: no function bodies, nothing for type checkers alone."""
    found, waiting = set(), list(ast.parse(modules()[module].read_text()).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= imported(node, module)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not is_only_for_types(node):
            waiting += ast.iter_child_nodes(node)
    return found - {module}


def all_imports(module):
    """Every import of ours in a module, those inside functions too."""
    nodes = ast.walk(ast.parse(modules()[module].read_text()))
    return {
        n for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for n in imported(node, module)
    }


def allowed(unit):
    if unit in TOP:
        return set(MAY_IMPORT) | MIDDLE | TOP
    return set(MAY_IMPORT) | MIDDLE if unit in MIDDLE else MAY_IMPORT[unit]


def test_every_part_of_the_package_has_its_place():
    units = {unit_of(module) for module in modules()} - {""}
    assert units <= set(MAY_IMPORT) | MIDDLE | TOP, "a new part: give it a place in this file"


@pytest.mark.parametrize("module", modules())
def test_imports_go_one_way(module):
    unit = unit_of(module)
    wrong = {name for name in all_imports(module) if unit_of(name) not in {"", unit, *allowed(unit or "cli")}}
    assert not wrong, f"{module} may not import {', '.join(sorted(wrong))}"


def test_modules_import_each_other_without_cycles():
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done or module not in modules():
            return
        path.append(module)
        for name in sorted(imports_at_the_top(module)):
            visit(name)
        done.add(path.pop())

    for module in modules():
        visit(module)
    assert done == set(modules())


@pytest.mark.parametrize("module", [name for name in LIGHT if name in modules()])
def test_the_light_parts_load_no_torch(module):
    code = (
        f"import sys, {module}; print([n for n in ('torch', 'transformers', 'sklearn') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("module", modules())
def test_every_module_says_what_it_knows(module):
    assert ast.get_docstring(ast.parse(modules()[module].read_text()))


def test_nothing_is_pickled():
    forbidden = re.compile(
        r"\bimport c?pickle|\bpickle\.\w|torch\.(load|save)\(|allow_pickle\s*=\s*True|joblib|\bdill\b"
    )
    found = [
        f"{module}: {line.strip()}"
        for module, path in modules().items()
        for line in path.read_text().splitlines()
        if forbidden.search(line) or ("np.load(" in line and "allow_pickle=False" not in line)
    ]
    assert found == []
