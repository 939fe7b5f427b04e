"""Tiny random language models with a real tokenizer, made in milliseconds: what tests of readers stand on."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from vecspeak.model.adapter import Adapter, AdapterConfig
from vecspeak.model.inject import token_norm
from vecspeak.model.named import NamedModel, noted_as, stamp_of
from vecspeak.model.pretrained import model_digest
from vecspeak.model.prompt import CHATML
from vecspeak.model.reader import Reader
from vecspeak.training.recipe import Recipe, recipe_from_dict

FAMILIES = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    "gemma": (transformers.GemmaConfig, transformers.GemmaForCausalLM),
    "gemma2": (transformers.Gemma2Config, transformers.Gemma2ForCausalLM),
    "gemma3": (transformers.Gemma3TextConfig, transformers.Gemma3ForCausalLM),
}
MORE_FAMILIES = {
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
    "phi": (transformers.PhiConfig, transformers.PhiForCausalLM),
    "phi3": (transformers.Phi3Config, transformers.Phi3ForCausalLM),
    "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel),
    "granite": (transformers.GraniteConfig, transformers.GraniteForCausalLM),
    "olmo2": (transformers.Olmo2Config, transformers.Olmo2ForCausalLM),
    "smollm3": (transformers.SmolLM3Config, transformers.SmolLM3ForCausalLM),
    "cohere": (transformers.CohereConfig, transformers.CohereForCausalLM),
    "gpt_neox": (transformers.GPTNeoXConfig, transformers.GPTNeoXForCausalLM),
    "qwen3_moe": (transformers.Qwen3MoeConfig, transformers.Qwen3MoeForCausalLM),
}
"""Families that go the whole way in test_families; FAMILIES pass through every law of a reader."""
_SPECIAL = {
    "granite": {"logits_scaling": 4.0, "embedding_multiplier": 3.0, "residual_multiplier": 0.5},
    "qwen3_moe": {"num_experts": 4, "moe_intermediate_size": 32, "num_experts_per_tok": 2},
}
"""Settings that a family's real models have and its defaults do not."""
SENTENCES = (
    "A shark hunts swimmers off a quiet island.",
    "Two old friends rob a bank and run for the border.",
    "Describe the movie. What does it say, and what is it about?",
    "<|im_start|>user\nassistant\n",
)


def tiny_tokenizer() -> Any:
    """Byte-level BPE of about 290 tokens with the marks of ChatML; any text goes there and back."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=290,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")


def tiny_model(family: str = "llama", *, hidden: int = 32, seed: int = 0) -> Any:
    """A causal language model of two layers with large random weights, so that its answers vary."""
    config_class, model_class = {**FAMILIES, **MORE_FAMILIES}[family]
    config = config_class(
        vocab_size=290,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=hidden // 4,
        max_position_embeddings=512,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=0,
        eos_token_id=1,
        **_SPECIAL.get(family, {}),
    )
    torch.manual_seed(seed)
    return model_class(config).eval()


def tiny_reader(family: str = "llama", *, vector_dim: int = 6, num_soft_tokens: int = 2) -> Reader:
    """A reader of vectors of six numbers, all of it at random."""
    model = tiny_model(family)
    torch.manual_seed(1)
    config = AdapterConfig(
        vector_dim=vector_dim,
        model_dim=32,
        hidden_dim=16,
        num_soft_tokens=num_soft_tokens,
        token_norm=token_norm(model.get_input_embeddings(), 290),
    )
    return Reader(model, tiny_tokenizer(), Adapter(config).eval(), CHATML)


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="tiny-models-")  # removed when Python ends


NAMED: dict[str, NamedModel] = {}
"""The folders of `base_folder`, as if a person had named them: bundles that call them by their path open them."""


def base_folder(family: str = "llama") -> Path:
    """The folder of a tiny model, noted as named anew each time: a test may have put other notes in their place."""
    folder = _made_folder(family)
    sha256 = model_digest(str(folder))
    for name in (str(folder), folder.name):
        NAMED[noted_as(name, sha256)] = NamedModel(name, str(folder), stamp_of(folder))
    return folder


@cache
def _made_folder(family: str) -> Path:
    """A tiny model and its tokenizer as a folder that transformers opens, made once; not to be written to.

    Its weights are in bfloat16, so that readers in bfloat16 and in float32 have the same base.
    """
    folder = Path(_scratch().name) / f"tiny-{family}"
    tiny_model(family, hidden=64).to(torch.bfloat16).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def tiny_recipe(base: Path | str = "nowhere", /, **changes: Any) -> Recipe:
    """A whole recipe of small numbers; `changes` replace its tables."""
    values: dict[str, Any] = {
        "name": "tiny",
        "base": {"model": str(base), "encoder": "toy"},
        "sources": {"movies": "movies.csv"},
        "split": {"movies": 0.5},
        "texts": {"plot": 100, "sentence": 100},
        "tasks": {"describe": 1.0},
        "adapter": {"hidden_dim": 32, "num_soft_tokens": 2},
        "lora": {"rank": 8, "alpha": 16, "targets": ["q_proj", "v_proj", "o_proj", "down_proj"]},
        "stages": [{"name": "adapter", "share": 0.5}, {"name": "joint", "share": 0.5}],
        "schedule": {"tokens_per_step": 256, "warmup_steps": 1, "max_hours": 1000.0},
    }
    return recipe_from_dict({**values, **changes})
