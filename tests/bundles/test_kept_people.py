"""How one more person is made: kept with the users of a bundle, from the table of ratings on."""

import dataclasses
import json

import numpy as np
from click.testing import CliRunner

from vecspeak.bundles import load_bundle, save_entry
from vecspeak.cli.space import factorize
from vecspeak.points import evaluate
from vecspeak.points.foldin import FoldIn
from vecspeak.spaces import Space
from vecspeak.spaces.io import FactorSettings, load_factor_settings
from worlds import bundle, space

SETTINGS = FactorSettings(alpha=10.0, regularization=0.05, lowest=1.0, highest=5.0)


def users():
    return Space(name="pairs.users", ids=("a", "b"), labels=("a", "b"), vectors=space().vectors[:2] + 1)


def test_a_bundle_keeps_how_its_people_were_made(tmp_path):
    made = bundle(tmp_path / "b")
    changed = dataclasses.replace(made.entry(), users=users(), fold_in=FoldIn(settings=SETTINGS))
    kept = save_entry(made, changed).entry()
    assert kept.fold_in is not None
    assert kept.fold_in.settings == SETTINGS
    folded = evaluate('user({"Pair 0": 5, "Pair 1": 1})', kept.scope)
    np.testing.assert_array_equal(folded.vector, changed.fold_in.vector(space(), {"p0": 5.0, "p1": 1.0}))


def test_a_bundle_with_people_of_unknown_origin_keeps_that_nothing_is_known(tmp_path):
    made = bundle(tmp_path / "b")
    save_entry(made, dataclasses.replace(made.entry(), users=users()))
    assert load_bundle(tmp_path / "b").entry().fold_in is None


def test_factorize_writes_its_settings_beside_the_users(tmp_path):
    (tmp_path / "r.csv").write_text("u,i,r\na,x,4\na,y,2\nb,x,5\nb,y,1.5\n")
    flags = ["--user", "u", "--item", "i", "--rating", "r", "--dim", "2", "--json"]
    done = CliRunner().invoke(
        factorize, [str(tmp_path / "r.csv"), *flags, "--out", str(tmp_path / "b.parquet")]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["num_users"] == 2
    expected = FactorSettings(alpha=10.0, regularization=0.05, lowest=1.5, highest=5.0)
    assert load_factor_settings(tmp_path / "b.parquet") == expected
