import gzip
import json
import subprocess
import sys

import click
import numpy as np
import pytest
from click.testing import CliRunner

from vecspeak.cli.messages import as_options
from vecspeak.cli.space import space
from vecspeak.encoders import text as kept
from vecspeak.encoders import text as semantic
from vecspeak.errors import UserError
from vecspeak.spaces import Space
from vecspeak.spaces.io import load_users, save_space


@click.group()
def main():
    pass


main.add_command(space)


class CountsVowels:
    """A true encoder in 5 dimensions: how often each vowel occurs."""

    name = "vowels"
    dim = 5
    digest = "0" * 64

    def encode(self, texts, *, progress=False, batch_size=64):
        return np.array([[text.count(vowel) for vowel in "aeiou"] for text in texts], dtype=np.float32)


def run(*arguments):
    return CliRunner().invoke(main, ["space", *map(str, arguments)])


@pytest.fixture
def movies(tmp_path):
    labels = ("Heat", "Alien", "Aliens")
    made = Space(
        name="movies", ids=("1", "2", "3"), labels=labels, vectors=np.array([[1, 0], [0, 1], [0.1, 1]])
    )
    save_space(made, tmp_path / "movies.parquet")
    return tmp_path / "movies.parquet"


@pytest.fixture
def ratings(tmp_path):
    (tmp_path / "r.csv").write_text("u,i,r\na,1,5\na,2,3\nb,1,4\nb,3,1\n")
    (tmp_path / "m.csv").write_text("id,title\n1,Heat\n2,Alien\n3,Jaws\n")
    return tmp_path / "r.csv"


def test_info_prints_the_facts_and_as_json_the_digest(movies):
    printed = run("info", movies)
    assert printed.exit_code == 0, printed.output
    assert "num items      3\n" in printed.output
    facts = json.loads(run("info", movies, "--json").output)
    assert (facts["name"], facts["dim"], facts["num_users"]) == ("movies", 2, None)
    assert facts["digest"] == Space.load(movies).digest


def test_neighbours_are_listed_nearest_first(movies):
    lines = run("neighbours", movies, "alien", "-k", "2").output.splitlines()
    assert [line.split() for line in lines] == [["0.9950", "3", "Aliens"], ["0.0000", "1", "Heat"]]
    found = json.loads(run("neighbours", movies, "2", "-k", "1", "--json").output)
    assert found == [{"id": "3", "label": "Aliens", "score": pytest.approx(0.99504, abs=1e-4)}]


def test_neighbours_of_an_unknown_item_are_a_users_mistake(movies):
    result = run("neighbours", movies, "Alein")
    assert isinstance(result.exception, UserError)
    assert "did you mean 'Alien' (id '2')" in str(result.exception)


def test_embed_makes_a_space_of_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(semantic, "load_encoder", lambda name: CountsVowels())
    (tmp_path / "t.csv").write_text("id,title,plot\n01,Heat,aa\n02,Alien,io\n")
    arguments = ("embed", tmp_path / "t.csv", "--id", "id", "--label", "title", "--text", "plot")
    result = run(*arguments, "--out", tmp_path / "films.parquet", "--json")
    assert result.exit_code == 0, result.output
    made = Space.load(tmp_path / "films.parquet")
    assert (made.name, made.ids, made.encoder) == ("films", ("01", "02"), "vowels")
    assert made.vectors.tolist() == [[2, 0, 0, 0, 0], [0, 0, 1, 1, 0]]


def test_a_stopped_embed_goes_on_where_it_was_and_leaves_nothing_behind(tmp_path, monkeypatch):
    class Stops(CountsVowels):
        def encode(self, texts, **options):
            seen.extend(texts)
            if "stop" in texts:
                raise KeyboardInterrupt
            return super().encode(texts)

    seen = []
    monkeypatch.setattr(kept, "_CHUNK", 1)
    (tmp_path / "t.csv").write_text("id,title,plot\n01,Heat,aaaaa\n02,Alien,stop\n03,Jaws,oo\n")
    arguments = ("embed", tmp_path / "t.csv", "--id", "id", "--label", "title", "--text", "plot")
    for encoder in (Stops(), CountsVowels()):
        monkeypatch.setattr(semantic, "load_encoder", lambda name, encoder=encoder: encoder)
        result = run(*arguments, "--out", tmp_path / "films.parquet")
        assert (tmp_path / "films.parquet").exists() == (result.exit_code == 0)
        assert bool(list(tmp_path.glob(".films.parquet.vectors*"))) == (result.exit_code != 0)
    assert seen == ["aaaaa", "stop"]
    assert Space.load(tmp_path / "films.parquet").vectors[:, 0].tolist() == [5, 0, 0]


