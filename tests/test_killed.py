"""What a kill at a bad moment leaves: pairs of files, temporaries of any name, an atlas of two runs, Ctrl-C at once."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pytest

import vecspeak
from vecspeak.bundles.bundle import check_new_bundle
from vecspeak.cli import cli
from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.io import (
    FactorSettings,
    load_factor_settings,
    load_users,
    save_pair,
    save_space,
    users_path,
)
from vecspeak.storage import check_target, read_json, recover, recover_all, replace_file, scratch_folder

SETTINGS = FactorSettings(alpha=1.0, regularization=0.1, lowest=1.0, highest=5.0)


def behavioral(shift):
    """Items and users of one factorization."""
    vectors = np.eye(3, dtype=np.float32) + shift
    items = Space(
        name="films", ids=("a", "b", "c"), labels=("A", "B", "C"), vectors=vectors, metadata=pa.table({})
    )
    return items, dataclasses.replace(items, name="films.users", vectors=vectors + 1)


def killed_at(rename, call):
    """Call in a fork that is gone at its rename of that number."""
    child = os.fork()
    if not child:
        seen, replace = [], os.replace

        def counted(source, target):
            seen.append(target)
            if len(seen) == rename:
                os._exit(9)
            replace(source, target)

        os.replace = counted
        call()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("rename", [1, 2, 3])
def test_items_and_users_are_both_old_or_both_new_after_a_kill_at_any_rename(tmp_path, rename):
    path, old, new = tmp_path / "films.parquet", behavioral(0), behavioral(0.5)
    save_pair(*old, path, SETTINGS)
    killed_at(rename, lambda: save_pair(*new, path, SETTINGS))
    items, users = Space.load(path), load_users(path)
    expected = new if rename == 3 else old
    assert (items.digest, users.digest) == (expected[0].digest, expected[1].digest)
    assert load_factor_settings(path) == SETTINGS
    save_pair(*new, path, SETTINGS)
    assert load_users(path).digest == new[1].digest
    assert sorted(os.listdir(tmp_path)) == [".films.parquet.lock", "films.parquet", "films.users.parquet"]


def test_users_that_never_got_their_items_are_removed_by_the_next_save(tmp_path):
    path, old = tmp_path / "films.parquet", behavioral(0)
    save_pair(*old, path)
    (tmp_path / ".films.users.parquet.0123456789abcdef.next").write_bytes(users_path(path).read_bytes())
    assert load_users(path).digest == old[1].digest
    save_pair(*old, path)
    assert not list(tmp_path.glob("*.next")) and not list(tmp_path.glob(".*.next"))


def test_a_pair_stands_where_a_symbolic_link_leads(tmp_path):
    items, users = behavioral(0)
    (tmp_path / "far").mkdir()
    (tmp_path / "link.parquet").symlink_to(tmp_path / "far" / "films.parquet")
    save_pair(items, users, tmp_path / "link.parquet")
    assert {path.name for path in (tmp_path / "far").glob("*.parquet")} == {
        "films.parquet",
        "films.users.parquet",
    }
    for path in (tmp_path / "link.parquet", tmp_path / "far" / "films.parquet"):
        assert load_users(path).digest == users.digest


def test_users_that_an_older_vecspeak_wrote_beside_a_link_are_found(tmp_path):
    items, users = behavioral(0)
    save_pair(items, users, tmp_path / "films.parquet")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link.parquet").symlink_to(tmp_path / "films.parquet")
    os.rename(tmp_path / "films.users.parquet", tmp_path / "here" / "link.users.parquet")
    assert load_users(tmp_path / "here" / "link.parquet").digest == users.digest


_LEAVES = """
import os, sys
from vecspeak.storage import replace_file, scratch_folder
with scratch_folder(sys.argv[1] + "/mine.bundle") as beside:
    (beside / "reader").mkdir()
    with replace_file(sys.argv[1] + "/words-1234.parquet"):
        os._exit(9)
