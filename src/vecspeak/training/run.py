"""Run: a recipe becomes a trained reader in a folder. Puts data, model, start and loop together.

Each part is prepared once and found again by a run that goes on.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vecspeak.bundles import Bundle
from vecspeak.console import print_line
from vecspeak.encoders.text import Encoder, encoder_title, load_named_encoder
from vecspeak.errors import UserError
from vecspeak.model.adapter import Adapter, AdapterConfig
from vecspeak.model.chat import chat_format
from vecspeak.model.head import check_head
from vecspeak.model.inject import token_norm
from vecspeak.model.pretrained import base_title, load_language_model, model_digest
from vecspeak.model.prompt import ChatFormat
from vecspeak.model.reader import Reader
from vecspeak.model.special_tokens import foreign_ids
from vecspeak.storage import digest, file_digest, read_json, replace_file
from vecspeak.tasks.corpus import Text
from vecspeak.training.batching import Reordered, TokenRow, cached_rows, make_rows
from vecspeak.training.crossing import Crossing, cross, fit_crossing
from vecspeak.training.dataset import (
    Example,
    TargetDataset,
    TrainingTexts,
    make_examples,
    mix,
    prepare,
    prepare_texts,
    read_target_dataset,
    read_words,
    summary,
    texts_digest,
    with_training_words,
)
from vecspeak.training.found_answers import found_examples, read_found
from vecspeak.training.lora import attach_lora
from vecspeak.training.recipe import ALL_LAYERS, Recipe, identity_of
from vecspeak.training.trainer import (
    Progress,
    Trainer,
    TrainingOutcome,
    TrainingRun,
    ValidationRows,
    single_vector_rows,
)


def check_start(recipe: Recipe, start: Bundle, vector_dim: int) -> None:
    """Raise UserError, naming both, when the recipe's reader is another than the one it is to begin from.

    Its encoder may be another: then the adapter begins behind a map between the two (`training.crossing`).
    """
    card = start.manifest.reader
    config = read_json(start.reader_folder / "lora" / "adapter_config.json")
    adapter, lora = recipe.adapter, recipe.lora
    wanted_and_given: dict[str, tuple[Any, Any]] = {
        "base.model": (base_title(recipe.base.model), base_title(card.base_model)),
        "adapter.hidden_dim": (adapter.hidden_dim, card.adapter.get("hidden_dim")),
        "adapter.num_soft_tokens": (adapter.num_soft_tokens, card.adapter.get("num_soft_tokens")),
        "lora.rank": (lora.rank, config.get("r")),
        "lora.alpha": (lora.alpha, config.get("lora_alpha")),
    }
    if lora.targets != (
        ALL_LAYERS,
    ):  # else whatever the base has: its layers are compared when they are filled
        wanted_and_given["lora.targets"] = (sorted(lora.targets), sorted(config.get("target_modules", [])))
    if not crosses(recipe, start):
        wanted_and_given["vectors of numbers"] = (vector_dim, card.adapter.get("vector_dim"))
    for name, (wanted, given) in wanted_and_given.items():
        if given != wanted:
            raise UserError(
                f"the recipe {recipe.name!r} says {name} = {wanted}, the reader it starts from "
                f"({start.folder}) has {given}",
                "correct the recipe, or start from another reader",
            )
    if card.base_sha256 and model_digest(recipe.base.model) != card.base_sha256:
        raise UserError(
            f"{recipe.base.model} has other weights than the language model of the reader in {start.folder}",
            "correct base.model in the recipe, or start from another reader",
        )


def crosses(recipe: Recipe, start: Bundle | None) -> bool:
    """Whether the reader that a run begins from reads another encoder's vectors."""
    return start is not None and start.manifest.reader.encoder != encoder_title(recipe.base.encoder)


def continue_reader(reader: Reader, start: Bundle) -> Reader:
    """The reader with the weights, the statistics and the chat format of a saved one of the same shape.

    Raises UserError when the files do not hold what the manifest says.
    """
    card = start.manifest.reader
    try:
        adapter = Adapter(AdapterConfig(**card.adapter))
        state = load_file(start.reader_folder / "adapter.safetensors")
        adapter.load_state_dict({name: value.float() for name, value in state.items()})
        _fill_lora(
            reader.language_model, load_file(start.reader_folder / "lora" / "adapter_model.safetensors")
        )
        chat = ChatFormat(**card.chat)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"the reader in {start.folder} is damaged ({reason})", "copy or make the bundle again"
        ) from error
    return dataclasses.replace(reader, adapter=adapter.to(reader.device), chat=chat)


