"""Head: the loss and its gradient are torch's, in chunks and without holding the logits."""

import pytest
import torch
import torch.nn.functional as F

from vecspeak.model.head import OutputHead
from vecspeak.model.reader import IGNORED
from vecspeak.training import loss as head

BOTH = pytest.mark.parametrize("loss_of", [head.chunk_loss, head.fused_chunk_loss])


@BOTH
@pytest.mark.parametrize("num_tokens", [1, 4, 11])
def test_loss_and_gradient_are_those_of_cross_entropy(num_tokens, loss_of, monkeypatch):
    monkeypatch.setattr(head, "_CHUNK", 4)
    torch.manual_seed(0)
    weight, labels = torch.randn(50, 8), torch.randint(50, (num_tokens,))
    ours = torch.randn(num_tokens, 8, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    loss = head.frozen_head_loss(ours, OutputHead(weight), labels, loss_of=loss_of)
    wanted = F.cross_entropy(theirs @ weight.T, labels)
    (3 * loss).backward()
    (3 * wanted).backward()
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)


@BOTH
def test_the_gradient_has_the_precision_of_the_hidden_states(loss_of):
    hidden = torch.randn(5, 8, dtype=torch.bfloat16, requires_grad=True)
    weight = torch.randn(20, 8, dtype=torch.bfloat16)
    head.frozen_head_loss(
        hidden, OutputHead(weight), torch.tensor([1, 2, 3, 4, 5]), loss_of=loss_of
    ).backward()
    assert hidden.grad.dtype == torch.bfloat16
    assert hidden.grad.abs().sum() > 0


def test_a_weight_that_would_train_is_refused():
    weight = torch.randn(20, 8, requires_grad=True)
    with pytest.raises(ValueError, match="the output embedding takes a gradient"):
        head.frozen_head_loss(torch.randn(2, 8), OutputHead(weight), torch.tensor([1, 2]))


@BOTH
@pytest.mark.parametrize("kept", [3, 0])
def test_ignored_labels_count_nothing_wherever_they_stand(kept, loss_of, monkeypatch):
    monkeypatch.setattr(head, "_CHUNK", 4)
    torch.manual_seed(0)
    weight, labels = torch.randn(50, 8), torch.randint(50, (11,))
    labels[torch.randperm(11)[kept:]] = IGNORED
    hidden = torch.randn(11, 8, requires_grad=True)
    loss = head.frozen_head_loss(hidden, OutputHead(weight), labels, count=max(kept, 1), loss_of=loss_of)
    loss.backward()
    wanted = F.cross_entropy(hidden @ weight.T, labels, reduction="sum") / max(kept, 1)
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    assert (hidden.grad[labels == IGNORED] == 0).all()
    assert torch.allclose(hidden.grad, torch.autograd.grad(wanted, hidden)[0], atol=1e-6)


@BOTH
def test_large_scores_neither_overflow_nor_vanish(loss_of):
    weight = torch.eye(4) * 300
    hidden = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 0]], requires_grad=True)
    loss = head.frozen_head_loss(hidden, OutputHead(weight), torch.tensor([0, 1]), loss_of=loss_of)
    loss.backward()
    assert loss.item() == pytest.approx((300 + torch.tensor(3.0).log().item()) / 2, rel=1e-6)
    assert torch.isfinite(hidden.grad).all()