def test_embed_refuses_a_missing_folder_before_it_loads_an_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr(semantic, "load_encoder", lambda name: pytest.fail("the encoder was loaded"))
    arguments = ("embed", tmp_path / "t.csv", "--id", "id", "--label", "title", "--text", "plot")
    result = run(*arguments, "--out", tmp_path / "nowhere" / "films.parquet")
    assert isinstance(result.exception, UserError)
    assert "its folder does not exist" in str(result.exception)


def test_factorize_makes_items_and_users(tmp_path, ratings):
    arguments = ("factorize", ratings, "--user", "u", "--item", "i", "--rating", "r", "--dim", "2")
    labels = ("--labels", tmp_path / "m.csv", "--id", "id", "--label", "title")
    result = run(*arguments, *labels, "--out", tmp_path / "b.parquet", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["num_items"], facts["num_users"], facts["dropped_items"]) == (3, 2, 0)
    assert Space.load(tmp_path / "b.parquet").labels == ("Heat", "Alien", "Jaws")
    users = load_users(tmp_path / "b.parquet")
    assert users is not None
    assert users.ids == ("a", "b")
    assert json.loads(run("info", tmp_path / "b.parquet", "--json").output)["num_users"] == 2


def test_views_make_a_space_without_a_column_of_ratings(tmp_path):
    with gzip.open(tmp_path / "views.tsv.gz", "wt") as file:
        file.write("who\twhat\na\tx\na\ty\nb\tx\nb\tx\nc\ty\n")
    arguments = ("factorize", tmp_path / "views.tsv.gz", "--user", "who", "--item", "what", "--dim", "2")
    result = run(*arguments, "--out", tmp_path / "seen.parquet", "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["num_items"], facts["num_users"], facts["zero_items"], facts["zero_users"]) == (2, 3, 0, 0)
    assert Space.load(tmp_path / "seen.parquet").metadata.column("num_ratings").to_pylist() == [2, 2]


def test_labels_without_their_columns_are_refused(tmp_path, ratings):
    arguments = (
        "factorize",
        ratings,
        "--user",
        "u",
        "--item",
        "i",
        "--rating",
        "r",
        "--out",
        tmp_path / "b.parquet",
    )
    result = run(*arguments, "--labels", tmp_path / "m.csv")
    assert result.exit_code == 2
    assert "--labels needs --id and --label" in result.output


def test_a_missing_column_is_a_users_mistake_and_leaves_the_old_space(movies, ratings):
    before = movies.read_bytes()
    result = run("factorize", ratings, "--user", "u", "--item", "x", "--rating", "r", "--out", movies)
    assert isinstance(result.exception, UserError)
    assert movies.read_bytes() == before


def test_importing_the_commands_loads_nothing_heavy():
    heavy = ["numpy", "pyarrow", "torch"]
    code = f"import sys, vecspeak.cli.space; print([m for m in {heavy} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"


@pytest.mark.parametrize("missing", ["--user", "--item"])
def test_the_columns_of_ratings_must_be_named(tmp_path, missing):
    columns = [part for name in ("--user", "--item", "--rating") if name != missing for part in (name, "x")]
    arguments = ["factorize", str(tmp_path / "r.csv"), *columns, "--out", str(tmp_path / "o.parquet")]
    told = CliRunner().invoke(space, arguments)
    assert told.exit_code == 2 and f"Missing option '{missing}'" in told.stderr


def test_a_file_that_takes_more_than_memory_is_refused_and_more_may_be_allowed(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = {"id": [str(row) for row in range(3000)], "title": ["a"] * 3000, "plot": ["aeiou " * 200] * 3000}
    pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    named = ["--id", "id", "--label", "title", "--text", "plot", "--out", tmp_path / "o.parquet"]
    monkeypatch.setattr(semantic, "load_encoder", lambda name: CountsVowels())
    refused = run("embed", tmp_path / "a.parquet", *named, "--memory", "2MB")
    assert isinstance(refused.exception, UserError)
    assert "holds 3.67 MB once it is unpacked, and 2 MB are allowed" in refused.exception.message
    assert as_options(str(refused.exception), main).endswith(
        "allow more with --memory 1GB, or set VECSPEAK_MEMORY=1GB"
    )
    assert run("embed", tmp_path / "a.parquet", *named, "--memory", "1GB").exit_code == 0
    assert "is a size of 1 MB or more" in str(
        run("embed", tmp_path / "a.parquet", *named, "--memory", "x").exception
    )