@torch.no_grad()
def _fill_lora(language_model: Any, lora: dict[str, Tensor]) -> None:
    """Copy a LoRA in PEFT's form into the one that is attached. Raises KeyError where they are not the same."""
    attached = {name: value for name, value in language_model.named_parameters() if "lora_" in name}
    saved = {
        f"{key.removeprefix('base_model.model.').removesuffix('.weight')}.default.weight": value
        for key, value in lora.items()
    }
    if unpaired := sorted(set(attached) ^ set(saved)):
        raise KeyError(f"{unpaired[0]}: lora.targets are not those of the recipe, or it is not whole")
    for name, value in saved.items():
        attached[name].copy_(value)


def stretch_means(rows: Sequence[Sequence[int]], table_VE: Tensor, num_stretches: int) -> Tensor:
    """[B, K, E] weighted mean token embeddings of K equal stretches of each row of token ids."""
    # weighted by inverse document frequency: tokens that every text has say nothing of one
    counts_V = torch.zeros(len(table_VE))
    for row in rows:
        counts_V[torch.tensor(sorted(set(row)))] += 1
    weights_V = torch.log((1 + len(rows)) / (1 + counts_V))
    means = torch.zeros(len(rows), num_stretches, table_VE.shape[1])
    for index, row in enumerate(rows):
        ids = torch.tensor(row)
        bounds = torch.linspace(0, len(row), num_stretches + 1).round().long().tolist()
        for k in range(num_stretches):
            low = min(bounds[k], len(row) - 1)
            part = ids[low : max(bounds[k + 1], low + 1)]
            weight = weights_V[part].clamp_min(1e-3)
            means[index, k] = (weight[:, None] * table_VE[part]).sum(0) / weight.sum()
    return means


def ridge_start(
    adapter: Adapter,
    vectors_BN: Tensor,
    rows: Sequence[Sequence[int]],
    table_VE: Tensor,
    penalty: float = 0.01,
) -> None:
    """Set the adapter to the ridge map from vectors to stretches of their texts' token embeddings.

    `penalty` is relative to the mean eigenvalue of the vectors' covariance; rows must not be empty.
    """
    # Soft tokens that begin as averages of real token embeddings are something the language model can read already;
    # at the length of real ones (`wanted`), for averages are shorter.
    inputs_BN = adapter.standardize(vectors_BN)
    targets_BKE = stretch_means(rows, table_VE, adapter.config.num_soft_tokens)
    offset_KE = targets_BKE.mean(0)
    centred = (targets_BKE - offset_KE).flatten(1)
    gram_NN = inputs_BN.T @ inputs_BN
    gram_NN += penalty * gram_NN.diagonal().mean() * torch.eye(len(gram_NN))
    flat_map = torch.linalg.solve(gram_NN, inputs_BN.T @ centred)
    map_NKE = flat_map.unflatten(1, offset_KE.shape)
    predicted_BKE = torch.einsum("bn,nke->bke", inputs_BN, map_NKE)
    wanted = (table_VE - table_VE.mean(0)).norm(dim=-1).mean()
    adapter.start_linear(map_NKE * wanted / predicted_BKE.norm(dim=-1).mean(), offset_KE)


