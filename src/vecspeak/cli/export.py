"""`vecspeak export`: a reader's model for programs that serve language models."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.show import emit, note
from vecspeak.console import say

if TYPE_CHECKING:
    from vecspeak.engines.vllm_model import Precision


@click.group()
def export() -> None:
    """Write a reader's model for another program."""


@export.command()
@options.bundle
@click.argument("out", type=options.PATH)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default=None,
    help="Numbers of the weights.  [default: those of the base model]",
)
@options.as_json
def vllm(bundle: Path, out: Path, *, dtype: "Precision | None", as_json: bool) -> None:
    """Write the language model of BUNDLE's reader, its LoRA merged, to the folder OUT, which a stock vLLM serves.

    The last lines say what starts the server, and what asks it. Adapter, maps and lexicons stay in the bundle.

    Examples:
        vecspeak export vllm movies.bundle reader-for-vllm

        vecspeak export vllm movies.bundle reader-for-vllm --dtype bfloat16

    """
    from vecspeak.api import VecSpeak

    found = VecSpeak.load(bundle, notify=note).export_vllm(out, dtype=dtype)
    if as_json:
        emit(found.to_dict())
    else:
        say(
            *found.lines,
            "then ask it:",
            f"  vecspeak ask {shlex.quote(str(bundle))} QUESTION --engine vllm:http://127.0.0.1:8000",
        )
