"""A bundle's life: whatever is done to it in whatever order, nothing is lost and nothing is mixed.

Hypothesis makes up lives: fits, concepts, regions, people, moves, copies, two who edit at once, kills at any event that
changes a file. A kill is simulated: from the event on, nothing changes on disk any more. After each step every bundle
is opened again, and what it holds (vectors, words, points, concepts, regions, people) is what should be there.
"""

import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from fakes import WORDS, WordEncoder
from vecspeak.api import VecSpeak
from vecspeak.bundles import Bundle, Manifest, ReaderCard
from vecspeak.bundles.bundle import file_digests
from vecspeak.errors import UserError
from vecspeak.points import Concept
from vecspeak.spaces import Space
from vecspeak.storage import write_json

ENCODER = WordEncoder()
ASKED = (
    '"Item 3"',
    'mid("Item 1", "Item 2", 0.3)',
    "cluster(0)",
    '"Item 1" + 2*scary',
    'user("u1")',
    'centroid(kind = "b")',
)
_CHANGES = {
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.truncate",
    "os.link",
    "os.symlink",
    "os.chmod",
}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Killed(BaseException):
    """The process is gone."""


class Disk:
    """After so many events that change files every further one fails: a dead process tidies nothing up."""

    left: int | None = None
    seen: list[str] = []

    def hook(self, event, arguments):
        if self.left is None:
            return
        if event in _CHANGES or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
        ):
            if len(self.seen) >= self.left:
                raise Killed
            self.seen.append(event)

    def allow(self, events, work):
        """Do the work, but no more than so many changes of it; whether it ended."""
        self.left, self.seen = events, []
        try:
            work()
            return True
        except Killed:
            return False
        finally:
            self.left = None

    def changes(self, work):
        """The events of a work that is left to end."""
        self.allow(10**6, work)
        return self.seen


@cache
def disk():
    made = Disk()
    sys.addaudithook(made.hook)  # stays as long as Python runs
    return made


@cache
def reader():
    """A bundle without spaces whose reader is a stand-in."""
    folder = Path(tempfile.mkdtemp(prefix="life-reader-"))
    (folder / "reader" / "lora").mkdir(parents=True)
    for name in ("adapter.safetensors", "lora/adapter_model.safetensors", "lora/adapter_config.json"):
        (folder / "reader" / name).write_bytes(b"{}")
    card = ReaderCard(
        base_model="none",
        base_sha256="",
        encoder=ENCODER.name,
        encoder_sha256="",
        adapter={"vector_dim": ENCODER.dim},
        chat={},
    )
    manifest = Manifest(name="source", reader=card, files=file_digests(folder, "reader"))
    write_json(folder / "manifest.json", manifest.to_dict())
    return Bundle(folder=folder, manifest=manifest, entries={})


@cache
def space(name, variant):
    """40 items of four words, read as they are, so that a fit takes milliseconds."""
    draw = np.random.default_rng(variant)
    texts = [" ".join(draw.choice(WORDS, size=4)) for _ in range(40)]
    return Space(
        name=name,
        ids=tuple(f"i{row}" for row in range(40)),
        labels=tuple(f"Item {row}" for row in range(40)),
        vectors=ENCODER.encode(texts),
        encoder=ENCODER.name,
        metadata=pa.table({"text": texts, "kind": ["a" if row % 3 else "b" for row in range(40)]}),
    )


@cache
def people(name):
    vectors = np.random.default_rng(9).normal(size=(3, ENCODER.dim)).astype(np.float32)
    return Space(name=f"{name}.users", ids=("u1", "u2", "u3"), labels=("u1", "u2", "u3"), vectors=vectors)


def concept(of, name, seed):
    direction = np.random.default_rng(seed).normal(size=of.dim)
    direction = (direction / np.linalg.norm(direction)).astype(np.float32)
    return Concept(
        name=name, space=of.name, space_digest=of.digest, direction=direction, scale=0.5, method="given"
    )


def facts(vs):
    """What a bundle holds, by space, and what it answers without a language model."""
    found = {}
    for name, entry in vs.bundle.entries.items():
        points = {}
        for text in ASKED:
            try:
                points[text] = vs.point(text, space=name).vector.tobytes()
            except UserError as error:  # no such concept, region or person there
                points[text] = error.message
        found[name] = {
            "digest": entry.space.digest,
            "held out": entry.held_out,
            "concepts": {key: one.direction.tobytes() for key, one in entry.concepts.items()},
            "regions": entry.clusters.labels.tobytes() if entry.clusters else None,
            "people": entry.users.digest if entry.users else None,
            "words": str(vs.words('"Item 3"', 5, space=name)),
            "points": points,
        }
    return found


