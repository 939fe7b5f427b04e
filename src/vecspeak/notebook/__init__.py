"""Notebooks: a space's map as a widget, built on the same drawing as the page of `vecspeak explore`.

Needs the package anywidget, so import it through `vecspeak.errors.require`.
"""

from vecspeak.notebook.map_widget import MapWidget

__all__ = ["MapWidget"]
