"""The front of a reader: what stands before a language model that another program runs.

Tokenizer, token embeddings in float32 and the ends of an answer lie in the user's cache, made once for a reader with
torch, and open in a fraction of a second without it. With them lie two prompts that differ in their vectors alone, and
how likely the reader finds the answers' first tokens (`Probe`): so another program's answers are told from wrong ones.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vecspeak.bundles import Bundle
from vecspeak.engines.prepared import (
    EMBEDDING,
    FORMAT,
    MARKER,
    TOKENIZER,
    LightReader,
    adapter_of,
    base_of,
    build_once,
    is_whole,
    opened_embedding,
    opened_reader,
    prepared_folder,
    write_marker,
)
from vecspeak.model.pretrained import model_stamp
from vecspeak.model.prompt import Prompt, PromptTemplate
from vecspeak.storage import read_json

if TYPE_CHECKING:
    from vecspeak.model.reader import Reader

_FILES = (EMBEDDING, TOKENIZER)
_TRIED = 8
"""Vectors of which the two of a probe are taken."""
_AFTER = " Say in one sentence what it is about."
"""Follows the vectors of a probe until no part of a cache that a prompt fills has both a vector and its end."""
_LEAST_TOKENS = 144
"""Of a probe: a block of the largest size that caches of keys and values are divided into, and some."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probe:
    """Two prompts of one length that differ in their vectors, and the first tokens of their answers."""

    prompts: tuple[Prompt, ...]
    tokens: tuple[int, ...]
    """The likeliest first token of each answer; their likelihoods differ most between the two prompts."""
    nats_PT: np.ndarray
    """[2, 2] minus the log-likelihoods of both tokens after the one prompt, and after the other, in float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Front:
    """A reader without its language model."""

    reader: LightReader
    probe: Probe


def open_front(bundle: Bundle) -> Front:
    """The front of a bundle's reader, made where it is not there yet: some seconds, with torch."""
    folder = _folder(bundle)

    def write(beside: Path) -> None:
        from vecspeak.bundles.weights import load_reader

        write_front(load_reader(bundle), beside)

    build_once(folder, write, _FILES)
    known = read_json(folder / MARKER)
    adapter, chat = adapter_of(bundle, opened_embedding(folder).shape[1])
    reader = opened_reader(folder, known["stop_ids"], adapter, chat)
    found = known["probe"]
    prompts = [_probe_prompt(reader.tokenizer, adapter.vector_dim, place) for place in found["places"]]
    probe = Probe(prompts=tuple(prompts), tokens=tuple(found["tokens"]), nats_PT=np.array(found["nats"]))
    return Front(reader=reader, probe=probe)


def has_front(bundle: Bundle) -> bool:
    """Whether opening takes a fraction of a second, not the time of the making."""
    return is_whole(_folder(bundle), _FILES)


def write_front(reader: "Reader", folder: Path) -> None:
    """Write a reader's front into an empty folder."""
    import torch

    with torch.inference_mode():
        # Through the module and not its weights: some models scale what they look up.
        embed = reader.language_model.get_input_embeddings()
        rows = torch.arange(len(embed.weight), device=reader.device)
        np.save(folder / EMBEDDING, embed(rows).float().cpu().numpy())
        probe = _probe(reader)
    reader.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    write_marker(folder, stop_ids=reader.stop_ids, probe=probe)


def _probe_prompt(tokenizer: Any, width: int, place: int) -> Prompt:
    """A unit vector at a place, with a long text behind it."""
    tokens = len(tokenizer.encode(_AFTER, add_special_tokens=False))
    template = PromptTemplate("{x}" + _AFTER * -(-_LEAST_TOKENS // tokens))
    return template.fill({"x": np.eye(width, dtype=np.float32)[place]})


def _probe(reader: "Reader") -> dict[str, Any]:
    """The two vectors after which the likelihoods of the likeliest first tokens differ most, with these."""
    width = reader.adapter.config.vector_dim
    tried = range(min(_TRIED, width))
    nats_PV = np.stack(
        [_first_nats(reader, _probe_prompt(reader.tokenizer, width, place)) for place in tried]
    )
    likeliest_P = nats_PV.argmin(1)
    # What the other prompt's likeliest token costs more after this prompt than after its own; the lesser of both ways.
    costs_PQ = nats_PV[:, likeliest_P] - nats_PV.min(1)[None]
    one, other = np.unravel_index(np.minimum(costs_PQ, costs_PQ.T).argmax(), costs_PQ.shape)
    tokens = likeliest_P[[one, other]]
    return {
        "places": [int(one), int(other)],
        "tokens": tokens.tolist(),
        "nats": nats_PV[[one, other]][:, tokens].round(4).tolist(),
    }


def _first_nats(reader: "Reader", prompt: Prompt) -> np.ndarray:
    """[V] minus the log-likelihood of each first token of an answer, in float32."""
    embeds_BTE, mask_BT = reader.embed_prompts([prompt])
    logits_V = reader.language_model(inputs_embeds=embeds_BTE, attention_mask=mask_BT).logits[0, -1].float()
    return np.asarray(-logits_V.log_softmax(-1).cpu().numpy())


def _folder(bundle: Bundle) -> Path:
    card = bundle.manifest.reader
    parts = ["front", 1, FORMAT, model_stamp(base_of(bundle)), card.chat, bundle.manifest.files]
    return prepared_folder(parts)
