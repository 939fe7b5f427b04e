"""`vecspeak check`: what a bundle holds, whom it is from, and whether all of it is whole."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vecspeak.cli import options
from vecspeak.cli.messages import as_options
from vecspeak.cli.show import emit
from vecspeak.console import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vecspeak.bundles.checking import BundleCheck, ModelCheck, SpaceCheck


@click.command()
@options.bundle
@click.option(
    "--base",
    default="",
    metavar="FOLDER",
    help="The base model of its reader, which you trust: from now on bundles that name these weights open it.",
)
@click.option(
    "--encoder", default="", metavar="FOLDER", help="The encoder of its reader, which you trust, likewise."
)
@options.as_json
def check(bundle: Path, *, base: str, encoder: str, as_json: bool) -> None:
    """Say what BUNDLE holds, whom it is from, and whether every file is whole.

    Status 0 where all is whole, 1 where a file is missing, changed, unknown or a link, 2 where it is no bundle. Every
    file of the right size is digested; no model is opened.

    A path in a bundle is never followed. Where its reader was made with an encoder or a base model that the package
    does not know, and not on this machine, name their folders once: their weights must be those that the bundle notes.

    Examples:
        vecspeak check movies.bundle

        vecspeak check theirs.bundle --base models/tiny-llama

    """
    from vecspeak.api import VecSpeak
    from vecspeak.bundles.checking import name_models
    from vecspeak.bundles.manifest import read_manifest

    if base or encoder:
        name_models(read_manifest(bundle).reader, base=base, encoder=encoder)
    found = VecSpeak.check(bundle)
    if as_json:
        emit(found.to_dict())
    else:
        _print(found)
    if not found.is_whole:
        sys.exit(1)


def _print(found: "BundleCheck") -> None:
    say(*_lines(found))


def _lines(found: "BundleCheck") -> "Iterator[str]":
    yield f"{found.name}, a bundle of format {found.format_version}, written {found.made or '(not noted)'}"
    yield f"  encoder      {_model(found.encoder, '--encoder')}"
    yield f"  base model   {_model(found.base, '--base')}"
    for name, terms in found.trained_on.items():
        yield f"  trained on   {name}: {terms}"
    if found.began_as:
        yield f"  began as     {found.began_as}"
    for space in found.spaces:
        yield f"  space        {_space(space)}"
    for file in found.files:
        size = "" if file.size is None else f"{file.size:,}"
        yield f"  {file.state:<10} {size:>13}  {file.sha256[:12]:<12}  {file.path}"
    if found.error:
        yield f"it does not open: {as_options(found.error)}"
    if unsure := sum(file.state == "no digest" for file in found.files):
        yield f"of {unsure} files it has no digests: a bundle of format 1 notes those of its reader alone"
    broken = sum(file.state not in ("whole", "no digest") for file in found.files)
    yield "whole" if found.is_whole else f"not whole: {broken} of {len(found.files)} files"


def _space(space: "SpaceCheck") -> str:
    facts = [f"{space.items:,} items of {space.dim} numbers", f"mapped by {space.map}" if space.map else ""]
    facts += [
        f"{space.users:,} users" if space.users else "",
        f"{space.regions:,} regions" if space.regions else "",
    ]
    facts += [f"concepts {', '.join(space.concepts)}" if space.concepts else ""]
    return f"{space.name}: {', '.join(filter(None, facts))}"


def _model(model: "ModelCheck", option: str) -> str:
    where = {"package": "packaged", "": f"not here: name its folder with {option} if you trust it"}
    return f"{model.name}  {model.sha256[:12]}  ({where.get(model.place, f'named: {model.place}')})"
