import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.io import FactorSettings, load_factor_settings, save_space, save_users, users_path

SETTINGS = FactorSettings(alpha=10.0, regularization=0.05, lowest=0.5, highest=5.0)


def a_space(name="movies"):
    return Space(name=name, ids=("1", "2"), labels=("Heat", "Alien"), vectors=np.eye(2) + 1)


def test_only_what_lies_above_the_own_mean_adds_confidence():
    found = SETTINGS.confidences(np.array([1.0, 3.0, 5.0]), 3.0)
    assert found.tolist() == [1.0, 1.0, 21.0]
    assert SETTINGS.confidences(np.array([4.0, 4.0]), np.array([3.0, 5.0])).tolist() == [11.0, 1.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": -1.0}, "alpha must be 0 or more, and -1.0 was given"),
        ({"regularization": float("inf")}, "regularization must be 0 or more, and inf was given"),
        ({"lowest": 6.0}, "ratings cannot go from 6 to 5"),
        ({"highest": float("nan")}, "ratings cannot go from 0.5 to nan"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        FactorSettings(**{**SETTINGS.to_dict(), **change})


def test_settings_travel_with_the_users(tmp_path):
    path = tmp_path / "movies.parquet"
    save_space(a_space(), path)
    assert load_factor_settings(path) is None
    save_users(a_space(), a_space("users"), path)
    assert load_factor_settings(path) is None
    save_users(a_space(), a_space("users"), path, SETTINGS)
    assert load_factor_settings(path) == SETTINGS


@pytest.mark.parametrize(
    "harm",
    [3, {}, {"alpha": "ten"}, {**SETTINGS.to_dict(), "alpha": -1.0}, {**SETTINGS.to_dict(), "alpha": True}],
)
def test_settings_that_are_none_are_told_with_what_to_type(tmp_path, harm):
    path = tmp_path / "movies.parquet"
    save_space(a_space(), path)
    save_users(a_space(), a_space("users"), path)
    table = pq.read_table(users_path(path))
    header = {**json.loads(table.schema.metadata[b"vecspeak"]), "factors": harm}
    pq.write_table(table.replace_schema_metadata({b"vecspeak": json.dumps(header)}), users_path(path))
    with pytest.raises(
        UserError,
        match=r"users.parquet is damaged: .*`vecspeak.encoders.factorization.factorize\(...\)` again",
    ):
        load_factor_settings(path)
