"""Whether a wheel and a source archive hold what they should, and nothing else.

    python scripts/check_dist.py dist

The wheel: every tracked file of the package, the licence and the notice, the bill of materials; no other file. The
source archive: tracked files alone, with what it takes to build. Prints files and sizes, and ends with status 1 where
something is wrong.
"""

import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Collection, Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "src/"
WITH_WHEEL = ("METADATA", "WHEEL", "RECORD", "entry_points.txt")
OF_WHEEL = ("licenses/LICENSE", "licenses/NOTICE", "sboms/sbom.cdx.json")
OF_SOURCE = ("LICENSE", "NOTICE", "README.md", "SECURITY.md", "pyproject.toml", "sbom.cdx.json")
MOST = {"wheel": 40 << 20, "source archive": 60 << 20}
"""Bytes; the weights and vectors inside are 33 MB."""


def wheel_faults(names: Collection[str], tracked: Collection[str]) -> list[str]:
    """What a wheel of these files lacks or has too much."""
    own = {name.removeprefix(PACKAGE) for name in tracked if name.startswith(PACKAGE)}
    meta = {name.partition("/")[2] for name in names if ".dist-info/" in name}
    plain = sorted(name for name in names if ".dist-info/" not in name)
    return [
        *(f"lacks {name}" for name in sorted(own - set(plain))),
        *(f"lacks {name}" for name in OF_WHEEL if name not in meta),
        *(f"{name} does not belong" for name in plain if not name.startswith("vecspeak/")),
        *(f"{name} is not tracked" for name in plain if name.startswith("vecspeak/") and name not in own),
        *(f"{name} does not belong" for name in sorted(meta - {*WITH_WHEEL, *OF_WHEEL})),
    ]


def source_faults(names: Iterable[str], tracked: Collection[str]) -> list[str]:
    """What a source archive of these files lacks or has too much."""
    inside = {name.partition("/")[2] for name in names}
    return [
        *(f"lacks {name}" for name in OF_SOURCE if name not in inside),
        *(f"{name} is not tracked" for name in sorted(inside - {"PKG-INFO"}) if name not in tracked),
    ]


def main(folder: Path) -> int:
    """Print what there is and what is wrong; the exit status."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = set(listed.stdout.splitlines())
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as opened:
        in_wheel = {one.filename: one.file_size for one in opened.infolist()}
    with tarfile.open(source) as archive:
        in_source = {one.name: one.size for one in archive.getmembers() if one.isfile()}
    faults = []
    for kind, path, sizes, found in (
        ("wheel", wheel, in_wheel, wheel_faults(in_wheel, tracked)),
        ("source archive", source, in_source, source_faults(in_source, tracked)),
    ):
        size = path.stat().st_size
        found += [f"has {size:,} bytes, more than {MOST[kind]:,}"] if size > MOST[kind] else []
        print(f"{path.name}: {len(sizes):,} files, {sum(sizes.values()):,} bytes, packed {size:,}")
        largest = sorted(sizes, key=lambda name: -sizes[name])[:6]
        print("".join(f"  {sizes[name]:>12,}  {name}\n" for name in largest), end="")
        faults += [f"the {kind} {fault}" for fault in found]
    print("\n".join(faults) or "both hold what they should")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
