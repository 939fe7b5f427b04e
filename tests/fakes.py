"""Tiny true stand-ins: an encoder that counts words and an engine that answers from the vector."""

import hashlib
import time

import numpy as np

from vecspeak.bundles import SpaceEntry
from vecspeak.bundles.contents import file_digests
from vecspeak.bundles.manifest import ADAPTER, LORA, LORA_CONFIG, MANIFEST, READER, SPACES
from vecspeak.model.alignment import Alignment
from vecspeak.storage import read_json, write_json

WORDS = ("ghost", "blood", "joke", "laugh", "space", "alien", "love", "kiss", "train", "horse")


def write_stand_ins(folder):
    """The three files of a reader in a bundle's folder: whoever loads the model from them fails."""
    for name in (ADAPTER, LORA, LORA_CONFIG):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"stand-in")


def note_files(folder):
    """Give every file of a bundle the digest that it has now, as a faulty tool or a stranger would."""
    manifest = read_json(folder / MANIFEST)
    noted = {"files": file_digests(folder, READER), "space_files": file_digests(folder, SPACES)}
    write_json(folder / MANIFEST, manifest | noted)


class WordEncoder:
    """A true tiny encoder: counts of known words and a hash of the rest, at length 1."""

    name = "words"
    digest = "words"
    dim = 16

    def encode(self, texts, *, progress=False, batch_size=64):
        vectors = np.array([self._vector(text) for text in texts], dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _vector(self, text):
        counts = [2.0 * text.casefold().split().count(word) for word in WORDS]
        digest = hashlib.sha256(text.encode()).digest()
        return [*counts, *(0.02 * (byte / 255 + 0.1) for byte in digest[: self.dim - len(WORDS)])]


class NearestEngine:
    """A true tiny engine: answers with the text whose vector is nearest to the prompt's first vector."""

    name = "nearest"

    def __init__(self, texts, encoder):
        self.texts = texts
        self.vectors = encoder.encode(texts)

    def generate(self, prompts, sampling):
        return ["".join(self.stream(prompt, sampling)) for prompt in prompts]

    def answers(self, prompts, sampling):
        yield from enumerate(self.generate(prompts, sampling))

    def stream(self, prompt, sampling):
        vector = next(part.values for part in prompt if not isinstance(part, str))
        yield from self.texts[int((self.vectors @ vector).argmax())].partition(" ")


def plain_entry(space):
    """The space in a bundle, read as it is."""
    return SpaceEntry(
        space=space,
        users=None,
        alignment=Alignment(dim=space.dim, encoder_dim=space.dim),
        splits={},
        report={"kind": "identity", "encoder": "none"},
        concepts={},
    )


class SlowEngine(NearestEngine):
    """Takes its time between pieces, and counts them; what a server asks before it is ready comes at once."""

    made = 0

    def stream(self, prompt, sampling):
        pieces = ("one ", "two ", "three ", "four ", "five ") * 20
        for piece in pieces[: sampling.max_new_tokens]:
            if sampling.max_new_tokens > 32:
                time.sleep(0.02)
                type(self).made += 1
            yield piece