_VALIDATED = 160
_START_TEXTS = 20_000
_MAX_ANSWER = 256
"""Tokens of a target that are learned: a long description has 150 words, and is to end."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingResult:
    """A trained reader (its LoRA attached, not merged) and what is worth keeping of the run."""

    reader: Reader
    data: dict[str, Any]
    """Counts and digests of what was trained on."""
    progress: Progress
    outcome: TrainingOutcome


def fresh_reader(recipe: Recipe, vector_dim: int, *, device: str) -> Reader:
    """An untrained reader: frozen base in bfloat16, LoRA at zero, adapter at random."""
    torch.manual_seed(recipe.seed)
    # On a CPU the plain attention is faster than the fused one at these lengths (measured: 1.3 times a step).
    attention = "eager" if device == "cpu" else None
    model, tokenizer = load_language_model(recipe.base.model, torch.bfloat16, attention)
    check_head(model)
    embedding: nn.Module = model.get_input_embeddings()
    sizes = model.config.get_text_config(decoder=True)
    config = AdapterConfig(
        vector_dim=vector_dim,
        model_dim=sizes.hidden_size,
        hidden_dim=recipe.adapter.hidden_dim,
        num_soft_tokens=recipe.adapter.num_soft_tokens,
        token_norm=token_norm(embedding, sizes.vocab_size),
    )
    attach_lora(model, recipe.lora)  # changes the model in place
    adapter = Adapter(config)
    return Reader(model.to(device), tokenizer, adapter.to(device), chat_format(tokenizer))


def start_adapter(reader: Reader, data: TrainingTexts, seed: int) -> None:
    """Statistics and closed-form start of the adapter from a sample of the training texts."""
    _start(reader, data.vectors, [text.target for text in data.texts], seed)


def _start(reader: Reader, vectors_NT: np.ndarray, targets: Sequence[str], seed: int) -> None:
    sample = np.sort(np.random.default_rng(seed).permutation(len(targets))[:_START_TEXTS])
    vectors = torch.from_numpy(np.asarray(vectors_NT[sample], dtype=np.float32))
    adapter = reader.adapter.to("cpu")
    adapter.set_statistics(vectors)
    rows = [foreign_ids(reader.tokenizer, targets[i])[:128] or [0] for i in sample]
    table = next(reader.embedding.parameters()).detach().float().cpu()
    ridge_start(adapter, vectors, rows, table)
    adapter.to(reader.device)


def validation_examples(texts: Sequence[Text], seed: int) -> tuple[list[Text], list[Example]]:
    """Held-out texts to watch while training: half plots, half of the other kinds."""
    held_out = [text for text in texts if text.split == "held_out"]
    order = np.random.default_rng(seed + 2).permutation(len(held_out))
    plots = [held_out[i] for i in order if held_out[i].kind == "plot"][: _VALIDATED // 2]
    others = [held_out[i] for i in order if held_out[i].kind != "plot"][: _VALIDATED // 2]
    selected = plots + others
    return selected, [
        Example(task="describe", question="Describe {x}.", rows=(row,), target=text.target)
        for row, text in enumerate(selected)
    ]


def _claim(
    folder: Path, recipe: Recipe, dataset: TargetDataset | None = None, start: Bundle | None = None
) -> None:
    """Keep beside the checkpoints what the run is of. Raises UserError when the folder holds another run.

    The time allowed is no part of it: a run may be given more.
    """
    path = folder / "recipe.json"
    values = json.loads(json.dumps(recipe.to_dict()))
    if dataset:
        values["targets_sha256"] = dataset.facts["sha256"]
        values["vectors_sha256"] = digest(dataset.vectors)
    if start:
        values["start_files"] = start.manifest.files
    if recipe.answers.files:
        for path_of_found in recipe.answers.files:
            read_found(path_of_found)  # refused before anything slow begins
        values["answers_sha256"] = [file_digest(one) for one in recipe.answers.files]
    retained = read_json(path) if path.exists() else None
    if retained is not None and not isinstance(retained, dict):
        raise UserError(f"{path} is no recipe of a run", "choose another folder, or delete that file")
    if retained is not None and (changed := _changed(retained, values)):
        raise UserError(
            f"{folder} holds the run of another recipe, of other targets or from another reader: "
            f"{changed} is not as it was",
            "choose another folder or delete it",
        )
    with replace_file(path) as beside:
        beside.write_text(json.dumps(values, indent=1, sort_keys=True), encoding="utf-8")


def _changed(before: dict[str, Any], given: dict[str, Any]) -> str:
    """The first setting that makes it another run; empty where it is the same one, whatever time it has."""
    before, given = identity_of(before), identity_of(given)
    for name in sorted(before.keys() | given.keys()):
        old, new = before.get(name), given.get(name)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            key = next(key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key))
            return f"{name}.{key}"
        return name
    return ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunData:
    """All that a run learns from: texts of the corpus, targets, or both."""

    corpus: TrainingTexts | None
    examples: list[Example]
    """Of the corpus, and what a search found about it."""
    targets: TargetDataset | None
    vectors: np.ndarray
    """[N, T] of the corpus, then of the targets."""

    @property
    def target_examples(self) -> list[Example]:
        """Of the targets, about rows of `vectors`."""
        if self.targets is None:
            return []
        return shifted(self.targets.examples, len(self.vectors) - len(self.targets.vectors))


def shifted(examples: Sequence[Example], by: int) -> list[Example]:
    """The same examples where their vectors stand further down in a table."""
    return [replace(example, rows=tuple(row + by for row in example.rows)) for example in examples]


def _material(recipe: Recipe, encoder: Encoder, folder: Path, dataset: TargetDataset | None) -> RunData:
    corpus = prepare(recipe, encoder, folder) if recipe.replays else None
    words = read_words(corpus, encoder.name, folder, recipe) if corpus and recipe.words.share else []
    examples = make_examples(corpus, recipe, words) if corpus else []
    if corpus and recipe.answers.files:
        examples = _with_found(examples, corpus, recipe, words)
    tables = [part.vectors for part in (corpus, dataset) if part]
    vectors = tables[0] if len(tables) == 1 else np.concatenate(tables)
    return RunData(corpus=corpus, examples=examples, targets=dataset, vectors=vectors)


def _with_found(
    examples: list[Example], corpus: TrainingTexts, recipe: Recipe, words: Sequence[Sequence[str]]
) -> list[Example]:
    """The examples of the corpus and those that a search found about it, evenly mixed."""
    rows = [row for path in recipe.answers.files for row in read_found(path)]
    found, unknown = found_examples(rows, corpus.texts, recipe.answers.passes, recipe.seed)
    if unknown:
        print_line(
            f"{unknown:,} of {len(rows):,} found answers are about texts that this recipe does not train on"
        )
    if words:
        found = with_training_words(found, words, recipe.words, [recipe.seed, 7])
    both = [*examples, *found]
    return [both[number] for number in np.random.default_rng([recipe.seed, 8]).permutation(len(both))]


def _first_reader(
    recipe: Recipe, made: RunData, start: Bundle | None, crossing: Crossing | None, device: str
) -> Reader:
    """The reader as training begins: a saved one, or the closed form on the corpus, or on targets without one."""
    width = made.vectors.shape[1]
    if recipe.base.start and start is None:
        raise ValueError(f"the recipe starts from {recipe.base.start}, and no bundle was given")
    if start:
        check_start(recipe, start, width)
        reader = continue_reader(fresh_reader(recipe, width, device=device), start)
        return dataclasses.replace(reader, adapter=cross(reader.adapter, crossing)) if crossing else reader
    reader = fresh_reader(recipe, width, device=device)
    if made.corpus:
        start_adapter(reader, made.corpus, recipe.seed)
    else:
        single = [example for example in made.target_examples if len(example.rows) == 1]
        rows = [example.rows[0] for example in single]
        _start(reader, made.vectors[rows], [example.target for example in single], recipe.seed)
    return reader


def _crossing(recipe: Recipe, made: RunData, start: Bundle) -> Crossing:
    """The map from the recipe's encoder to that of the reader it begins from. Raises UserError without a corpus."""
    card = start.manifest.reader
    known = card.encoder
    if made.corpus is None:
        raise UserError(
            f"the reader it starts from reads {known}, and only texts can map {recipe.base.encoder} to it",
            "name some under [sources] in the recipe, or give `texts`",
        )
    encoder = load_named_encoder(known, card.encoder_sha256)
    texts = [text.text for text in made.corpus.texts]
    found = fit_crossing(texts, made.vectors[: len(texts)], encoder, seed=recipe.seed)
    print_line(
        f"{encoder_title(recipe.base.encoder)} is mapped to {known}, which the reader knows, by {found.texts:,} texts: "
        f"cosine {found.cosine:.2f} on others, {found.by_chance:.2f} with another text's"
    )
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _RunRows:
    """The rows of a run in their order, and what is said of them."""

    rows: Sequence[TokenRow]
    examples: Sequence[Example]
    order: np.ndarray
    """[M] the example of each row."""
    mixture: dict[str, Any]


