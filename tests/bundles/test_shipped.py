"""What ships, with the real language model, encoder and reader: few tests that share one loaded model."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vecspeak.asking import Asker
from vecspeak.bundles.bundle import ASSETS, DEFAULT, shipped_reader, shipped_space
from vecspeak.cli import main
from vecspeak.encoders.text import load_encoder
from vecspeak.engines import Sampling, open_engine
from vecspeak.model.alignment import unit
from vecspeak.model.prompt import PromptTemplate
from vecspeak.spaces import Space
from vecspeak.tasks.corpus import split_of
from vecspeak.tasks.sources import title_key
from vecspeak.tasks.task_set import load_task_set

pytestmark = pytest.mark.model

SENTENCES = (
    "A lonely lighthouse keeper finds a wounded mermaid on the rocks and hides her from the village.",
    "Two bank robbers take hostages in a shopping mall while the police surround the building.",
    "A command line tool that compresses photographs and removes their metadata.",
    "A small songbird with a red breast that lives in northern gardens.",
    "The crew of a spaceship is hunted by an alien creature in the engine room.",
    "The bride discovers on her wedding day that her fiance is in love with her sister.",
    "A Python module for solving systems of linear equations on large sparse matrices.",
    "A soldier comes home from the war and cannot forget what he did there.",
)


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


@pytest.fixture(scope="module")
def engine():
    return open_engine(shipped_reader())


@pytest.fixture(scope="module")
def answers(engine, encoder):
    vectors = encoder.encode(SENTENCES)
    prompts = [PromptTemplate("Describe {x}.").fill({"x": vector}) for vector in vectors]
    return vectors, encoder.encode(engine.generate(prompts, Sampling(max_new_tokens=48)))


def test_the_reader_is_small_and_holds_no_code():
    files = [path for path in (ASSETS / DEFAULT).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    assert sum(path.stat().st_size for path in files) <= 24_000_000
    assert max(path.stat().st_size for path in files) <= 12_000_000


def test_the_manifest_carries_its_own_scores_with_intervals():
    card = shipped_reader().manifest.reader
    for name in ("swap_gap", "semantic_consistency", "retrieval"):
        assert card.scores[name]["low"] <= card.scores[name]["value"] <= card.scores[name]["high"]
    assert card.scores["swap_gap"]["low"] > 0.3
    assert {"texts_sha256", "terms", "examples_seen"} <= set(card.data)
    assert all(term["licence"] for term in card.data["terms"].values())
    assert card.recipe["seed"] == 0 and card.recipe["split"]


def test_the_shipped_space_has_no_texts_and_the_readers_own_split():
    space = Space.load(shipped_space())
    assert shipped_space().stat().st_size <= 5_000_000
    assert space.num_items == 5000 and space.encoder == "all-minilm-l6-v2"
    assert set(space.metadata.column_names) == {"genres", "split"}
    split = shipped_reader().manifest.reader.recipe["split"]["movies"]
    marks = space.metadata.column("split").to_pylist()
    assert marks == [split_of(title_key(label), 0, split) for label in space.labels]


def test_it_knows_the_tasks_and_says_what_it_learned():
    manifest = shipped_reader().manifest
    assert manifest.knows_tasks
    assert manifest.task_set("movies.semantic") == ("movies", {}) == manifest.task_set("movies.behavioral")
    learned = {*load_task_set("movies").tasks, *load_task_set("questions").tasks}
    assert set(manifest.reader.data["targets"]["targets"]) == learned
    assert manifest.reader.data["start"]["files"], "what it was trained further from"
    assert 0 < manifest.reader.data["averaged"]["share"] < 1


def test_answers_come_from_their_vectors(answers):
    vectors, read_back = answers
    scores = read_back @ vectors.T
    own = np.diag(scores).mean()
    others = (scores.sum() - np.trace(scores)) / (scores.size - len(scores))
    assert own > 0.35
    assert own > others + 0.25


def test_most_answers_find_their_own_vector_again(answers):
    vectors, read_back = answers
    assert ((read_back @ vectors.T).argmax(1) == np.arange(len(vectors))).sum() >= 6


def test_halfway_between_two_the_answer_is_near_both(engine, encoder):
    vectors = encoder.encode(SENTENCES[:2])
    middle = unit(vectors.mean(0)).astype(np.float32)
    text = engine.generate([PromptTemplate("Describe {x}.").fill({"x": middle})], Sampling(max_new_tokens=48))
    others = encoder.encode(SENTENCES[2:])
    read_back = encoder.encode(text)[0]
    assert read_back @ middle > (others @ read_back).max()


def test_a_strangers_table_is_fitted_and_asked(tmp_path, encoder, engine, capsys, monkeypatch):
    """A space of unknown origin: a random rotation of text vectors, so nothing but the map can read it."""
    words = ("ghost", "pirate", "lawyer", "robot", "nurse", "dragon", "teacher", "thief", "king", "spy")
    places = (
        "castle",
        "desert",
        "hospital",
        "spaceship",
        "school",
        "jungle",
        "prison",
        "village",
        "bank",
        "island",
    )
    texts = [f"A {word} is lost in a {place}." for word in words for place in places]
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(384, 384)))[0]
    vectors = (encoder.encode(texts) @ turn * 7 + 1).astype(np.float32)
    columns = {"key": [f"k{i}" for i in range(100)], "name": texts, "v": list(vectors), "about": texts}
    pq.write_table(pa.table(columns), tmp_path / "mine.parquet")
    named = ["--id", "key", "--label", "name", "--vector", "v", "--text", "about"]
    out = str(tmp_path / "mine.bundle")
    main(["fit", str(tmp_path / "mine.parquet"), *named, "--out", out, "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["held_out"]["cosine"] > report["held_out"]["cosine_of_mean"]
    monkeypatch.setattr(Asker, "engine", engine)
    main(["ask", out, "Describe {x}.", "--at", 'x=id("k0")', "--max-tokens", "40", "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["text"]
    assert answer["trust"][0]["round_trip"] > answer["trust"][0]["swapped"]


def test_what_the_page_says_of_the_training_is_what_the_manifest_says():
    data = shipped_reader().manifest.reader.data
    before = data["start"]["data"]
    said = " ".join((ASSETS.parents[2] / "docs" / "how-it-works.md").read_text(encoding="utf-8").split())
    assert f"{before['examples_seen']:,} questions drawn from {sum(before['texts'].values()):,} texts" in said
    assert f"{before['tokens_seen'] / 1e6:.1f} million tokens" in said
    assert f"{data['examples_seen']:,} more" in said and f"{data['hours']:g} hours" in said
    assert (
        before["examples_seen"] == before["examples_planned"]
        and "two passes over all planned questions" in said
    )


def test_the_default_engine_is_the_reference_to_a_few_percent(encoder):
    """Logits after real prompts; greedy answers part at near ties, so tokens are compared, not texts."""
    import torch

    from vecspeak.bundles.weights import load_reader
    from vecspeak.engines.openvino import OpenVINOEngine
    from vecspeak.engines.stateful import single_logits

    reader, fast = load_reader(shipped_reader()), open_engine(shipped_reader())
    assert isinstance(fast, OpenVINOEngine)
    prompts = [PromptTemplate("Describe {x}.").fill({"x": vector}) for vector in encoder.encode(SENTENCES)]
    with torch.inference_mode():
        embeds, mask = reader.embed_prompts(prompts)
        wanted = reader.language_model(inputs_embeds=embeds, attention_mask=mask, logits_to_keep=1).logits[
            :, -1
        ]
    found = []
    for fed in fast.reader.embed_prompts(prompts):
        fast._single.reset_state()
        found.append(single_logits(fast._single, fed.embeds_TE, 0))
    apart = np.abs(np.array(found) - wanted.numpy()).mean() / wanted.std().item()
    assert 0 < apart < 0.05
    assert (np.array(found).argmax(-1) == wanted.numpy().argmax(-1)).mean() >= 0.75
