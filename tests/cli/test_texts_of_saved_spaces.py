"""Texts of a space, from the command that makes it to the targets that are written from them."""

import json

import numpy as np
import pytest

from fakes import WORDS
from vecspeak.bundles import load_bundle
from vecspeak.cli import main
from vecspeak.tasks.examples import read_targets

ITEMS = 40


@pytest.fixture
def shop(tmp_path, monkeypatch, encoder, source):
    """A table of things to sell with descriptions, ratings of them, and the encoder that counts words."""
    monkeypatch.setattr("vecspeak.asking.load_named_encoder", lambda *_: encoder)
    rng = np.random.default_rng(0)
    table = ["sku,title,description,category,text"]
    ratings = ["who,sku,stars"]
    for i in range(ITEMS):
        words = " ".join(rng.choice(WORDS, size=5))
        table.append(
            f"j{i},Coat {i},A coat with {words} sewn on its back.,{('rain', 'down')[i % 2]} coat,note {i}"
        )
    for user in range(20):
        ratings += [f"u{user},j{i},{5 if i % 2 == user % 2 else 2}" for i in range(ITEMS) if (i + user) % 3]
    (tmp_path / "items.csv").write_text("\n".join(table) + "\n")
    (tmp_path / "ratings.csv").write_text("\n".join(ratings) + "\n")
    return tmp_path


def run(*arguments):
    main([str(argument) for argument in arguments])


def factorized(shop):
    columns = ("--user", "who", "--item", "sku", "--rating", "stars", "--dim", 4)
    labels = ("--labels", shop / "items.csv", "--id", "sku", "--label", "title")
    run("space", "factorize", shop / "ratings.csv", *columns, *labels, "--out", shop / "shop.parquet")
    return shop / "shop.parquet"


def taught(shop, bundle, *more):
    asked = ("--tasks", "items", "--teacher", "facts", "--task", "pitch", "--out", shop / "targets")
    run("teach", bundle, *asked, *more)
    return read_targets(shop / "targets")


def fails(capsys, *arguments):
    with pytest.raises(SystemExit):
        run(*arguments)
    return capsys.readouterr().err


def test_a_factorized_space_keeps_the_texts_that_fit_is_told_of(shop, source, capsys):
    saved = factorized(shop)
    fitted = ("--reader", source.folder, "--out", shop / "b")
    run("fit", saved, "--text", "description", *fitted)
    space = load_bundle(shop / "b").entry("shop").space
    assert space.metadata.column("text").to_pylist()[0].startswith("A coat with")
    assert space.metadata.column("text_").to_pylist()[0].startswith("note ")  # of that name before
    targets = taught(shop, shop / "b", "--word", "item=coat")
    assert len(targets) > ITEMS // 2
    assert all(" coat described by " in one.text and "coat coat" not in one.text for one in targets)


def test_a_table_keeps_the_texts_that_fit_is_told_of(shop, source):
    rows = [line.split(",") for line in (shop / "items.csv").read_text().splitlines()[1:]]
    vectors = np.random.default_rng(1).normal(size=(ITEMS, 4)).tolist()
    table = [
        json.dumps({"sku": sku, "title": title, "description": text, "vector": vector})
        for (sku, title, text, *_), vector in zip(rows, vectors, strict=True)
    ]
    (shop / "items.jsonl").write_text("\n".join(table))
    columns = ("--id", "sku", "--label", "title", "--vector", "vector", "--text", "description")
    run("fit", shop / "items.jsonl", *columns, "--reader", source.folder, "--out", shop / "b")
    assert taught(shop, shop / "b")


def test_an_embedded_space_has_its_texts_already(shop, source, capsys):
    columns = ("--id", "sku", "--label", "title", "--text", "description")
    run("space", "embed", shop / "items.csv", *columns, "--out", shop / "shop.parquet")
    fitted = ("--reader", source.folder, "--out", shop / "b")
    said = fails(capsys, "fit", shop / "shop.parquet", "--text", "description", *fitted)
    assert "its texts are in 'text': leave --text out" in said
    run("fit", shop / "shop.parquet", *fitted)
    assert taught(shop, shop / "b")


def test_a_column_that_is_not_there_is_told_with_those_that_are(shop, source, capsys):
    rated = ("--user", "who", "--item", "sku", "--rating", "stars", "--dim", 4)
    run("space", "factorize", shop / "ratings.csv", *rated, "--out", shop / "shop.parquet")
    said = fails(capsys, "fit", shop / "shop.parquet", "--text", "description", "--out", shop / "b")
    assert "no column 'description'; it has num_ratings" in said and "correct --text" in said
    assert not (shop / "b").exists()