def _rows(recipe: Recipe, made: RunData, reader: Reader, folder: Path) -> _RunRows:
    corpus = cached_rows(made.examples, reader, folder) if made.examples else None
    if recipe.targets is None or made.targets is None:
        assert corpus is not None
        order = np.arange(len(corpus))
        return _RunRows(rows=corpus, examples=made.examples, order=order, mixture={})
    examples = made.target_examples
    targets = cached_rows(examples, reader, folder, _MAX_ANSWER)
    mixed = mix(
        corpus.num_tokens if corpus else np.zeros(0, dtype=np.int64),
        targets.num_tokens,
        [example.task for example in examples],
        share=recipe.targets.share,
        weights=recipe.targets.weights,
        max_tokens=recipe.schedule.max_tokens,
    )
    for name, part in mixed.short.items():
        print_line(
            f"too few targets of {name}: they give {part:.0%} of its share; for more of them "
            "teach that task with a larger count, into another folder"
        )
    if mixed.total < recipe.schedule.max_tokens:
        print_line(
            f"the run ends at {mixed.total:,} tokens, of {recipe.schedule.max_tokens:,}: its examples end there"
        )
    return _RunRows(
        rows=Reordered([corpus, targets] if corpus else [targets], mixed.order),
        examples=[*made.examples, *examples],
        order=mixed.order,
        mixture={"tokens_planned": mixed.tokens, "short": mixed.short},
    )


