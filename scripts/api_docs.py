"""Write docs/api.md from the docstrings of the public names: `python scripts/api_docs.py`."""

import inspect
import re
from pathlib import Path

import vecspeak

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
_HEAD = """# Python API

`import vecspeak` gives these names and loads no model until one is asked. This page is written by
`python scripts/api_docs.py` from the docstrings. Mistakes of a user are `vecspeak.UserError`: one line that says what
was given, what is allowed and what to do next. The notebooks in [examples/](../examples) tell the story at length.

Every example is run by tests/test_api_examples.py; all go on from these lines:

```python
{setup}
```
"""
SETUP = """>>> import numpy as np
>>> from vecspeak import *
>>> space = Space.from_pretrained("movies")      # 5,000 movies as vectors of their plots
>>> vs = VecSpeak.from_pretrained().fit(space)
"""
"""What every example may use."""


def page() -> str:
    """The whole page."""
    names = [name for name in vecspeak.__all__ if name != "__version__"]
    return "\n".join(
        [
            _HEAD.format(setup=SETUP.strip()),
            *(_section(name, getattr(vecspeak, name)) for name in names),
            _VERSION,
        ]
    )


_VERSION = "## `vecspeak.__version__`\n\nThe version of the package, a text such as `0.1.0`.\n"


def _section(name: str, found: type) -> str:
    parts = [f"## `vecspeak.{name}`", _markdown(inspect.getdoc(found) or "")]
    for method, one in vars(found).items():
        raw = one.__func__ if isinstance(one, classmethod | staticmethod) else one
        function = raw.fget if isinstance(raw, property) else raw
        if method.startswith("_") or not inspect.isfunction(function) or not function.__doc__:
            continue
        signature = "" if isinstance(raw, property) else _signature(function)
        parts.append(f"### `{name}.{method}{signature}`\n\n{_markdown(inspect.getdoc(function) or '')}")
    return "\n\n".join(parts) + "\n"


def _signature(function: object) -> str:
    """Parameters and defaults without types, which the text explains."""
    parameters = [
        one.replace(annotation=inspect.Parameter.empty)
        for name, one in inspect.signature(function).parameters.items()  # type: ignore[arg-type]
        if name not in ("self", "cls")
    ]
    return str(inspect.Signature(parameters))


def _markdown(doc: str) -> str:
    """Lines of examples (>>>) become blocks of Python; what only a test must know of them is left out."""
    doc = re.sub(r"  # doctest: .*", "", doc)
    blocks = re.sub(r"((?:^(?:>>>|\.\.\.).*\n?)+(?:^(?!>>>)[^\n]+\n?)*)", _block, doc + "\n", flags=re.M)
    return blocks.strip()


def _block(found: re.Match[str]) -> str:
    return f"```python\n{found[1].rstrip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
