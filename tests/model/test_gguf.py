"""GGUF files: every family that is promised opens with the scores of the model that was written."""

import json

import gguf
import numpy as np
import pytest
import torch

from tiny_models import tiny_model, tiny_tokenizer
from vecspeak.errors import UserError
from vecspeak.model.pretrained import load_language_model, locate_model, model_digest, model_title

IDS = torch.tensor([[5, 40, 7, 9, 200, 31, 8]])
WIDTHS = {"llama": 64, "qwen2": 64, "qwen3": 512, "gemma3": 64}
"""Families with a width for four heads: Qwen 3 has heads of 128 in every file."""


def written(path, family):
    """The tiny model of a family as its GGUF file, in float32, as llama.cpp's own converter lays it out."""
    model = tiny_model(family, hidden=WIDTHS[family])
    config = model.config
    out = gguf.GGUFWriter(path, family)
    out.add_block_count(config.num_hidden_layers)
    out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size)
    out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads)
    out.add_head_count_kv(config.num_key_value_heads)
    out.add_key_length(config.hidden_size // 4)
    out.add_value_length(config.hidden_size // 4)
    out.add_layer_norm_rms_eps(config.rms_norm_eps)
    out.add_rope_freq_base(10_000.0 if family != "gemma3" else 1_000_000.0)
    out.add_vocab_size(config.vocab_size)
    if family == "gemma3":
        out.add_sliding_window(config.sliding_window)
    (add_sentencepiece if family == "gemma3" else add_tokenizer)(out)
    names = gguf.get_tensor_name_map(getattr(gguf.MODEL_ARCH, family.upper()), config.num_hidden_layers)
    for name, value in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        stem, ending = name.rsplit(".", 1)
        values = value.float().numpy()
        if family == "llama" and stem.endswith(("q_proj", "k_proj")):
            heads = config.num_attention_heads if stem.endswith("q_proj") else config.num_key_value_heads
            values = permuted(values, heads)
        if family == "gemma3" and "norm" in stem:
            values = values + 1
        out.add_tensor(f"{names.get_name(stem)}.{ending}", np.ascontiguousarray(values))
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()
    return model


def add_tokenizer(out):
    tokenizer = tiny_tokenizer()
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    vocabulary += [f"<unused{number}>" for number in range(290 - len(vocabulary))]
    marks = {"<|im_start|>", "<|im_end|>"}
    out.add_tokenizer_model("gpt2")
    out.add_tokenizer_pre("gpt-2")
    out.add_token_list(vocabulary)
    out.add_token_types([3 if token in marks else 1 for token in vocabulary])
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    out.add_token_merges([" ".join(pair) for pair in merges] or ["a b"])
    out.add_eos_token_id(vocabulary.index("<|im_end|>"))
    out.add_bos_token_id(vocabulary.index("<|im_start|>"))


def add_sentencepiece(out):
    """Pieces of letters alone, and a piece for each byte, as Gemma's files have them."""
    vocabulary = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    vocabulary += ["\u2581", *"Ashrk."]
    vocabulary += [f"<unused{number}>" for number in range(290 - len(vocabulary))]
    out.add_tokenizer_model("llama")
    out.add_token_list(vocabulary)
    out.add_token_scores([-float(number) for number in range(290)])
    out.add_token_types([3] * 4 + [6] * 256 + [1] * 30)
    out.add_eos_token_id(1)
    out.add_bos_token_id(2)
    out.add_unk_token_id(3)
    out.add_add_space_prefix(False)


def permuted(weights, heads):
    """Rows of queries and keys as llama.cpp keeps them: halves of each head interleaved."""
    return weights.reshape(heads, 2, -1, weights.shape[1]).swapaxes(1, 2).reshape(weights.shape)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("family", WIDTHS)
def test_a_gguf_file_opens_as_the_model_that_was_written(family, tmp_path):
    path = tmp_path / "tiny.gguf"
    model = written(path, family)
    loaded, tokenizer = load_language_model(str(path), torch.float32)
    with torch.no_grad():
        wanted, found = model(IDS).logits, loaded(IDS).logits
    assert type(loaded) is type(model)
    assert torch.allclose(found, wanted, atol=0.01 * wanted.abs().max().item())
    assert tokenizer.decode(tokenizer.encode("A shark.", add_special_tokens=False)) == "A shark."
    assert model_title(str(path)) == "tiny"
    assert len(model_digest(str(path))) == 64


def test_a_file_is_converted_once_and_again_when_it_changed(tmp_path):
    path = tmp_path / "tiny.gguf"
    written(path, "llama")
    first = locate_model(str(path))
    assert locate_model(str(path)) == first
    with path.open("ab") as file:
        file.write(b"\0")
    assert locate_model(str(path)) != first


def test_what_is_no_gguf_file_is_one_clear_error(tmp_path):
    (tmp_path / "broken.gguf").write_bytes(b"GGUF not quite")
    with pytest.raises(UserError, match=r"broken.gguf is no GGUF file that transformers reads"):
        locate_model(str(tmp_path / "broken.gguf"))
    assert not list((tmp_path / "cache").glob("broken*"))


def test_a_cache_that_cannot_be_made_is_told_with_what_to_set(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("VECSPEAK_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="a-.* cannot be unpacked in .*; set VECSPEAK_CACHE to a folder"):
        locate_model(str(tmp_path / "a.gguf"))