def validation_rows(
    recipe: Recipe, encoder: Encoder, folder: Path, dataset: TargetDataset | None, reader: Reader
) -> ValidationRows:
    """Held-out rows: of texts, of targets, or half and half where there are both."""
    of_targets = dataset.validation if dataset else []
    selected: list[Text] = []
    examples: list[Example] = []
    if recipe.replays:
        selected, examples = validation_examples(prepare_texts(recipe, folder), recipe.seed)
    if dataset is None or not of_targets:
        vectors = (
            encoder.encode([text.text for text in selected]) if selected else np.zeros((0, 1), np.float32)
        )
        return single_vector_rows(make_rows(examples, reader), vectors)
    half = [number for number in range(len(selected)) if number % 2 == 0]  # of each kind
    texts = [replace(examples[number], rows=(row,)) for row, number in enumerate(half)]
    vectors = dataset.vectors
    if half:
        vectors = np.concatenate([encoder.encode([selected[number].text for number in half]), vectors])
    count = _VALIDATED // 2 if half else _VALIDATED
    shown = make_rows(shifted(of_targets[:count], len(half)), reader, _MAX_ANSWER)
    return single_vector_rows([*make_rows(texts, reader), *shown], vectors)


def train_reader(
    recipe: Recipe,
    encoder: Encoder,
    folder: Path,
    *,
    start: Bundle | None = None,
    spaces: Bundle | None = None,
    device: str = "",
) -> TrainingResult:
    """Prepare, train and return a reader; goes on where an earlier run in this folder stopped.

    `start` is the bundle that `base.start` names, `spaces` the one that `targets.bundle` names.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    folder.mkdir(parents=True, exist_ok=True)
    if recipe.targets and spaces is None:
        raise ValueError("the recipe has targets, and no bundle with their spaces was given")
    targets = None
    if recipe.targets and spaces:
        targets = read_target_dataset(recipe.targets, spaces, recipe.seed, recipe.words)
    _claim(folder, recipe, targets, start)
    made = _material(recipe, encoder, folder, targets)
    crossing = _crossing(recipe, made, start) if start and crosses(recipe, start) else None
    reader = _first_reader(recipe, made, start, crossing, device)
    rows = _rows(recipe, made, reader, folder)
    trainer = Trainer(
        TrainingRun(
            reader=reader,
            recipe=recipe,
            rows=rows.rows,
            vectors=made.vectors,
            held_out=validation_rows(recipe, encoder, folder, targets, reader),
            folder=folder,
        )
    )
    progress = trainer.train()
    retained = {**_retained(made, rows, trainer), "device": device}
    if crossing:
        names = ("cosine", "by_chance", "texts")
        retained["crossing"] = {name: getattr(crossing, name) for name in names}
    return TrainingResult(reader, retained, progress, trainer.outcome)


def _retained(made: RunData, rows: _RunRows, trainer: Trainer) -> dict[str, Any]:
    """What a manifest says of the data."""
    progress, retained = trainer.progress, dict[str, Any]()
    if made.corpus:
        retained |= summary(made.corpus, made.examples)
        retained["texts_sha256"] = texts_digest(made.corpus.texts)
        retained["sources"] = dict(Counter(text.source for text in made.corpus.texts))
    if made.targets:
        examples = [int(rows.order[number]) for number in trainer.seen()]
        of_targets = [example for example in examples if example >= len(made.examples)]
        seen = Counter(rows.examples[example].task for example in of_targets)
        retained["targets"] = {
            **made.targets.facts,
            **rows.mixture,
            "seen": dict(seen),
            "corpus_seen": len(examples) - len(of_targets),
        }
    return retained | {
        "examples_planned": len(rows.rows),
        "examples_seen": progress.examples,
        "tokens_seen": progress.tokens,
        "hours": round(progress.seconds / 3600, 3),
    }