@cache
def first():
    """The bundle that every life begins with: two spaces, one of them with people."""
    folder = Path(tempfile.mkdtemp(prefix="life-first-")) / "b"
    vs = VecSpeak(reader(), encoder=ENCODER).fit(space("films", 0), users=people("films"))
    vs.fit(space("words", 0)).save(folder)
    return folder


def opened(folder):
    return VecSpeak.load(folder, encoder=ENCODER, notify=lambda note: None)


def change(vs, what, name, number):
    """One change of an opened bundle."""
    if what == "fit":
        vs.fit(
            space(name, number % 2),
            holdout=0.1 * (number % 3),
            users=people(name) if number % 4 == 0 else None,
        )
    elif what == "concept":
        vs.add_concepts(concept(vs.entry(name).space, ("scary", "slow")[number % 2], number), space=name)
    elif what == "forget":
        vs.remove_concept(("scary", "slow")[number % 2], space=name)
    else:
        vs.atlas(n_regions=2 + number % 3, method="kmeans", reader=False, space=name)


changes = st.tuples(
    st.sampled_from(("fit", "concept", "concept", "forget", "regions")),
    st.sampled_from(("films", "words")),
    st.integers(0, 11),
)


class BundleLife(RuleBasedStateMachine):
    """Bundles in a folder, and what each should hold."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="life-"))
        self.known, self.number = {}, 0

    def teardown(self):
        disk().left = None
        shutil.rmtree(self.root)

    def new_name(self):
        self.number += 1
        return self.root / f"{self.number}.bundle"

    @initialize()
    def begins(self):
        folder = self.new_name()
        shutil.copytree(first(), folder)
        self.known[folder] = facts(opened(folder))

    def some_folder(self, number):
        return sorted(self.known)[number % len(self.known)]

    @rule(of=st.integers(0, 9), done=changes)
    def is_changed(self, of, done):
        folder = self.some_folder(of)
        before, vs = self.known[folder], opened(folder)
        try:
            change(vs, *done)
        except UserError:  # a concept, or a space, that is not there
            return
        vs.save()
        after = facts(opened(folder))
        what, name, number = done
        assert after == facts(vs), "what was saved is not what is opened"
        assert {key: value for key, value in after.items() if key != name} == {
            key: value for key, value in before.items() if key != name
        }, "another space was touched"
        self.has_changed(before.get(name), after[name], what, number)
        self.known[folder] = after

    def has_changed(self, before, after, what, number):
        """What a change touches is changed, and the rest of the space is as it was."""
        named = ("scary", "slow")[number % 2]
        if what == "fit":
            is_same = before is not None and before["digest"] == after["digest"]
            assert after["concepts"] == (before["concepts"] if is_same else {})
            assert after["regions"] == (before["regions"] if is_same else None)
            had_people = is_same and before["people"] is not None
            assert (after["people"] is not None) == (number % 4 == 0 or had_people)
            return
        untouched = {"digest", "held out", "people", "words"} | (
            {"regions"} if what != "regions" else {"concepts"}
        )
        assert all(before[key] == after[key] for key in untouched)
        if what in ("concept", "forget"):
            assert (named in after["concepts"]) == (what == "concept")
            others = [
                {key: one for key, one in held["concepts"].items() if key != named}
                for held in (before, after)
            ]
            assert others[0] == others[1], "another concept was touched"

    @rule(of=st.integers(0, 9), done=changes, share=st.floats(0, 1), at_rename=st.booleans())
    def is_killed_while_it_saves(self, of, done, share, at_rename):
        folder = self.some_folder(of)
        copied = self.new_name()
        shutil.copytree(folder, copied)
        whole, vs = opened(copied), opened(folder)
        try:
            change(whole, *done)
            change(vs, *done)
        except UserError:
            shutil.rmtree(copied)
            return
        events = disk().changes(whole.save)
        wanted = facts(opened(copied))
        shutil.rmtree(copied)
        # between the renames that put the new in the place of the old a bundle is most easily lost
        renames = [
            place + after for place, event in enumerate(events) if event == "os.rename" for after in (0, 1)
        ]
        moments = renames if at_rename else range(len(events) + 1)
        disk().allow(moments[round(share * (len(moments) - 1))], vs.save)
        found = facts(opened(folder))
        assert found in (self.known[folder], wanted), "neither the old nor the new bundle"
        self.known[folder] = found

    @rule(of=st.integers(0, 9))
    def is_moved(self, of):
        folder = self.some_folder(of)
        moved = self.new_name()
        folder.rename(moved)
        self.known[moved] = self.known.pop(folder)

    @precondition(lambda self: len(self.known) < 3)
    @rule(of=st.integers(0, 9), by_hand=st.booleans())
    def is_copied(self, of, by_hand):
        folder, copied = self.some_folder(of), self.new_name()
        if by_hand:
            shutil.copytree(folder, copied)
        else:
            opened(folder).save(copied)
        self.known[copied] = self.known[folder]

    @rule(of=st.integers(0, 9), done=changes, number=st.integers(0, 11))
    def is_changed_by_two(self, of, done, number):
        """Who opened it before another's change adds a concept to what is there now, or is refused."""
        name = done[1]
        folder = self.some_folder(of)
        then, vs = self.known[folder], opened(folder)
        self.is_changed(of, done)
        now, named = self.known[folder], ("scary", "slow")[number % 2]
        added = concept(vs.entry(name).space, named, number)
        vs.add_concepts(added, space=name)
        try:
            vs.save()
        except UserError:
            assert now[name]["digest"] != then[name]["digest"], "refused although the space is the same"
            return
        after = facts(opened(folder))
        assert after[name]["concepts"] == now[name]["concepts"] | {named: added.direction.tobytes()}
        assert {key: after[name][key] for key in ("digest", "regions", "people")} == {
            key: now[name][key] for key in ("digest", "regions", "people")
        }, "what another one saved meanwhile is lost"
        assert {key: one for key, one in after.items() if key != name} == {
            key: one for key, one in now.items() if key != name
        }
        self.known[folder] = after

    @invariant()
    def every_bundle_holds_what_it_should(self):
        for folder, wanted in self.known.items():
            assert facts(opened(folder)) == wanted
        left = {path.name for path in self.root.iterdir()} - {folder.name for folder in self.known}
        assert all(name.endswith(".lock") for name in left), f"left behind: {left}"


