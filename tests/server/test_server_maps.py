"""Routes of a map: numbers as bytes, names, any place as a point; what is being made is said to be."""

import threading
import time
import traceback

import httpx
import numpy as np
import pytest

from vecspeak import UserError
from vecspeak.server.failures import Loading
from vecspeak.server.maps import MapMaker


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def ask(served):
    return lambda method, path, **given: httpx.request(
        method, f"{served.address}/v1/spaces/things{path}", timeout=60, **given
    )


def waited(ask, path="/map"):
    """The reply once the map is there."""
    while (got := ask("GET", path)).status_code == 503:
        time.sleep(0.05)
    return got


def test_a_map_is_made_in_the_background_and_no_request_waits(ask, reader, monkeypatch):
    go, made = threading.Event(), reader.map
    monkeypatch.setattr(reader, "map", lambda space: go.wait(60) and made(space))
    first = ask("GET", "/map")
    assert first.status_code == 503 and first.json()["error"]["code"] == "loading"
    assert int(first.headers["retry-after"]) > 0
    assert ask("POST", "/points", json={"expression": '"Thing 1"'}).json()["map"] is None
    go.set()
    found = waited(ask).json()
    assert found["num_items"] == 120 and found["method"] == "tsne"


def test_what_a_layout_refuses_is_said_and_nothing_waits_for_it(ask, reader, monkeypatch):
    def refuse(_):
        raise UserError("this needs a package", "install it")

    monkeypatch.setattr(reader, "map", refuse)
    got = waited(ask)
    assert got.status_code == 400 and "needs a package" in got.json()["error"]["message"]


def test_a_failure_is_said_anew_each_time_and_the_map_tried_again_later(reader, monkeypatch):
    refuses, made = [True], reader.map

    def make(space):
        if refuses:
            raise UserError("this needs a package", "install it")
        return made(space)

    monkeypatch.setattr(reader, "map", make)
    maker, said = MapMaker(), []
    while len(said) < 3:
        try:
            maker.map_of(reader, "things")
        except Loading:
            time.sleep(0.01)
        except UserError as error:
            said.append(error)
    assert len({id(error) for error in said}) == 3 and {str(error) for error in said} == {str(said[0])}
    assert len({len(traceback.extract_tb(error.__traceback__)) for error in said}) == 1
    refuses.clear()
    with pytest.raises(UserError):
        maker.map_of(reader, "things")  # not yet
    monkeypatch.setattr("vecspeak.server.maps._SECONDS_TO_RETRY", 0.0)
    with pytest.raises(Loading):
        maker.map_of(reader, "things")


def test_coordinates_are_float32_in_the_order_of_the_items(ask, reader):
    found = reader.map()
    got = ask("GET", "/map/coordinates")
    assert got.headers["content-type"] == "application/octet-stream"
    assert np.array_equal(np.frombuffer(got.content, "<f4").reshape(-1, 2), found.coordinates)
    assert ask("GET", "/map").json()["bounds"] == [list(one) for one in found.bounds]


def test_a_point_has_its_place_and_a_place_is_a_point(ask, reader):
    found = reader.map()
    point = ask("POST", "/points", json={"expression": '"Thing 5"', "words": 0}).json()
    assert point["map"] == pytest.approx(found.coordinates[5].tolist(), abs=1e-5)
    place = ask("POST", "/map/points", json={"xy": point["map"], "nearest": 3, "words": 2}).json()
    assert place["made_of"][0]["label"] == "Thing 5"
    assert len(place["nearest"]) == 3 and len(place["words"]) <= 2 and len(place["vector"]) == 12
    again = ask("POST", "/points", json={"expression": place["expression"], "nearest": 3, "words": 2}).json()
    assert [again[one] for one in ("nearest", "words", "percentile")] == [
        place[one] for one in ("nearest", "words", "percentile")
    ]


def test_a_place_is_written_as_the_sum_of_items_that_it_is(ask, reader):
    found = reader.map()
    between = (found.coordinates[5] + found.coordinates[6]) / 2
    place = ask("POST", "/map/points", json={"xy": between.tolist()}).json()
    used = {one["id"] for one in place["made_of"]}
    assert place["expression"].count(" + ") == len(used) - 1 and used.isdisjoint(
        one["id"] for one in place["nearest"]
    )
    np.testing.assert_allclose(
        reader.point(place["expression"]).vector, place["vector"], rtol=1e-4, atol=1e-5
    )
    on = ask("POST", "/map/points", json={"xy": found.coordinates[5].tolist()}).json()
    assert on["expression"] == 'id("t5")'


def test_a_place_far_from_all_items_says_so(ask, reader):
    reader.map()
    far = ask("POST", "/map/points", json={"xy": [99, 99]}).json()
    assert any("nothing is near" in note for note in far["notes"])


@pytest.mark.parametrize("xy", [[1], [1, 2, 3], ["a", 1], [1e9, 0], None])
def test_what_is_no_place_is_refused(ask, reader, xy):
    reader.map()
    assert ask("POST", "/map/points", json={"xy": xy}).status_code == 422


def test_names_stand_in_the_middles_of_their_items_on_every_level(ask, reader):
    found = reader.map()
    assert ask("GET", "/map/labels").json() == {"levels": []}
    assert ask("GET", "/map/regions").status_code == 404
    reader.atlas(n_regions=8, method="kmeans", reader=False)
    clusters = reader.entry().clusters
    levels = ask("GET", "/map/labels").json()["levels"]
    assert len(levels) == len(clusters.levels) + 1 and len(levels[-1]) == 8
    assert [one["name"] for one in levels[-1]] == list(clusters.names)
    middle = np.median(found.coordinates[clusters.labels == 2], axis=0)
    assert [levels[-1][2]["x"], levels[-1][2]["y"]] == pytest.approx(middle.tolist(), abs=1e-5)
    assert all(sum(one["num_items"] for one in level) == 120 for level in levels)
    got = np.frombuffer(ask("GET", "/map/regions").content, "<i4")
    assert np.array_equal(got, clusters.labels)


def test_another_space_has_no_map(served):
    assert httpx.get(f"{served.address}/v1/spaces/other/map").status_code == 404
