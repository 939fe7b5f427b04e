"""What an installation takes: pinned by digest, and written down in a bill of materials."""

import json
import re
import runpy
import tomllib
from pathlib import Path

import pytest

from vecspeak.encoders.text import DEFAULT_ENCODER, KNOWN_ENCODERS, locate_encoder
from vecspeak.errors import UserError
from vecspeak.model import pretrained
from vecspeak.model.pretrained import KNOWN_MODELS, locate_model, packaged_gguf
from vecspeak.storage import file_digest, read_json

ROOT = Path(__file__).parents[1]
BILL = json.loads((ROOT / "sbom.cdx.json").read_text(encoding="utf-8"))
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))
check_dist = runpy.run_path(str(ROOT / "scripts" / "check_dist.py"))
sbom = runpy.run_path(str(ROOT / "scripts" / "sbom.py"))


def test_the_bill_names_the_versions_of_the_constraints():
    pinned = {sbom["canonical"](name): version for name, version in PINNED.items()}
    packages = {one["name"]: one["version"] for one in BILL["components"] if one["type"] == "library"}
    wrong = {name for name, version in packages.items() if pinned.get(name, version) != version}
    assert wrong == set(), "make sbom"
    assert set(packages) - set(pinned) <= {"setuptools"}, "torch takes it, and pip freeze leaves it out"


def test_the_bill_names_every_package_of_the_project_and_every_model():
    """Not all that is installed here: another system or a GPU needs other packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [one for name in ("behavioral", "judge") for one in project["optional-dependencies"][name]]
    wanted = {re.match(r"[\w.-]+", one)[0] for one in [*project["dependencies"], *extras]}
    named = {one["name"] for one in BILL["components"]}
    assert {sbom["canonical"](name) for name in wanted} <= named, "make sbom"
    models = [one for one in BILL["components"] if one["type"] != "library"]
    assert models == [*sbom["_pinned"](), *sbom["_carried"]()], "make sbom"


def test_every_reference_of_the_bill_is_one_of_its_components():
    own = BILL["metadata"]["component"]["bom-ref"]
    known = [own, *(one["bom-ref"] for one in BILL["components"])]
    assert len(set(known)) == len(known)
    assert {one["ref"] for one in BILL["dependencies"]} <= set(known)
    assert {needed for one in BILL["dependencies"] for needed in one["dependsOn"]} <= set(known)
    assert all(one.get("licenses") for one in BILL["components"] if one["type"] == "library")


def test_the_wheel_carries_the_bill():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["sbom-files"] == ["sbom.cdx.json"]


@pytest.mark.parametrize("name", ["models.txt", "models-quality.txt"])
def test_every_model_package_is_pinned_by_digest(name):
    rows = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    assert rows and all(re.fullmatch(r"[\w.-]+==[\d.]+ --hash=sha256:[0-9a-f]{64}", row) for row in rows)
    recipe = (ROOT / "Makefile").read_text()
    assert f"--no-deps --require-hashes --requirement {name}" in recipe


def test_models_are_pinned_in_the_versions_that_messages_name():
    pinned = (ROOT / "models.txt").read_text()
    for known in [*KNOWN_MODELS.values(), KNOWN_ENCODERS[DEFAULT_ENCODER]]:
        assert f"\n{known.install.split()[-1]} " in pinned


@pytest.mark.model
def test_the_installed_models_are_those_that_the_reader_was_trained_on():
    card = read_json(ROOT / "src/vecspeak/assets/reader/manifest.json")["reader"]
    known = KNOWN_MODELS[card["base_model"]]
    assert file_digest(packaged_gguf(card["base_model"], known)) == known.sha256 == card["base_sha256"]
    weights = locate_encoder(card["encoder"]) / "model.safetensors"
    assert file_digest(weights) == card["encoder_sha256"]


def test_a_packaged_model_of_another_digest_is_not_opened(tmp_path, monkeypatch):
    (tmp_path / "m.gguf").write_bytes(b"GGUF, but not ours")
    other = pretrained.PackagedModel(
        package="p", file="m.gguf", size=18, sha256="0" * 64, install="pip install p", family="llama"
    )
    monkeypatch.setitem(pretrained.KNOWN_MODELS, "other", other)
    monkeypatch.setattr(pretrained, "package_folder", lambda package: tmp_path)
    monkeypatch.setattr(pretrained, "cache_folder", lambda: tmp_path / "cache")
    with pytest.raises(UserError, match="is not the file that is known; pip install p --force-reinstall"):
        locate_model("other")
    assert not (tmp_path / "cache" / "other").exists()


def test_an_encoder_of_another_size_is_not_opened(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"half")
    monkeypatch.setattr("vecspeak.encoders.text.package_folder", lambda package: tmp_path)
    with pytest.raises(UserError, match="missing or not 90,868,376 bytes long; .* --force-reinstall"):
        locate_encoder(DEFAULT_ENCODER)


WHEEL = [
    "vecspeak/__init__.py",
    "vecspeak/py.typed",
    "vecspeak/assets/reader/manifest.json",
    "vecspeak-0.1.0.dist-info/METADATA",
    "vecspeak-0.1.0.dist-info/RECORD",
    "vecspeak-0.1.0.dist-info/licenses/LICENSE",
    "vecspeak-0.1.0.dist-info/licenses/NOTICE",
    "vecspeak-0.1.0.dist-info/sboms/sbom.cdx.json",
]


@pytest.mark.parametrize(
    ("names", "wrong"),
    [
        (WHEEL, []),
        (WHEEL[:5] + WHEEL[6:], ["lacks licenses/LICENSE"]),
        (WHEEL[:-1], ["lacks sboms/sbom.cdx.json"]),
        ([*WHEEL, "tests/test_x.py"], ["tests/test_x.py does not belong"]),
        ([*WHEEL, "vecspeak/assets/other.safetensors"], ["vecspeak/assets/other.safetensors is not tracked"]),
        ([*WHEEL, "vecspeak/__pycache__/a.pyc"], ["vecspeak/__pycache__/a.pyc is not tracked"]),
    ],
)
def test_what_a_wheel_lacks_or_has_too_much_is_told(names, wrong):
    tracked = {
        "src/vecspeak/__init__.py",
        "src/vecspeak/py.typed",
        "src/vecspeak/assets/reader/manifest.json",
    }
    assert check_dist["wheel_faults"](names, tracked) == wrong


def test_what_a_source_archive_has_too_much_is_told():
    tracked = {"LICENSE", "NOTICE", "SECURITY.md", "README.md", "pyproject.toml", "sbom.cdx.json", "src/a.py"}
    names = [f"vecspeak-0.1.0/{name}" for name in sorted(tracked)]
    assert check_dist["source_faults"]([*names, "vecspeak-0.1.0/PKG-INFO"], tracked) == []
    faults = check_dist["source_faults"](
        [*names[1:], "vecspeak-0.1.0/work/x.bin", "vecspeak-0.1.0/PKG-INFO"], tracked
    )
    assert faults == ["lacks LICENSE", "work/x.bin is not tracked"]
