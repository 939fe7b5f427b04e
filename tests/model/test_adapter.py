"""Adapter: norm, direction and the closed-form start."""

import pytest
import torch
import torch.nn.functional as F

from vecspeak.model.adapter import Adapter, AdapterConfig


def adapter(**changes):
    torch.manual_seed(0)
    sizes = {"vector_dim": 5, "model_dim": 7, "hidden_dim": 10, "num_soft_tokens": 3, "token_norm": 2.5}
    made = Adapter(AdapterConfig(**{**sizes, **changes}))
    made.set_statistics(torch.randn(50, 5) + 1)
    return made


def test_one_vector_becomes_k_soft_tokens_of_the_token_norm():
    soft = adapter()(torch.randn(4, 5))
    assert soft.shape == (4, 3, 7)
    assert torch.allclose(soft.norm(dim=-1), torch.full((4, 3), 2.5), atol=1e-5)


def test_only_the_direction_of_a_vector_is_read():
    made, vectors = adapter(), torch.randn(4, 5)
    assert torch.allclose(made(vectors), made(3 * vectors), atol=1e-5)
    assert not torch.allclose(made(vectors), made(-vectors), atol=1e-2)


def test_no_vectors_become_no_soft_tokens():
    assert adapter()(torch.zeros(0, 5)).shape == (0, 3, 7)


def test_the_vectors_of_the_statistics_are_centred_and_scaled():
    made, vectors = adapter(), torch.randn(200, 5) + 2
    made.set_statistics(vectors)
    standardized = made.standardize(vectors)
    assert torch.allclose(standardized.mean(0), torch.zeros(5), atol=1e-5)
    assert standardized.std().item() == pytest.approx(1, abs=1e-4)


def test_a_linear_start_makes_the_network_exactly_the_map_plus_the_offset():
    made, vectors = adapter(), torch.randn(4, 5)
    map_NKE, offset_KE = torch.randn(5, 3, 7), torch.randn(3, 7)
    made.start_linear(map_NKE, offset_KE)
    wanted = torch.einsum("bn,nke->bke", made.standardize(vectors), map_NKE) + offset_KE
    assert torch.allclose(made(vectors), F.normalize(wanted, dim=-1) * 2.5, atol=1e-5)


def test_a_narrow_adapter_is_left_at_random_by_a_linear_start():
    made = adapter(hidden_dim=9)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    made.start_linear(torch.randn(5, 3, 7), torch.randn(3, 7))
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


@pytest.mark.parametrize("name", ["vector_dim", "model_dim", "hidden_dim", "num_soft_tokens"])
def test_a_width_of_zero_is_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        adapter(**{name: 0})


def test_a_token_norm_of_zero_is_refused():
    with pytest.raises(ValueError, match="token_norm must be positive"):
        adapter(token_norm=0.0)
