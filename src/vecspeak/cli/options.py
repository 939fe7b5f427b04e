"""Options that several commands take, each defined once, and the groups that belong together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from vecspeak.console import say_text
from vecspeak.tasks.names import DEFAULT, SHIPPED

Command = TypeVar("Command", bound=Callable[..., Any])

PATH = click.Path(path_type=Path)


class _FileOrAddress(click.ParamType):
    """A file, or the address of a collection in a store, which a path would not keep as it is typed."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        return value if "://" in str(value) else Path(value)


SOURCE = _FileOrAddress()
SEEDS = click.IntRange(0, 2**32 - 1)
SETS = ", ".join((DEFAULT, *(name for name in SHIPPED if name != DEFAULT)))
"""Names of the package's task sets, as help lists them."""

bundle = click.argument("bundle", type=PATH)
space = click.option("--space", default="", help="Name of the space, when the bundle holds several.")
engine = click.option(
    "--engine",
    default="auto",
    show_default=True,
    help="openvino, transformers, the faster, or a server: vllm:http://127.0.0.1:8000.",
)


def effort(default: str) -> Any:
    """The option for how much is searched, with what its help says of the default."""
    return click.option(
        "--effort",
        type=click.Choice(["plain", "quick", "normal", "high"]),
        default=None,
        help="How much is searched for an answer: the likeliest tokens, one row that does not loop, 8 rows or 16."
        f"  [default: {default}]",
    )


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _page(_context: click.Context, _option: click.Parameter, given: Path | None) -> Path | None:
    """The page's path, which is checked before anything is worked out for it."""
    if given is not None:
        from vecspeak.storage import check_target

        check_target(given)
    return given


page = click.option(
    "--page",
    type=PATH,
    default=None,
    callback=_page,
    help="Write the result as a page (HTML) too, which needs no other file.",
)
download = click.option(
    "--download",
    is_flag=True,
    help="Fetch the language model from the Hugging Face hub, where it is named so (Qwen/Qwen3-0.6B).",
)
no_reader = click.option(
    "--no-reader", is_flag=True, help="Leave the language model out: only what is counted and measured."
)
task_set = click.option(
    "--tasks",
    "task_set",
    default="",
    metavar="SET",
    help=f"Task set: {SETS}, or a .toml file; by default the one that the reader learned.",
)
words = click.option(
    "--word", "words", multiple=True, metavar="NAME=WORD", help="Replace a word of the task set: item=jacket."
)


def seed(of: str = "Of every draw.", kind: click.ParamType | None = None) -> Callable[[Command], Command]:
    """`--seed`, with what it is the seed of."""
    return click.option("--seed", default=0, show_default=True, type=kind or SEEDS, help=of)


