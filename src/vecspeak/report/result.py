"""A page of one result: why two things match, axes, a comparison of spaces, and whatever else shows itself as HTML.

The page is what a notebook would show, with a head that says what was asked and how to read the figures.
"""

from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from markupsafe import Markup

from vecspeak.errors import UserError, check_path, shown_value
from vecspeak.report.html import environment, write_page


@runtime_checkable
class HasPage(Protocol):
    """A result that has a page of its own."""

    how_to_read: ClassVar[str]
    """What its figures mean, in a few sentences."""

    @property
    def heading(self) -> str:
        """What was asked."""
        ...

    def _repr_html_(self) -> Markup: ...


def render_result(found: HasPage) -> str:
    """The page of a result, with what must be known before anything on it is believed."""
    template = environment().get_template("result.html.jinja")
    return template.render(
        title=found.heading,
        how_to_read=found.how_to_read,
        caution=getattr(found, "caution", ""),
        body=found._repr_html_(),
    )


def save_page(found: Any, path: str | Path) -> Path:
    """Write a result as a page that needs no other file and asks for none; the path.

    For what `VecSpeak.why`, `axes`, `odd`, `leaks`, `compare`, `diff` and `drift` return. Raises UserError for another,
    and where the page cannot be written; what was there before stays then.
    """
    if not isinstance(found, HasPage):
        raise UserError(
            f"there is no page of {shown_value(found)}",
            "give what `why`, `axes`, `odd`, `leaks`, `compare`, `diff` or `drift` returned",
        )
    target = check_path("path", path)
    write_page(target, render_result(found))
    return target
