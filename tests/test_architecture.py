"""Architecture: imports go one way, the light parts stay light, and nothing is pickled."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "vecspeak"
ROOMS = (
    "foreign",
    "errors",
    "bounds",
    "console",
    "display",
    "evidence",
    "stats",
    "storage",
    "network",
    "tables",
    "stores",
    "lexicon",
    "llm_transport",
    "llm_client",
    "model",
    "spaces",
    "points",
    "encoders",
    "tasks",
    "bundles",
    "engines",
    "training",
    "beginnings",
    "answerable",
    "searching",
    "clauses",
    "writers",
    "asking",
    "inputs",
    "writing",
    "teachers",
    "evaluation",
    "building",
    "explore",
    "protocols",
    "report",
    "raters",
    "api",
    "demo",
    "cli",
    "__main__",
)
"""Every room of the package, from the ground up. A module imports from its own room and from rooms before it."""
LIGHT = (
    "vecspeak",
    "vecspeak.cli",
    "vecspeak.api",
    "vecspeak.asking",
    "vecspeak.evidence",
    "vecspeak.bundles.manifest",
    "vecspeak.engines.openvino",
    "vecspeak.model.reader.prompt",
    "vecspeak.points",
    "vecspeak.model.reader.prompt",
    "vecspeak.training.recipe",
)


def unit_of(module):
    """`spaces` for `vecspeak.spaces.io`; empty for the package itself."""
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


def all_imports(module):
    """Every import of ours in a module, those inside functions too."""
    nodes = ast.walk(ast.parse(modules()[module].read_text()))
    return {
        n for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for n in imported(node, module)
    }


def test_every_room_has_its_rank():
    rooms = {unit_of(module) for module in modules()} - {""}
    assert rooms == set(ROOMS), "a new room: give it a rank in ROOMS"


@pytest.mark.parametrize("module", [name for name in modules() if unit_of(name)])
def test_imports_go_strictly_down(module):
    room = unit_of(module)
    below = {"", *ROOMS[: ROOMS.index(room) + 1]}
    wrong = {name for name in all_imports(module) if unit_of(name) not in below}
    assert not wrong, f"{module} may not import {', '.join(sorted(wrong))}"


def test_modules_import_each_other_without_cycles_deferred_imports_counted():
    done, path = set(), []

    def visit(module):
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done or module not in modules():
            return
        path.append(module)
        for name in sorted(all_imports(module) - {module, "vecspeak"}):
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
def test_every_module_has_a_docstring(module):
    assert ast.get_docstring(ast.parse(modules()[module].read_text()))


def test_nothing_is_pickled():
    forbidden = re.compile(
        r"\bimport c?pickle|\bpickle\.\w|torch\.load\((?!.*weights_only=True)|allow_pickle\s*=\s*True|joblib|\bdill\b"
    )
    found = [
        f"{module}: {line.strip()}"
        for module, path in modules().items()
        for line in path.read_text().splitlines()
        if forbidden.search(line) or ("np.load(" in line and "allow_pickle=False" not in line)
    ]
    assert found == []


def test_only_the_console_draws_progress():
    drawing = {name for name, path in modules().items() if "import tqdm" in path.read_text()}
    assert drawing == {"vecspeak.console"}


def test_openvino_is_imported_in_one_place():
    """Where its usage statistics are left out."""
    importing = re.compile(r"^\s*(import|from) openvino(?!\._)", re.MULTILINE)
    assert {name for name, path in modules().items() if importing.search(path.read_text())} == {
        "vecspeak.model.quiet_openvino"
    }


def test_only_storage_hashes():
    hashing = {name for name, path in modules().items() if "import hashlib" in path.read_text()}
    assert hashing == {"vecspeak.storage"}


def test_cells_become_pythons_in_one_place():
    """Foreign columns hold what Python cannot: only `tables.cells` asks Arrow for values, and says where one failed."""
    asked = {
        name
        for name, path in modules().items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("to_pylist", "as_py", "to_pydict", "to_pandas_dtype")
        or isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "getattr"
        and any(isinstance(one, ast.Constant) and one.value in ("to_pylist", "as_py") for one in node.args)
    }
    assert asked == {"vecspeak.tables.cells"}


def test_parquet_is_read_within_bounds():
    """Whole Parquet files of others are read by `tables.parquet`, which asks their footers first."""
    allowed = {"vecspeak.tables.parquet", "vecspeak.tasks.corpus", "vecspeak.training.dataset"}
    reading = {name for name, path in modules().items() if re.search(r"\bpq\.read_table\(", path.read_text())}
    assert reading <= allowed