"""


def test_a_scratch_folder_goes_with_its_block_and_the_next_run_removes_a_killed_ones(tmp_path):
    with scratch_folder(tmp_path / "mine.bundle") as beside:
        recover(tmp_path / "mine.bundle")
        assert beside.is_dir(), "it is in use"
    assert not os.listdir(tmp_path)
    subprocess.run([sys.executable, "-c", _LEAVES, str(tmp_path)], check=False)
    assert len(os.listdir(tmp_path)) == 2
    with scratch_folder(tmp_path / "mine.bundle"):
        pass
    assert [name.split(".")[1] for name in os.listdir(tmp_path)] == ["words-1234"]


def test_what_kills_left_is_removed_whatever_it_was_to_become(tmp_path):
    subprocess.run([sys.executable, "-c", _LEAVES, str(tmp_path)], check=False)
    (tmp_path / ".notes.new").touch()
    with replace_file(tmp_path / "other") as living:
        recover_all(tmp_path)
        assert living.exists() and len(os.listdir(tmp_path)) == 2
    assert sorted(os.listdir(tmp_path)) == [".notes.new", "other"]
    recover_all(tmp_path / "nowhere")


def test_a_temporary_that_is_taken_for_a_leftover_before_it_is_held_is_made_again(tmp_path, monkeypatch):
    touch, taken = Path.touch, []

    def touched(self, **options):
        touch(self, **options)
        if not taken:
            taken.append(self)
            recover(tmp_path / "a.txt")

    monkeypatch.setattr(Path, "touch", touched)
    with replace_file(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
    assert taken and (tmp_path / "a.txt").read_text() == "new" and os.listdir(tmp_path) == ["a.txt"]


def test_a_folder_that_may_not_be_written_to_is_refused_by_the_name_of_the_output(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    for check, name in ((check_target, "a.txt"), (check_new_bundle, "new.bundle")):
        with pytest.raises(UserError, match=rf"cannot write .*/{name}: its folder .* may not be written to"):
            check(tmp_path / name)


@pytest.mark.parametrize("module", ["vecspeak.cli", "click", "vecspeak.evaluation.report", "msgspec"])
def test_ctrl_c_is_one_line_and_status_130_at_whatever_import_it_comes(tmp_path, module):
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def hook(event, given):\n"
        f"    if event == 'import' and given[0] == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "from vecspeak.__main__ import main\n"
        f"sys.argv = ['vecspeak', 'rate', {str(tmp_path / 'none')!r}]\n"
        "sys.addaudithook(hook)\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.strip()) == (130, "vecspeak: stopped")


def test_the_entry_point_imports_nothing_slow_before_it_minds_ctrl_c():
    code = (
        f"import sys; sys.path.insert(0, {str(Path(vecspeak.__file__).parents[1])!r}); before = set(sys.modules)\n"
        "import vecspeak.__main__\n"
        "print(len({'typing', 're', 'enum', 'click'} & (set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "0", done.stderr


def test_ctrl_c_stays_ignored_where_it_was(tmp_path):
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from vecspeak.__main__ import main\n"
        "sys.argv = ['vecspeak', '--version']; main()\n"
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


def test_a_space_alone_is_still_saved_alone(tmp_path):
    save_space(behavioral(0)[0], tmp_path / "films.parquet")
    assert os.listdir(tmp_path) == ["films.parquet"] and load_users(tmp_path / "films.parquet") is None


ROOT = Path(__file__).parents[1]
NOT_KILLED = {"demo", "labels", "map", "odd"}
"""The demo is made of other commands; labels are a folder that is swapped as a bundle is; a map is
saved in the bundle as the regions of an atlas are; odd wants more items."""


def commands(command, path=()):
    """Every command that is no group, by its path of names."""
    if not isinstance(command, click.Group):
        return {" ".join(path): command}
    context = click.Context(command)
    below = {name: command.get_command(context, name) for name in command.list_commands(context)}
    return {key: one for name, inner in below.items() for key, one in commands(inner, (*path, name)).items()}


@pytest.fixture
def cases(monkeypatch):
    """What `make kill` kills."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    from kill_cases import world

    yield world.cases("http://127.0.0.1:1/v1")
    for name in ("kill_cases", "kill_cases.world"):
        sys.modules.pop(name, None)


def test_every_command_that_writes_is_killed(cases):
    writing = {
        path
        for path, command in commands(cli).items()
        if any("--out" in one.opts or "--export-items" in one.opts for one in command.params)
    }
    killed = {" ".join(case.arguments(1)) for case in cases}
    assert {path for path in writing - NOT_KILLED if not any(one.startswith(path) for one in killed)} == set()


def test_what_was_measured_lost_nothing(cases):
    """`make kill` wrote it; the page shows it."""
    found = read_json(ROOT / "docs" / "scores" / "kills.json")["commands"]
    assert set(found) == {case.name for case in cases}
    assert [line for one in found.values() for line in one["wrong"]] == []
    assert sum(one["kill"] + one.get("random kill", 0) for one in found.values()) >= 100
