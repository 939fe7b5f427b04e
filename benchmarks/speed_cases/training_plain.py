"""REFERENCES, not vecspeak: the training step as one first writes it, and as the public code of the paper's peer does.

Plain: rows in random order, padded to the longest of the batch, the slots filled by one masked assignment,
transformers' model called with `inputs_embeds`, `attention_mask` and `labels` (it keeps all logits and computes its
own loss), its default attention, peft's LoRA, torch's AdamW, no compilation.
Peer (written from a description of the public ELM code): a Python loop over the tokens of each sequence puts the
embeddings together one by one; padded, no attention mask.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from vecspeak.model.adapter import Adapter
from vecspeak.model.pretrained import load_language_model
from vecspeak.model.prompt import PLACEHOLDER
from vecspeak.model.reader import IGNORED
from vecspeak.training.batching import TokenRow
from vecspeak.training.recipe import Recipe

Way = Literal["plain", "peer"]


class PlainTraining:
    """A language model with peft's LoRA and an adapter, trained step by step."""

    def __init__(
        self,
        recipe: Recipe,
        adapter: Adapter,
        *,
        dtype: torch.dtype,
        device: str,
        way: Way = "plain",
        lora_in_float32: bool = False,
    ) -> None:
        from peft import LoraConfig, get_peft_model

        # On a GPU the weights stay in float32 and autocast computes in bfloat16, as trainers do by default.
        on_gpu = device == "cuda"
        self.device, self.way = device, way
        self.autocast: Any = torch.autocast("cuda", torch.bfloat16) if on_gpu else nullcontext()
        model, self.tokenizer = load_language_model(recipe.base.model, torch.float32 if on_gpu else dtype)
        lora = LoraConfig(
            r=recipe.lora.rank, lora_alpha=int(recipe.lora.alpha), target_modules=list(recipe.lora.targets)
        )
        torch.manual_seed(recipe.seed)
        # peft's own choice, a LoRA in float32, learns better and is slower on a CPU: timed is the faster one.
        exact = on_gpu or lora_in_float32
        self.model: Any = get_peft_model(model, lora, autocast_adapter_dtype=exact).to(device).train()
        self.adapter = adapter.to(device)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        schedule = recipe.schedule
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(adapter.parameters()), "base_rate": schedule.adapter_rate},
                {"params": trained, "base_rate": schedule.model_rate},
            ],
            lr=1e-3,
            betas=(0.9, 0.95),
            weight_decay=0.01,
        )

    def _padded(self, rows: Sequence[TokenRow]) -> tuple[Tensor, Tensor, Tensor]:
        shape = (len(rows), max(len(row.ids) for row in rows))
        ids, labels, mask = (
            torch.zeros(shape, dtype=torch.long),
            torch.full(shape, IGNORED),
            torch.zeros(shape),
        )
        for index, row in enumerate(rows):
            own = torch.from_numpy(row.ids.astype(np.int64))
            ids[index, : len(own)], mask[index, : len(own)] = own, 1
            labels[index, row.num_prompt : len(own)] = own[row.num_prompt :]
        return ids.to(self.device), labels.to(self.device), mask.to(self.device)

    def _embeds(self, ids_BT: Tensor, soft_SKE: Tensor) -> Tensor:
        embedding: nn.Module = self.model.get_input_embeddings()
        embeds_BTE = embedding(ids_BT.clamp(min=0))
        embeds_BTE[ids_BT == PLACEHOLDER] = soft_SKE.flatten(0, 1).to(embeds_BTE.dtype)
        return embeds_BTE

    def _embeds_one_by_one(self, ids_BT: Tensor, soft_SKE: Tensor) -> Tensor:
        """The peer's way."""
        embedding: nn.Module = self.model.get_input_embeddings()
        soft, sequences = iter(soft_SKE.flatten(0, 1)), []
        for ids in ids_BT:
            parts = []
            for token in ids:
                parts.append(next(soft) if int(token) == PLACEHOLDER else embedding(token))
            sequences.append(torch.stack([part.to(embedding.weight.dtype) for part in parts]))
        return torch.stack(sequences)

    def loss(self, rows: Sequence[TokenRow], vectors: np.ndarray) -> Tensor:
        """The model's own loss of a padded batch; `vectors` [S, D] in reading order."""
        ids_BT, labels_BT, mask_BT = self._padded(rows)
        with self.autocast:
            soft_SKE = self.adapter(torch.from_numpy(vectors).to(self.device))
            if self.way == "peer":
                embeds = self._embeds_one_by_one(ids_BT, soft_SKE)
                return self.model(inputs_embeds=embeds, labels=labels_BT).loss
            embeds = self._embeds(ids_BT, soft_SKE)
            return self.model(inputs_embeds=embeds, attention_mask=mask_BT, labels=labels_BT).loss

    def step(self, rows: Sequence[TokenRow], vectors: np.ndarray, factor: float = 1.0) -> int:
        """One step; the tokens that are not padding."""
        loss = self.loss(rows, vectors)
        loss.backward()
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_rate"] * factor
        self.optimizer.step()
        self.optimizer.zero_grad()
        loss.item()
        return sum(len(row.ids) for row in rows)
