"""Labels: what embedding-atlas, datamapplot and BERTopic are given, and, where they are installed, that they open it.

`make labels` installs the three into an environment of their own and runs this file with them.
"""

import dataclasses
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file

import region_worlds
from vecspeak.errors import UserError
from vecspeak.explore.names import name_regions
from vecspeak.report.labels import UNLABELLED, write_labels
from vecspeak.spaces.clusters import cluster_space
from vecspeak.spaces.levels import Level


def an_entry(outside=0):
    """Eight regions of the planted space on three levels; the last items are in none."""
    entry = region_worlds.entry(atlas=False)
    clusters = cluster_space(entry.space, "kmeans", k=8)
    if outside:
        labels = clusters.labels.copy()
        for number in range(8):
            labels[clusters.rows_of(number)[:outside]] = -1
        clusters = dataclasses.replace(clusters, labels=labels)
    return dataclasses.replace(entry, clusters=name_regions(entry.space, clusters).on(clusters))


@pytest.fixture
def entry():
    return an_entry(outside=1)


def rows_of(path):
    return pq.read_table(path).to_pylist()


def test_items_have_their_names_on_every_level_and_how_they_came_there(entry, tmp_path):
    found = write_labels(entry, tmp_path, "datamapplot")
    rows, clusters = rows_of(tmp_path / "datamapplot" / "items.parquet"), entry.clusters
    assert found.levels == (*(level.num_groups for level in clusters.levels), 8) and len(found.levels) == 3
    assert len(rows) == found.num_written == found.num_items == entry.space.num_items
    outside = [row for row in rows if row["membership"] == "assigned"]
    assert len(outside) == found.num_outside == 8
    assert "8 items are in no region: labelled after the nearest region" in str(found)
    for number, row in enumerate(rows):
        assert row["id"] == entry.space.ids[number] and np.isfinite([row["x"], row["y"]]).all()
        region = row["number"]
        assert row["region"] == clusters.names[region]
        assert [row["coarse"], row["middle"]] == [level.name(region) for level in clusters.levels]
        assert 0 <= row["percentile"] <= 100 and -1e-6 <= row["distance"] <= 2
        assert row["membership"] == "assigned" or clusters.labels[number] == region


def test_items_in_no_region_can_be_left_without_a_label(entry, tmp_path):
    write_labels(entry, tmp_path, "datamapplot", outliers="leave")
    rows = rows_of(tmp_path / "datamapplot" / "items.parquet")
    outside = [row for row in rows if row["membership"] == "assigned"]
    assert {row["region"] for row in outside} == {row["coarse"] for row in outside} == {UNLABELLED}
    assert {row["number"] for row in outside} == {-1}


def test_every_name_of_every_level_stands_in_the_middle_of_its_members(entry, tmp_path):
    found = write_labels(entry, tmp_path, "embedding-atlas")
    items = rows_of(tmp_path / "embedding-atlas" / "items.parquet")
    labels = rows_of(tmp_path / "embedding-atlas" / "labels.parquet")
    assert list(labels[0]) == ["x", "y", "text", "level", "priority"]
    assert [len([one for one in labels if one["level"] == level]) for level in (0, 1, 2)] == list(
        found.levels
    )
    for one in labels:
        column = ("coarse", "middle", "region")[one["level"]]
        inside = [row for row in items if row[column] == one["text"] and row["membership"] == "member"]
        assert (one["x"], one["y"]) == pytest.approx(
            (np.median([row["x"] for row in inside]), np.median([row["y"] for row in inside]))
        )
        assert one["priority"] == len([row for row in items if row[column] == one["text"]])
    assert f"--labels {tmp_path / 'embedding-atlas' / 'labels.parquet'}" in found.usage


@pytest.mark.parametrize("outliers", ["assign", "leave"])
def test_topics_are_what_bertopic_saves(entry, tmp_path, outliers):
    found = write_labels(entry, tmp_path, "bertopic", outliers=outliers)
    folder = tmp_path / "bertopic"
    topics = json.loads((folder / "topics.json").read_text())
    vectors = load_file(folder / "topic_embeddings.safetensors")["topic_embeddings"]
    numbers = sorted(set(topics["topics"]))
    assert numbers == list(range(-1 if outliers == "leave" else 0, 8))
    assert (
        [int(number) for number in topics["topic_sizes"]] == numbers == [a for a, _ in topics["topic_mapper"]]
    )
    assert sum(topics["topic_sizes"].values()) == len(topics["topics"]) == found.num_items
    assert topics["custom_labels"] == ["in no region"] * (outliers == "leave") + list(entry.clusters.names)
    assert len(vectors) == len(numbers) and np.allclose(vectors[-8:], entry.clusters.centroids)
    assert all(len(words) <= 10 and words[0][1] > 0 for words in topics["topic_representations"].values())
    assert len(found.written) == 4 and all(path.is_file() for path in found.written)


def test_a_cut_without_levels_has_one_layer_and_a_mark_is_no_name(tmp_path):
    entry = region_worlds.entry()  # four regions, as an older vecspeak cut them: no names, no levels
    assert entry.clusters.levels == ()
    found = write_labels(entry, tmp_path, "datamapplot")
    assert found.levels == (4,) and "frame.region, hover_text" in found.usage
    rows = rows_of(found.written[0])
    assert "coarse" not in rows[0] and {row["region"] for row in rows} == {f"cluster({n})" for n in range(4)}
    named = dataclasses.replace(entry, clusters=entry.clusters.named([UNLABELLED, "=1+1", "<b>", "x\ny"]))
    rows = rows_of(write_labels(named, tmp_path, "datamapplot").written[0])
    assert {row["region"] for row in rows} == {f"{UNLABELLED} (region)", "=1+1", "<b>", "x\ny"}


