"""Adapter: turns domain vectors into soft tokens a language model can read (E_A of the paper, section 2).

Departs from the paper: K soft tokens a vector instead of one, each brought to the norm of a token embedding.
Shape letters: B vectors, N vector width, H hidden, K soft tokens per vector, E model width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True, slots=True)
class AdapterConfig:
    """Widths of an adapter and the norm of what it makes."""

    vector_dim: int
    """Width of one domain vector (N)."""
    model_dim: int
    """Width of the language model's token embeddings (E)."""
    hidden_dim: int = 1024
    """Width of the hidden layer (H)."""
    num_soft_tokens: int = 8
    """Soft tokens that one vector becomes (K)."""
    token_norm: float = 1.0
    """Euclidean norm of every soft token: the mean norm of the language model's token embeddings."""

    def __post_init__(self) -> None:
        for name in ("vector_dim", "model_dim", "hidden_dim", "num_soft_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.token_norm > 0:
            raise ValueError(f"token_norm must be positive, got {self.token_norm}")


class Adapter(nn.Module):
    """Two-layer MLP on unit vectors, standardized by the statistics of the vectors it was trained on."""

    center_N: Tensor
    spread: Tensor

    def __init__(self, config: AdapterConfig) -> None:
        super().__init__()
        self.config = config
        self.expand = nn.Linear(config.vector_dim, config.hidden_dim)
        self.project = nn.Linear(config.hidden_dim, config.num_soft_tokens * config.model_dim)
        self.register_buffer("center_N", torch.zeros(config.vector_dim))
        self.register_buffer("spread", torch.ones(()))

    def set_statistics(self, vectors_BN: Tensor) -> None:
        """Keep the mean [N] and the one standard deviation of the unit vectors that training will show."""
        unit_BN = F.normalize(vectors_BN.to(self.center_N.device).float(), dim=-1)
        self.center_N.copy_(unit_BN.mean(0))
        self.spread.copy_((unit_BN - self.center_N).std().clamp_min(1e-6))

    def standardize(self, vectors_BN: Tensor) -> Tensor:
        """Length 1, then centred and scaled: only the direction of a vector is read, never its length."""
        return (F.normalize(vectors_BN.float(), dim=-1) - self.center_N) / self.spread

    def forward(self, vectors_BN: Tensor) -> Tensor:
        """[B, N] vectors of any length to [B, K, E] soft tokens of norm `token_norm`."""
        hidden_BH = F.gelu(self.expand(self.standardize(vectors_BN)))
        soft_BKE = self.project(hidden_BH).unflatten(-1, (self.config.num_soft_tokens, self.config.model_dim))
        return F.normalize(soft_BKE, dim=-1) * self.config.token_norm

    @torch.no_grad()
    def start_linear(self, map_NKE: Tensor, offset_KE: Tensor) -> None:
        """Start as a linear map [N, K, E] of standardized vectors plus an offset [K, E].

        A pair of hidden units carries each input exactly, since gelu(x) - gelu(-x) = x; the remaining
        units keep their random start. Needs hidden_dim >= 2 * vector_dim, else nothing is changed.
        """
        width = self.config.vector_dim
        if self.config.hidden_dim < 2 * width:
            return
        identity = torch.eye(width)
        self.expand.weight[: 2 * width] = torch.cat([identity, -identity])
        self.expand.bias[: 2 * width] = 0
        flat_EN = map_NKE.reshape(width, -1).T
        self.project.weight[:, : 2 * width] = torch.cat([flat_EN, -flat_EN], dim=1)
        self.project.weight[:, 2 * width :] *= 0.1
        self.project.bias.copy_(offset_KE.flatten())
