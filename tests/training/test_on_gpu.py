"""On a GPU: the losses of the plain way, one compilation, and no waiting. Skipped where there is none."""

import pytest
import torch
from packed import VECTORS, packed, padded, some_rows

from tiny_models import base_folder, tiny_recipe
from vecspeak.training.batching import make_rows
from vecspeak.training.dataset import Example
from vecspeak.training.recipe import Speed
from vecspeak.training.run import fresh_reader
from vecspeak.training.step import StepLoss, choose_execution_mode, make_step_loss
from vecspeak.training.trainer import Trainer, TrainingRun, single_vector_rows

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
CUDA = torch.device("cuda")


@pytest.mark.parametrize("compiled", ["off", "on"])
def test_packs_have_the_losses_and_gradients_of_padded_rows(compiled):
    recipe = tiny_recipe(base_folder())
    plain, fast = (fresh_reader(recipe, 6, device="cuda") for _ in range(2))
    rows = some_rows(plain)
    wanted = StepLoss(plain)(padded(rows).to(CUDA))
    way = choose_execution_mode(Speed(packing="on", compile=compiled), 512, fast)
    loss = make_step_loss(fast, way)(packed(rows, [[3, 0, 1, 7], [8, 2, 6, 5, 4]]).to(CUDA))
    assert loss.item() == pytest.approx(wanted.item(), rel=2e-2)  # bfloat16
    found, expected = (
        torch.autograd.grad(one, list(reader.adapter.parameters()))
        for one, reader in ((loss, fast), (wanted, plain))
    )
    for one, other in zip(found, expected, strict=True):
        assert torch.nn.functional.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.98


def test_a_step_never_waits_and_compiles_once(tmp_path):
    recipe = tiny_recipe(base_folder(), schedule={"tokens_per_step": 512, "max_hours": 1000.0})
    reader = fresh_reader(recipe, 6, device="cuda")
    examples = [
        Example(task="t", question="Describe {x}.", rows=(n % 64,), target="A shark. " * (n % 5))
        for n in range(400)
    ]
    rows = make_rows(examples, reader)
    run = TrainingRun(
        reader=reader,
        recipe=recipe,
        rows=rows,
        vectors=VECTORS,
        held_out=single_vector_rows(rows[:4], VECTORS),
        folder=tmp_path,
    )
    trainer = Trainer(run)
    assert trainer.mode.compiled and len(trainer.plan) > 12
    half = len(trainer.plan) // 2 + 1
    for _ in range(2):  # of the adapter stage: all that will be compiled is
        trainer.step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.compiler.set_stance("fail_on_recompile"):
            for _ in range(half):  # and on into the joint stage
                trainer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(torch.stack(trainer.progress.losses)).all()
