"""A reader as a model that a stock vLLM loads: the base with its LoRA merged, in the form of Hugging Face.

The adapter, the maps of the spaces and the lexicons stay here. What a server is asked to serve carries a name that is
made of the reader's weights, so that an engine sees whether it talks to its own reader (`served_name`).
"""

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from vecspeak.bundles import Bundle
from vecspeak.bundles.manifest import LORA, LORA_CONFIG
from vecspeak.errors import UserError, check_one_of
from vecspeak.model.pretrained import locate_model
from vecspeak.model.prompt import ChatFormat
from vecspeak.storage import digest, read_json, replace_folder, write_json

if TYPE_CHECKING:
    from vecspeak.model.reader import Reader

Precision = Literal["float32", "bfloat16", "float16"]
MARKER = "vecspeak.json"
"""A file beside the weights that says what they are; a folder without it is not replaced."""
FLAGS = ("--enable-prompt-embeds", "--no-enable-prefix-caching")
"""What a server needs: prompts come as embeddings, and no part of one prompt may stand in for another's."""

PROMPT_ROLE = "prompt"
"""Whose message is a whole prompt with all that stands around its question, in the chat template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel:
    """A model that was written for vLLM, and how it is served."""

    folder: Path
    name: str
    """What the server must call it."""
    dtype: str
    num_bytes: int
    command: str
    """What starts a server of it on this machine's port 8000."""

    @property
    def lines(self) -> list[str]:
        """The same for people: what was written, what to type."""
        return [
            f"wrote {self.folder}: {self.num_bytes / 1e6:,.0f} MB in {self.dtype}, to be served as {self.name}",
            "serve it, in an environment with vLLM:",
            f"  {self.command}",
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "folder": str(self.folder)}


def served_name(bundle: Bundle) -> str:
    """What a server must call a reader's model: the same for equal base weights, LoRA and chat format."""
    card, files = bundle.manifest.reader, bundle.manifest.files
    lora = [files[name]["sha256"] for name in (LORA, LORA_CONFIG)]
    return f"vecspeak-{digest([card.base_model, card.base_sha256, card.chat, lora])[:16]}"


def serve_command(folder: str | Path, name: str, dtype: str) -> str:
    """What is typed to serve an exported model."""
    given = ("vllm", "serve", str(folder), "--served-model-name", name, "--dtype", dtype, *FLAGS)
    return shlex.join([*given, "--host", "127.0.0.1", "--port", "8000"])


def export_model(bundle: Bundle, out: Path, *, dtype: Precision | None = None) -> ExportedModel:
    """Write the language model of a bundle's reader, its LoRA merged, to a folder, whole or not at all.

    The numbers are in `dtype`, by default in that of the base model. Raises UserError for a base of quantized weights,
    which cannot take a LoRA in, for an unknown dtype, and for a folder that holds something else.
    """
    check_one_of("dtype", dtype, (None, *get_args(Precision)))
    import torch

    from vecspeak.bundles.weights import load_reader

    with replace_folder(out, marker=MARKER) as beside:
        reader = load_reader(bundle)
        if getattr(reader.language_model, "is_quantized", False):
            raise UserError(
                f"{bundle.manifest.reader.base_model} has quantized weights, which cannot take the LoRA in",
                "train on the same model in 16 bits, or use `engine='transformers'`",
            )
        found = dtype or _dtype_of(bundle)
        reader.language_model.to(getattr(torch, found))
        write_model(reader, beside)
        name = served_name(bundle)
        write_json(beside / MARKER, {"format": 1, "name": name, "dtype": found, "chat": asdict(reader.chat)})
        num_bytes = sum(path.stat().st_size for path in beside.rglob("*") if path.is_file())
    return ExportedModel(
        folder=out, name=name, dtype=found, num_bytes=num_bytes, command=serve_command(out, name, found)
    )


def write_model(reader: "Reader", folder: Path) -> None:
    """Write a reader's language model, tokenizer, ends of an answer and chat template into an empty folder."""
    from transformers import GenerationConfig

    model, tokenizer = reader.language_model, reader.tokenizer
    # The base's own may hold penalties and temperatures, which a server would apply unasked.
    model.generation_config = GenerationConfig(
        eos_token_id=reader.stop_ids, pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id
    )
    model.save_pretrained(folder)
    tokenizer.chat_template = chat_template(reader.chat)
    tokenizer.save_pretrained(folder)
    for (
        path
    ) in folder.iterdir():  # weights are written for their owner alone, and a server often is somebody else
        path.chmod((folder / "config.json").stat().st_mode)


def chat_template(chat: ChatFormat) -> str:
    """The template (Jinja) that puts around a question what training put there, and nothing around a whole prompt.

    >>> print(chat_template(ChatFormat(before="Q: ", after=" A:", stop="!")))    # doctest: +NORMALIZE_WHITESPACE
    {%- for message in messages -%}{%- if message.role == 'user' -%}{{ "Q: " + message.content + " A:" }}{%- elif
    message.role == 'assistant' -%}{{ message.content + "!" }}{%- elif message.role == 'prompt' -%}{{ message.content
    }}{%- endif -%}{%- endfor -%}
    """
    before, after, stop = (json.dumps(text) for text in (chat.before, chat.after, chat.stop))
    return (
        "{%- for message in messages -%}"
        f"{{%- if message.role == 'user' -%}}{{{{ {before} + message.content + {after} }}}}"
        f"{{%- elif message.role == 'assistant' -%}}{{{{ message.content + {stop} }}}}"
        f"{{%- elif message.role == '{PROMPT_ROLE}' -%}}{{{{ message.content }}}}"
        "{%- endif -%}{%- endfor -%}"
    )


def _dtype_of(bundle: Bundle) -> Precision:
    """The dtype that the base model is kept in; float32 where its configuration names none of those that are served."""
    from vecspeak.model.named import base_place

    card = bundle.manifest.reader
    config = read_json(locate_model(base_place(card.base_model, card.base_sha256)) / "config.json")
    said = config.get("dtype") or config.get("torch_dtype")
    return next((one for one in get_args(Precision) if one == said), "float32")
