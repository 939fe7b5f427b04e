"""Any causal language model: each family, at random weights, trains a step, is saved and opened again, and answers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tiny_models import FAMILIES, MORE_FAMILIES, base_folder, tiny_model, tiny_recipe, tiny_tokenizer
from vecspeak.bundles import ReaderCard, load_bundle
from vecspeak.bundles.weights import adapter_card, load_reader, save_reader
from vecspeak.engines import Sampling
from vecspeak.engines.transformers import TransformersEngine
from vecspeak.errors import UserError
from vecspeak.model.head import check_head, output_head
from vecspeak.model.inject import inject
from vecspeak.model.pretrained import model_digest
from vecspeak.model.prompt import PLACEHOLDER, PromptTemplate
from vecspeak.training.batching import collate, make_rows
from vecspeak.training.dataset import Example
from vecspeak.training.feed import step_input
from vecspeak.training.lora import lora_targets
from vecspeak.training.recipe import Lora
from vecspeak.training.run import fresh_reader
from vecspeak.training.step import StepLoss
from vecspeak.training.trainer import Trainer, TrainingRun, single_vector_rows

ALL = (*FAMILIES, *MORE_FAMILIES)
VECTORS = np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)
TEXTS = ("A shark.", "Two old friends rob a bank.", "A ghost train.", "A horse laughs.")
PROMPTS = [PromptTemplate("Describe {x}.").fill({"x": vector}) for vector in VECTORS]
GREEDY = Sampling(max_new_tokens=12, temperature=0)


def example(row):
    return Example(task="describe", question="Describe {x}.", rows=(row,), target=TEXTS[row])


def recipe_of(family):
    """A recipe whose LoRA changes every linear layer, whatever the family calls it."""
    return tiny_recipe(base_folder(family), lora={"rank": 4, "alpha": 16})


def trained(family, folder):
    """A reader of the family after a few steps, its LoRA on all linear layers."""
    recipe = recipe_of(family)
    reader = fresh_reader(recipe, 6, device="cpu")
    reader.adapter.set_statistics(torch.from_numpy(VECTORS))
    rows = [number for number in range(4) for _ in range(12)]
    examples = [example(row) for row in rows]
    made = make_rows(examples, reader)
    watched = single_vector_rows(made[:4], VECTORS)
    run = TrainingRun(
        reader=reader, recipe=recipe, rows=made, vectors=VECTORS, held_out=watched, folder=folder
    )
    Trainer(run).train()
    return reader


def saved(reader, family, folder):
    adapter, chat = adapter_card(reader)
    card = ReaderCard(
        base_model=str(base_folder(family)),
        base_sha256=model_digest(str(base_folder(family))),
        encoder="words",
        encoder_sha256="",
        adapter=adapter,
        chat=chat,
    )
    save_reader(folder, reader, name="toy", card=card)
    return load_bundle(folder)


@pytest.mark.parametrize("family", ALL)
def test_every_family_trains_is_saved_and_answers_as_it_was_trained(family, tmp_path):
    (tmp_path / "work").mkdir()
    reader = trained(family, tmp_path / "work")
    changed = [p for name, p in reader.language_model.named_parameters() if "lora_B" in name]
    assert changed and all(parameter.abs().sum() > 0 for parameter in changed)
    loaded = load_reader(saved(reader, family, tmp_path / "made"))
    reader.language_model.float()
    with torch.no_grad():
        ours, theirs = (logits(one, PROMPTS[1]) for one in (reader, loaded))
    assert torch.allclose(ours, theirs, atol=0.05 * ours.std().item())
    together = TransformersEngine(loaded).generate(PROMPTS, GREEDY)
    assert together == [TransformersEngine(loaded).generate([prompt], GREEDY)[0] for prompt in PROMPTS]
    with torch.no_grad():
        assert not torch.allclose(theirs, logits(loaded, PROMPTS[2]), atol=0.01 * theirs.std().item())


def logits(reader, prompt):
    embeds, mask = reader.embed_prompts([prompt])
    return reader.language_model(inputs_embeds=embeds, attention_mask=mask).logits[0]


@pytest.mark.parametrize("family", MORE_FAMILIES)
def test_a_tokens_own_embedding_changes_nothing(family):
    model = tiny_model(family)
    ids = torch.tensor([[5, 40, 7, 9, 200, 31, 8]])
    slots = ids.clone()
    slots[0, 2:4] = PLACEHOLDER
    embedding = model.get_input_embeddings()
    with torch.no_grad():
        injected = model(inputs_embeds=inject(slots, embedding(ids[:, 2:4]), embedding)).logits
        assert torch.equal(injected, model(input_ids=ids).logits)


@pytest.mark.parametrize("family", ALL)
def test_the_loss_is_the_cross_entropy_of_the_models_own_scores(family):
    """Scores that a family scales or caps are so in the loss and its gradient too."""
    reader = fresh_reader(recipe_of(family), 6, device="cpu")
    reader.language_model.float()
    rows = make_rows([example(0)], reader)
    batch = collate(rows, 1)
    made = step_input(batch, VECTORS[batch.rows_S], reader.adapter.config.num_soft_tokens)
    embeds = inject(batch.ids_BT, reader.adapter(made.vectors_SN), reader.embedding)
    own = reader.language_model(inputs_embeds=embeds).logits[:, :-1].flatten(0, 1)
    wanted = F.cross_entropy(own.float(), batch.labels_BT[:, 1:].flatten())
    loss = StepLoss(reader)(made)
    parameters = list(reader.adapter.parameters())
    gradients, expected = (torch.autograd.grad(one, parameters) for one in (loss, wanted))
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)
    for one, other in zip(gradients, expected, strict=True):
        assert torch.allclose(one, other, atol=1e-4 * float(other.abs().max()), rtol=1e-2)


def test_scaled_and_capped_scores_are_noticed():
    assert output_head(tiny_model("granite")).scale == 0.25
    assert output_head(tiny_model("gemma2")).cap == 30
    assert output_head(tiny_model("llama"))[1:] == (None, 1.0, 0.0)


def test_a_model_that_makes_its_scores_in_another_way_is_refused():
    model = tiny_model("llama")
    plain = model.forward
    model.forward = lambda *given, **named: _doubled(plain(*given, **named))
    with pytest.raises(UserError, match="makes its scores in a way that vecspeak does not know"):
        check_head(model)


def _doubled(out):
    out.logits = out.logits * 2
    return out


def test_all_layers_are_those_that_the_family_has():
    assert lora_targets(tiny_model("gpt2"), Lora()) == ["c_attn", "c_fc", "c_proj"]
    assert lora_targets(tiny_model("phi3"), Lora()) == ["down_proj", "gate_up_proj", "o_proj", "qkv_proj"]
    with pytest.raises(UserError, match=r"linear layers here are c_attn, c_fc, c_proj"):
        lora_targets(tiny_model("gpt2"), Lora(targets=("q_proj",)))


def test_a_base_in_four_bits_goes_the_whole_way(tmp_path, monkeypatch):
    """Where bitsandbytes is: the LoRA stands beside the quantized layers, for nothing can be added to them."""
    bitsandbytes = pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    asked = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    plain = AutoModelForCausalLM.from_pretrained(
        base_folder("llama"), dtype=torch.bfloat16, quantization_config=asked
    )
    folder = tmp_path / "quantized"
    plain.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    monkeypatch.setattr("test_families.base_folder", lambda family: folder)
    (tmp_path / "work").mkdir()
    reader = trained("llama", tmp_path / "work")
    loaded = load_reader(saved(reader, "llama", tmp_path / "made"))
    query = loaded.language_model.model.layers[0].self_attn.q_proj
    assert isinstance(query.base_layer, bitsandbytes.nn.Linear4bit)
    # Its products on a CPU differ between training and asking, so the change is compared, not the scores.
    wanted, found = (_loras(one.language_model) for one in (reader, loaded))
    assert wanted.keys() == found.keys() and len(found) == 28
    assert all(torch.allclose(found[name], wanted[name], atol=1e-3) for name in wanted)
    bare = load_reader(load_bundle(tmp_path / "made"), base_model=True)
    with torch.no_grad():
        assert (logits(bare, PROMPTS[1]) - logits(loaded, PROMPTS[1])).abs().max() > 0.05
    assert TransformersEngine(loaded).generate(PROMPTS[:1], GREEDY)


def _loras(model):
    return {name: value.float() for name, value in model.named_parameters() if "lora_" in name}
