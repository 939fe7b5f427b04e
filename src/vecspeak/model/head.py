"""Output head: from a language model's last hidden states to the scores of its vocabulary.

The loss takes the head apart, so that scores are made for answer tokens alone and never held whole.
Shape letters: A answer tokens, E model width, V vocabulary.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vecspeak.errors import UserError

_PROBE = 8
"""Tokens of the text on which a head is compared with its model."""
_CLOSE = 0.02
"""Largest difference of scores, as a share of the largest, that the model's precision explains."""


class OutputHead(NamedTuple):
    """What a language model makes of a hidden state: `cap * tanh(scale * (h W' + b) / cap)`, or without a cap."""

    weight_VE: Tensor
    bias_V: Tensor | None = None
    scale: float = 1.0
    cap: float = 0.0
    """Where scores are capped, softly (Gemma 2); 0 where they are not."""

    def scores(self, hidden_AE: Tensor) -> Tensor:
        """[A, V] scores (logits), in the hidden states' precision where there is no cap."""
        scores_AV = hidden_AE @ self.weight_VE.T
        if self.bias_V is not None:
            scores_AV = scores_AV + self.bias_V
        if self.scale != 1:
            scores_AV = scores_AV * self.scale
        return self.cap * torch.tanh(scores_AV.float() / self.cap) if self.cap else scores_AV

    def slopes(self, scores_AV: Tensor) -> Tensor | float:
        """How fast each score grows with the product `h W'`: [A, V] under a cap, else one number for all."""
        return self.scale * (1 - (scores_AV / self.cap) ** 2) if self.cap else self.scale


def output_head(language_model: Any) -> OutputHead:
    """The head of a causal language model of transformers."""
    layer, config = (
        language_model.get_output_embeddings(),
        language_model.config.get_text_config(decoder=True),
    )
    # Granite divides its scores by one number, Cohere multiplies them by another; all others do neither.
    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(
        getattr(config, "logits_scaling", None) or 1.0
    )
    cap = float(getattr(config, "final_logit_softcapping", None) or 0.0)
    return OutputHead(layer.weight, getattr(layer, "bias", None), scale, cap)


@torch.no_grad()
def check_head(language_model: Any) -> None:
    """Raise UserError where a language model makes its scores in another way than its head is taken apart.

    The model's own scores of a few tokens are compared with the head's, so that no list of models is needed.
    """
    name = type(language_model).__name__
    try:
        embedding, decoder = language_model.get_input_embeddings(), language_model.get_decoder()
        ids = torch.arange(_PROBE, device=embedding.weight.device)[None] % embedding.weight.shape[0]
        hidden = decoder(inputs_embeds=embedding(ids), use_cache=False).last_hidden_state[0]
        ours, wanted = (
            output_head(language_model).scores(hidden).float(),
            language_model(ids).logits[0].float(),
        )
    except (AttributeError, TypeError, RuntimeError) as error:
        raise UserError(
            f"{name} is no language model of tokens with a decoder and an output embedding ({error})",
            "take a causal language model such as Llama, Qwen, Gemma or Mistral",
        ) from error
    if not (ours - wanted).abs().max() <= _CLOSE * wanted.abs().max():  # NaN too
        raise UserError(
            f"{name} makes its scores in a way that vecspeak does not know: they are no product of its last "
            "hidden states with its output embedding, scaled or capped",
            "take another base, or open an issue with this model's config.json",
        )