def test_whatever_happens_to_bundles_nothing_is_lost_or_mixed(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a kill is no power cut
    lives = settings(
        max_examples=4,
        stateful_step_count=6,
        phases=[Phase.generate],
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(BundleLife, settings=lives)


def test_a_life_by_hand_meets_two_who_edit_and_kills_between_renames(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    life = BundleLife()
    life.begins()
    life.is_changed_by_two(0, ("concept", "films", 1), 0)
    life.is_changed_by_two(0, ("regions", "films", 2), 1)
    life.is_changed_by_two(0, ("fit", "films", 1), 1)  # on other content: the other one is refused
    for number, share in enumerate((0.0, 0.3, 0.6, 1.0)):
        life.is_killed_while_it_saves(0, ("concept", "words", number), share=share, at_rename=True)
    life.is_copied(0, by_hand=True)
    life.is_moved(0)
    life.every_bundle_holds_what_it_should()
    assert len(life.known) == 2
    life.teardown()


def test_a_simulated_kill_leaves_the_old_bundle_or_the_new_one_and_reaches_both(tmp_path, monkeypatch):
    """What the lives rely on: early kills leave the old bundle, late ones the new, and a later save tidies up."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    folder = tmp_path / "b"
    VecSpeak(reader(), encoder=ENCODER).fit(space("films", 0)).save(folder)
    outcomes, events = [], 0
    for number in range(12):
        vs = opened(folder)
        names = set(vs.concepts())
        vs.add_concepts(concept(vs.space, f"c{number}", number))
        if not number:
            events = len(disk().changes(vs.save))
            continue
        was_killed = not disk().allow(events * number // 11 - 1, vs.save)
        found = set(opened(folder).concepts())
        assert was_killed and found in (names, names | {f"c{number}"})
        outcomes.append(f"c{number}" in found)
    assert outcomes == sorted(outcomes) and set(outcomes) == {False, True}
    assert {path.name for path in tmp_path.iterdir()} <= {"b", ".b.lock"}
