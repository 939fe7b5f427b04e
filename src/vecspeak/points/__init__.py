"""Points: vectors that need not be items, how they are written, and the directions that move them.

Imports neither torch nor, until a concept is fitted, scikit-learn.
"""

from vecspeak.points.concept import Concept, load_concept, overlaps, save_concept
from vecspeak.points.concept_fit import concept_from_metadata, fit_concept
from vecspeak.points.expressions import Expression
from vecspeak.points.lookup import find_item, find_user
from vecspeak.points.parser import parse
from vecspeak.points.queries import rows_where
from vecspeak.points.resolve import Scope, evaluate, evaluate_path
from vecspeak.spaces.point import Point

__all__ = [
    "Concept",
    "Expression",
    "Point",
    "Scope",
    "concept_from_metadata",
    "evaluate",
    "evaluate_path",
    "find_item",
    "find_user",
    "fit_concept",
    "load_concept",
    "overlaps",
    "parse",
    "rows_where",
    "save_concept",
]
