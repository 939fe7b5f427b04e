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
    "http_guard",
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
    "unread",
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
    "trust",
    "bulk",
    "served",
    "notebook",
    "server",
    "api",
    "agents",
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
    allowed = {
        "vecspeak.bulk.shards",
        "vecspeak.tables.parquet",
        "vecspeak.tasks.corpus",
        "vecspeak.training.dataset",
    }
    reading = {name for name, path in modules().items() if re.search(r"\bpq\.read_table\(", path.read_text())}
    assert reading <= allowed


OPENING = {"SentenceTransformer", "CrossEncoder", "SparseEncoder", "pipeline"}
FOREIGN = re.compile(r"Auto\w+|\w*Tokenizer\w*|\w*Model\w*|\w*Processor|\w+For[A-Z]\w+|\w*Config")


def _named(call, name):
    return next(
        (one.value.value for one in call.keywords if one.arg == name and hasattr(one.value, "value")), None
    )


def opening_calls():
    """Every call in our code that lets a library open a model, by file and line."""
    root = SOURCE.parents[1]
    for path in sorted(
        path for place in ("src", "scripts", "benchmarks") for path in (root / place).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            owner = getattr(getattr(node.func, "value", None), "id", "")
            loads = name in ("from_pretrained", "from_config") and owner not in ("VecSpeak", "Space", "cls")
            if name in OPENING or (loads and FOREIGN.fullmatch(owner)) or (loads and not owner):
                yield f"{path.relative_to(root)}:{node.lineno}", name, owner, node


def test_no_model_is_opened_with_code_of_its_own_or_from_pickles():
    calls = list(opening_calls())
    assert len(calls) >= 6  # else nothing was looked at
    for place, name, owner, call in calls:
        assert _named(call, "trust_remote_code") is False, f"{place}: trust_remote_code=False is missing"
        weights = name in OPENING or "Model" in owner
        passed = {one.arg: ast.unparse(one.value) for one in call.keywords}
        safe = passed.get("use_safetensors", passed.get("model_kwargs", ""))
        assert not weights or safe in ("True", "{'use_safetensors': True}"), f"{place}: safetensors only"
        assert "local_files_only" in passed, f"{place}: local_files_only=True is missing"


def test_the_floor_of_sentence_transformers_refuses_modules_of_a_models_own():
    """From 6.0 on the library asks for `trust_remote_code` for folders too; 5.0 runs what modules.json names."""
    needed = (SOURCE.parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    floor = re.search(r'"sentence-transformers>=(\d+)', needed)
    assert floor and int(floor[1]) >= 6
