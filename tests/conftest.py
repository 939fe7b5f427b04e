"""What tests of several folders share; having this file puts `tiny_models` and `fakes` in their reach."""

import numpy as np
import pyarrow as pa
import pytest
import torch

import tiny_models
from fakes import WORDS, NearestEngine, WordEncoder, write_stand_ins
from vecspeak import VecSpeak
from vecspeak.bundles import Bundle, Manifest, ReaderCard, save_bundle
from vecspeak.bundles.contents import file_digests
from vecspeak.bundles.fitting import fit_space
from vecspeak.model import named
from vecspeak.spaces import Space
from vecspeak.storage import write_json

# Tiny models gain nothing from a second thread, and where other work has the cores each of their products waits for it.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def tiny_models_are_named(tmp_path_factory):
    """The tiny base models count as named by a person; what tests name is noted apart from what people did."""
    noted = named.named_models
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(named, "_FILE", tmp_path_factory.mktemp("named") / "models.json")
        patched.setattr(named, "named_models", lambda: tiny_models.NAMED | noted())
        yield


@pytest.fixture
def encoder():
    return WordEncoder()


@pytest.fixture
def texts():
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, size=5)) for _ in range(120)]


@pytest.fixture
def space(texts, encoder):
    """120 items whose 12-d vectors are a linear image of their texts' vectors."""
    rng = np.random.default_rng(1)
    image = rng.normal(size=(encoder.dim, 12))
    vectors = encoder.encode(texts) @ image
    return Space(
        name="things",
        ids=tuple(f"t{i}" for i in range(120)),
        labels=tuple(f"Thing {i}" for i in range(120)),
        vectors=vectors.astype(np.float32),
        metadata=pa.table({"text": texts, "scary": ["ghost" in text for text in texts]}),
    )


@pytest.fixture
def source(tmp_path):
    """A bundle without spaces whose reader files are stand-ins: whoever loads the model fails."""
    folder = tmp_path / "source"
    write_stand_ins(folder)
    card = ReaderCard(
        base_model="none",
        base_sha256="",
        encoder="words",
        encoder_sha256="",
        adapter={"vector_dim": 16},
        chat={},
    )
    manifest = Manifest(name="source", reader=card, files=file_digests(folder, "reader"))
    write_json(folder / "manifest.json", manifest.to_dict())
    return Bundle(folder=folder, manifest=manifest, entries={})


@pytest.fixture
def bundle(space, texts, encoder, source, tmp_path):
    """The folder of a bundle with the space of things, of which 20 items are held out."""
    entry = fit_space(space, texts=texts, encoder=encoder, splits={"holdout": space.ids[:20]})
    return save_bundle(
        tmp_path / "things.bundle", source=source, name="things", entries={"things": entry}
    ).folder


@pytest.fixture
def reader(space, texts, encoder, source, tmp_path):
    """A reader of the things, which keep their texts, that answers by the nearest one."""
    space = Space.from_arrays(
        space.vectors, ids=space.ids, labels=space.labels, texts=list(texts), name=space.name
    )
    entry = fit_space(space, texts=texts, encoder=encoder)
    bundle = save_bundle(tmp_path / "things.bundle", source=source, name="things", entries={"things": entry})
    return VecSpeak.load(bundle.folder, engine=NearestEngine(texts, encoder), encoder=encoder)
