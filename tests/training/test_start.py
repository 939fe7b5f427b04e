"""Start: the closed form finds a map that was planted."""

import torch
import torch.nn.functional as F

from vecspeak.model.adapter import Adapter, AdapterConfig
from vecspeak.training.run import ridge_start, stretch_means

TABLE = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))


def test_one_token_a_stretch_is_that_tokens_embedding():
    means = stretch_means([[3, 7], [4, 1]], TABLE, 2)
    assert torch.allclose(means, TABLE[torch.tensor([[3, 7], [4, 1]])], atol=1e-6)


def test_a_text_shorter_than_the_stretches_still_fills_them():
    means = stretch_means([[3], [4]], TABLE, 3)
    assert torch.allclose(means[0], TABLE[3].expand(3, 5), atol=1e-6)


def test_a_rare_token_counts_more_than_one_in_every_text():
    means = stretch_means([[3, 7], [3, 8], [3, 9]], TABLE, 1)
    assert (means[0, 0] - TABLE[7]).norm() < 0.1 * (means[0, 0] - TABLE[3]).norm()


def test_a_planted_linear_map_is_recovered():
    """Token i stands in a text where vector part i is high, so soft tokens must point at its embedding."""
    torch.manual_seed(0)
    config = AdapterConfig(vector_dim=12, model_dim=5, hidden_dim=32, num_soft_tokens=2, token_norm=1.5)
    adapter = Adapter(config)
    tokens = torch.arange(600) % 12
    vectors = F.one_hot(tokens, 12) + 0.01 * torch.randn(600, 12)
    adapter.set_statistics(vectors)
    ridge_start(adapter, vectors, [[int(t), int(t + 1) % 12] for t in tokens], TABLE, penalty=1e-4)
    with torch.no_grad():
        soft = adapter(torch.eye(12))
    wanted = torch.stack([TABLE, TABLE.roll(-1, 0)], 1)
    assert F.cosine_similarity(soft, wanted, dim=-1).min() > 0.8
    nearest = (F.normalize(soft, dim=-1) @ F.normalize(TABLE, dim=-1).T).argmax(-1)
    assert nearest[:, 0].tolist() == list(range(12))