def group(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """One decorator for several options, which help lists in this order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def rating_columns(
    user: str | None = "user_id",
    item: str | None = "item_id",
    rating: str | None = "rating",
    *,
    rated: str = "ratings; more is better",
) -> Callable[[Command], Command]:
    """`--user`, `--item` and `--rating`: columns of a table of ratings; without defaults they are required."""

    def column(name: str, default: str | None, what: str) -> Callable[[Any], Any]:
        text = f"Column of {what}."
        if default is None:
            return click.option(f"--{name}", required=True, help=text)
        return click.option(f"--{name}", default=default, show_default=bool(default), help=text)

    return group(
        column("user", user, "users in the ratings"),
        column("item", item, "items in the ratings"),
        column("rating", rating, rated),
    )


strict = click.option(
    "--strict", is_flag=True, help="Refuse a table of which rows would be left out, instead of telling which."
)


def memory(command: Command) -> Command:
    """`--memory`: the command runs with that much allowed to what a file takes."""
    from functools import wraps

    @wraps(command)
    def with_memory(*given: Any, memory: str | None, **more: Any) -> Any:
        from vecspeak.bounds import allow_memory

        with allow_memory(memory):
            return command(*given, **more)

    return click.option(
        "--memory",
        metavar="SIZE",
        help="What a file may take in memory, such as 16GB; half of the machine's where not given.",
    )(with_memory)  # type: ignore[return-value]


def table_format(command: Command) -> Command:
    """The options for how a table is read; the command gets a `form`, and `--memory`."""
    from functools import wraps

    @wraps(command)
    def with_form(
        *given: Any,
        sep: str | None,
        encoding: str | None,
        no_header: bool,
        columns: str,
        **more: Any,
    ) -> Any:
        from vecspeak.tables.delimited import TextFormat

        named = tuple(one.strip() for one in columns.split(",")) if columns else ()
        form = TextFormat(sep=sep, encoding=encoding, header=not no_header, columns=named)
        return command(*given, form=form, **more)

    return group(
        click.option(
            "--sep", metavar="TEXT", help="What separates columns: ';', '::', tab. Found where not given."
        ),
        click.option("--encoding", help="Of a table of text, such as latin-1; UTF-8 where not given."),
        click.option(
            "--no-header", is_flag=True, help="The first row is a row: columns are called 1, 2, ..."
        ),
        click.option(
            "--columns", default="", metavar="A,B,...", help="Names of the columns, where no row has them."
        ),
        memory,
    )(with_form)  # type: ignore[return-value]


def count_of(least: int, default: int, help: str) -> Callable[[Command], Command]:  # noqa: A002
    """`--count`, from `least` on."""
    return click.option("--count", default=default, show_default=True, type=click.IntRange(least), help=help)


requests = group(
    click.option(
        "--key-env", default="", metavar="NAME", help="Environment variable with the key of that address."
    ),
    click.option(
        "--concurrency", default=4, show_default=True, type=click.IntRange(1, 64), help="Asked at a time."
    ),
    click.option(
        "--timeout", default=120.0, show_default=True, type=click.FloatRange(1), help="Seconds a reply."
    ),
)
"""How a language model at an address is asked."""


def writing(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a writer; the command gets a `writer`, None where none is named."""
    from functools import wraps

    @wraps(command)
    def with_writer(
        *given: Any,
        writer: str,
        model: str,
        key_env: str,
        share_texts: bool,
        dry_run: bool,
        download: bool,
        **more: Any,
    ) -> Any:
        found = _writer(writer, model, key_env, share_texts=share_texts, dry_run=dry_run, download=download)
        return command(*given, writer=found, **more)

    return group(
        click.option(
            "--writer",
            default="",
            metavar="ADDRESS",
            help="Let a language model that never saw the vector write the answer from what was read: an "
            "OpenAI-compatible address, a Hugging Face folder, a GGUF file or a name of the hub.",
        ),
        click.option(
            "--model", default="", metavar="NAME", help="The writer, as it is called at that address."
        ),
        click.option("--key-env", default="", metavar="NAME", help="Environment variable with its key."),
        click.option(
            "--share-texts", is_flag=True, help="Send it labels and texts of the nearest items too."
        ),
        click.option("--dry-run", is_flag=True, help="Print what it would be sent, and send nothing."),
        download,
    )(with_writer)


def _writer(
    address: str, model: str, key_env: str, *, share_texts: bool, dry_run: bool, download: bool
) -> Any:
    from vecspeak.errors import UserError

    if not address:
        if model or key_env or share_texts or dry_run or download:
            raise UserError(
                "no writer is named", "add --writer http://127.0.0.1:8000/v1, or a model's folder"
            )
        return None
    from vecspeak.writers import Recorder, Writer, open_writer

    class Shown(Recorder):
        """Prints the requests of the first call, and ends the command."""

        def write(self, requests: Any, count: int, sampling: Any) -> Any:
            for request in requests:
                say_text(request, end="\n\n")
            raise click.exceptions.Exit(0)

    found: Writer = open_writer(
        address, model, key=key_of(key_env), share_texts=share_texts, download=download
    )
    return Shown(found) if dry_run else found


def key_of(variable: str) -> str:
    """The key that an environment variable holds; empty where none is named, so that no server gets one by mistake."""
    import os

    from vecspeak.errors import UserError

    if variable and not os.environ.get(variable):
        raise UserError(
            f"the environment variable {variable} is not set",
            f"set {variable}, or leave --key-env out if no key is needed",
        )
    return os.environ[variable].strip() if variable else ""