def test_a_folder_is_written_again_as_a_whole(entry, tmp_path):
    first = write_labels(entry, tmp_path, "bertopic")
    again = write_labels(entry, tmp_path, "bertopic", outliers="leave")
    assert first.written == again.written and first.to_dict()["outliers"] == "assign"
    assert sorted(path.name for path in (tmp_path / "bertopic").iterdir()) == sorted(
        path.name for path in again.written
    )
    assert -1 in json.loads(again.written[1].read_text())["topics"]


def test_what_a_killed_run_left_goes_with_the_next_whichever_tool_it_was_for(entry, tmp_path):
    (tmp_path / ".bertopic.0a1b2c3d.new").mkdir()
    (tmp_path / ".mine.new").mkdir()
    write_labels(entry, tmp_path, "datamapplot")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine.new", "datamapplot"]


def test_levels_that_nobody_named_have_numbers(tmp_path):
    made = region_worlds.entry()
    level = Level(parents=np.array([0, 0, 1, 1]))
    bare = dataclasses.replace(made, clusters=dataclasses.replace(made.clusters, levels=(level,)))
    rows = rows_of(write_labels(bare, tmp_path, "datamapplot").written[0])
    assert {row["coarse"] for row in rows} == {"group 0", "group 1"}


def test_what_cannot_be_written_is_refused(entry, tmp_path):
    bare = region_worlds.entry(atlas=False)
    with pytest.raises(UserError, match=re.escape("make them with `VecSpeak.atlas(space='planted')`")):
        write_labels(bare, tmp_path, "datamapplot")
    with pytest.raises(UserError, match="`tool` is one of 'embedding-atlas'"):
        write_labels(entry, tmp_path, "excel")
    with pytest.raises(UserError, match="`outliers` is one of"):
        write_labels(entry, tmp_path, "bertopic", outliers="drop")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="choose another `out`"):
        write_labels(entry, tmp_path / "file", "bertopic")
    (tmp_path / "bertopic").mkdir()
    (tmp_path / "bertopic" / "mine.html").write_text("")
    with pytest.raises(UserError, match="holds other files: mine.html"):
        write_labels(entry, tmp_path, "bertopic")


# --- the tools themselves ---


def test_datamapplot_draws_every_layer(entry, tmp_path):
    datamapplot = pytest.importorskip("datamapplot")
    pandas = pytest.importorskip("pandas")
    found = write_labels(entry, tmp_path, "datamapplot", outliers="leave")
    scope = {"pandas": pandas, "datamapplot": datamapplot}
    code = found.usage.replace("datamapplot.create", "plot = datamapplot.create")
    exec(code, scope)
    page, frame = str(scope["plot"]), scope["frame"]
    assert {UNLABELLED, *entry.clusters.names} == set(frame.region)
    scope["plot"].save(str(tmp_path / "map.html"))
    assert (tmp_path / "map.html").stat().st_size > 10_000 and "<html" in page.casefold()
    figure, axes = datamapplot.create_plot(
        frame[["x", "y"]].to_numpy(), frame.coarse, force_matplotlib=True, label_wrap_width=60
    )
    shown = {" ".join(text.get_text().split()) for text in axes.texts}
    assert set(entry.clusters.levels[0].names) <= shown
    figure.clf()


def test_embedding_atlas_takes_the_labels(entry, tmp_path, monkeypatch):
    cli = pytest.importorskip("embedding_atlas.cli")
    from click.testing import CliRunner

    found = write_labels(entry, tmp_path, "embedding-atlas")
    options = found.usage.split()[1:]
    done = CliRunner().invoke(cli.main, [*options, "--export-application", str(tmp_path / "app")])
    assert done.exit_code == 0, done.output
    metadata = json.loads((tmp_path / "app" / "data" / "metadata.json").read_text())
    labels = metadata["props"]["embeddingViewLabels"]
    assert [one["text"] for one in labels][-8:] == list(entry.clusters.names)
    assert {one["level"] for one in labels} == {0, 1, 2} and all(np.isfinite(one["x"]) for one in labels)
    assert metadata["props"]["data"]["projection"] == {"x": "x", "y": "y"}


def test_bertopic_loads_the_topics(entry, tmp_path):
    bertopic = pytest.importorskip("bertopic")
    found = write_labels(entry, tmp_path, "bertopic", outliers="leave")
    model = bertopic.BERTopic.load(str(tmp_path / "bertopic"))
    info = model.get_topic_info()
    assert list(info.Topic) == list(range(-1, 8)) and list(info.Count)[0] == 8
    assert list(info.CustomName) == ["in no region", *entry.clusters.names]
    texts = [row["text"] for row in rows_of(found.written[0])]
    documents = model.get_document_info(texts)
    assert list(documents.Topic) == model.topics_ and len(documents) == entry.space.num_items
    assert model.get_topic(0)[0][0] and model.topic_embeddings_.shape == (9, entry.space.dim)
    model.set_topic_labels({0: "mine"})
    assert model.custom_labels_[1] == "mine"


def test_a_level_keeps_items_without_a_region_apart():
    level = Level(parents=np.array([0, 0, 1]))
    assert level.labels(np.array([2, -1, 0, 1])).tolist() == [1, -1, 0, 0]
