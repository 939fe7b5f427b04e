"""Head: the loss and its gradient are torch's, in chunks and without holding the logits."""

import pytest
import torch
import torch.nn.functional as F

from vecspeak.training import head


@pytest.mark.parametrize("num_tokens", [1, 4, 11])
def test_loss_and_gradient_are_those_of_cross_entropy(num_tokens, monkeypatch):
    monkeypatch.setattr(head, "_CHUNK", 4)
    torch.manual_seed(0)
    weight, labels = torch.randn(50, 8), torch.randint(50, (num_tokens,))
    ours = torch.randn(num_tokens, 8, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    loss = head.frozen_head_loss(ours, weight, labels)
    wanted = F.cross_entropy(theirs @ weight.T, labels)
    (3 * loss).backward()
    (3 * wanted).backward()
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


def test_the_gradient_has_the_precision_of_the_hidden_states():
    hidden = torch.randn(5, 8, dtype=torch.bfloat16, requires_grad=True)
    weight = torch.randn(20, 8, dtype=torch.bfloat16)
    head.frozen_head_loss(hidden, weight, torch.tensor([1, 2, 3, 4, 5])).backward()
    assert hidden.grad.dtype == torch.bfloat16
    assert hidden.grad.abs().sum() > 0


def test_a_weight_that_would_train_is_refused():
    weight = torch.randn(20, 8, requires_grad=True)
    with pytest.raises(ValueError, match="the output embedding takes a gradient"):
        head.frozen_head_loss(torch.randn(2, 8), weight, torch.tensor([1, 2]))
