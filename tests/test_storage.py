import errno
import json
import os
import subprocess
import sys
import threading

import pytest

from vecspeak.errors import UserError
from vecspeak.storage import (
    copy_folder,
    file_digest,
    lock,
    read_json,
    recover,
    replace_file,
    replace_folder,
    write_json,
)


def _write_folder(path, content):
    with replace_folder(path) as temporary:
        (temporary / "manifest.json").write_text(content)
        (temporary / "inner").mkdir()
        (temporary / "inner" / "weights").write_text(content)


def test_a_replaced_file_holds_the_new_bytes_and_leaves_nothing_beside_it(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with replace_file(tmp_path / "a.txt") as temporary:
        assert (tmp_path / "a.txt").read_text() == "old"
        temporary.write_text("new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_save_of_a_file_leaves_the_old_bytes_and_no_temporary(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error), replace_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("I/O error: No space left (os error 28)"),
    ],
    ids=["python", "rust"],
)
def test_a_full_disk_names_the_path_and_what_stays(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(UserError, match=r"cannot write .*a\.txt: no space is left.*what was there is intact"):
        with replace_file(target):
            raise error
    assert target.read_text() == "old"


def test_a_real_full_disk_is_a_user_error(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with pytest.raises(UserError, match="no space is left on the device; nothing was written"):
        with replace_file(tmp_path / "a.txt") as temporary:
            temporary.unlink()
            temporary.symlink_to("/dev/full")
            temporary.write_text("x" * 100_000)


def test_a_stream_of_openvino_that_fails_is_a_user_error(tmp_path):
    with pytest.raises(
        UserError, match="the disk reports an error; nothing was written; see whether it is full"
    ):
        with replace_folder(tmp_path / "prepared"):
            raise RuntimeError("basic_ios::clear: iostream error")


def test_a_missing_folder_is_told_before_any_work(tmp_path):
    with pytest.raises(UserError, match="its folder does not exist; nothing was written"):
        with replace_file(tmp_path / "nowhere" / "a.txt"):
            raise AssertionError("the block must not start")


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="it is a folder"), replace_file(tmp_path):
        pass


def test_a_missing_file_that_the_block_reads_is_not_blamed_on_the_target(tmp_path):
    with pytest.raises(FileNotFoundError), replace_file(tmp_path / "a.txt"):
        open(tmp_path / "other.txt").close()


def test_a_replaced_file_keeps_its_permissions_and_its_symbolic_link(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "real.txt").chmod(0o640)
    (tmp_path / "link.txt").symlink_to("real.txt")
    with replace_file(tmp_path / "link.txt") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    assert (tmp_path / "real.txt").stat().st_mode & 0o777 == 0o640


def test_what_only_looks_like_a_file_is_not_replaced(tmp_path):
    """A rename would put a plain file in the place of a device, for everybody on the machine."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UserError, match="a device or a pipe"), replace_file(pipe):
        raise AssertionError("nothing may be written")
    assert pipe.is_fifo()


def test_a_replaced_folder_holds_only_what_is_new(tmp_path):
    _write_folder(tmp_path / "bundle", "old")
    (tmp_path / "bundle" / "stale").touch()
    _write_folder(tmp_path / "bundle", "new")
    assert sorted(os.listdir(tmp_path / "bundle")) == ["inner", "manifest.json"]
    assert (tmp_path / "bundle" / "inner" / "weights").read_text() == "new"
    assert os.listdir(tmp_path) == ["bundle"]


def test_an_interrupted_save_of_a_folder_leaves_the_old_one(tmp_path):
    _write_folder(tmp_path / "bundle", "old")
    with pytest.raises(KeyboardInterrupt), replace_folder(tmp_path / "bundle") as temporary:
        (temporary / "manifest.json").write_text("half")
        raise KeyboardInterrupt
    assert (tmp_path / "bundle" / "manifest.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["bundle"]


def test_a_rename_that_fails_brings_the_old_folder_back(tmp_path, monkeypatch):
    _write_folder(tmp_path / "bundle", "old")
    rename = os.rename

    def fails_for_the_new_one(source, target):
        if str(source).endswith(".new"):
            raise OSError(errno.EIO, "I/O error")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails_for_the_new_one)
    with pytest.raises(UserError, match="the disk reports an error; what was there is intact"):
        _write_folder(tmp_path / "bundle", "new")
    assert (tmp_path / "bundle" / "manifest.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["bundle"]


def test_a_folder_of_other_files_is_not_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(UserError, match=r"holds other files and no manifest\.json"):
        _write_folder(tmp_path / "home", "new")
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "bundle").mkdir()
    _write_folder(tmp_path / "bundle", "new")
    assert (tmp_path / "bundle" / "manifest.json").read_text() == "new"


_KILLED = """
import os, sys
from pathlib import Path
from vecspeak.storage import replace_folder
rename = os.rename
def dies(source, target):
    if str(source).endswith(".new"):
        os._exit(9)
    rename(source, target)
if sys.argv[2] == "between":
    os.rename = dies
with replace_folder(sys.argv[1]) as temporary:
    (temporary / "manifest.json").write_text("new")
    if sys.argv[2] == "during":
        os._exit(9)
"""


@pytest.mark.parametrize(("moment", "at_path"), [("during", True), ("between", False)])
def test_a_killed_save_of_a_folder_is_recovered_to_the_old_one(tmp_path, moment, at_path):
    target = tmp_path / "bundle"
    _write_folder(target, "old")
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(target), moment], env=os.environ)
    assert killed.returncode == 9
    assert target.exists() == at_path
    assert len(os.listdir(tmp_path)) == 2
    recover(target)
    assert (target / "manifest.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["bundle"]


def test_recovering_does_not_touch_what_is_still_being_written(tmp_path):
    with replace_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        recover(tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text() == "new"


def test_recovering_leaves_files_of_other_names_alone(tmp_path):
    (tmp_path / ".b.txt.00000000.new").touch()
    (tmp_path / ".a.txt.notes.new").touch()
    (tmp_path / ".a.txt.00000000.new").touch()
    recover(tmp_path / "a.txt")
    assert sorted(os.listdir(tmp_path)) == [".a.txt.notes.new", ".b.txt.00000000.new"]


def test_json_comes_back_as_it_was_written(tmp_path):
    value = {"title": "Amélie", "scores": [1, 0.5, None]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "Amélie" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert json.loads((tmp_path / "a.json").read_text()) == 1


@pytest.mark.parametrize("content", [b'{"a": ', b"\xff\xfe", b"[" * 100_000])
def test_broken_json_is_a_user_error_with_its_path(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.json (is not valid JSON|has brackets more than 64)"):
        read_json(tmp_path / "a.json")


def test_missing_json_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"there is no file .*a\.json"):
        read_json(tmp_path / "a.json")


def test_the_digest_of_abc_is_the_published_one(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_second_writer_waits_for_the_first(tmp_path):
    path, order = tmp_path / "thing", []

    def second():
        with lock(path):
            order.append("second")

    with lock(path):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        order.append("first")
    waiting.join(5)
    assert order == ["first", "second"]


def test_a_copied_folder_is_the_same(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"1")
    copy_folder(tmp_path / "a", tmp_path / "x")
    assert (tmp_path / "x" / "b" / "c").read_bytes() == b"1"
