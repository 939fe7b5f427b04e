"""What a server and a widget need of a reader with its spaces: `VecSpeak` has it, and stands above them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from vecspeak.asking import Asker, PreparedQuestion
from vecspeak.bundles import Bundle, SpaceEntry
from vecspeak.encoders.text import Encoder
from vecspeak.engines import Engine
from vecspeak.evidence import Words
from vecspeak.explore.compare import Difference
from vecspeak.explore.item_values import ItemValues, Source
from vecspeak.explore.regions import Description
from vecspeak.explore.tastes import PersonTastes
from vecspeak.explore.trace import Trace
from vecspeak.explore.why import Why
from vecspeak.points import Concept, Point
from vecspeak.searching import Effort
from vecspeak.spaces import Space
from vecspeak.spaces.plane import SpaceMap
from vecspeak.tasks.task_set import TaskSet


class Served(Protocol):
    """A reader with its spaces; each method is that of `VecSpeak` of its name, with the arguments that routes give."""

    @property
    def bundle(self) -> Bundle:
        """Reader and spaces as they lie in a bundle."""

    @property
    def spaces(self) -> dict[str, Space]:
        """The spaces by name."""

    @property
    def engine(self) -> Engine:
        """What generates."""

    @property
    def engine_owner(self) -> object:
        """What all that take turns with one engine have in common."""

    @property
    def encoder(self) -> Encoder:
        """What reads answers back."""

    def entry(self, space: str = "") -> SpaceEntry:
        """A space with everything that was fitted on it."""

    def asker(self, space: str = "") -> Asker:
        """What asks about a space."""

    def concepts(self, space: str = "") -> dict[str, Concept]:
        """The concepts of a space by name."""

    def point(self, x: Any, *, kind: Literal["user"] | None = None, space: str = "") -> Point:
        """The point that `x` means."""

    def query(self, text: str, *, space: str = "") -> Point:
        """The point of "text: a query"."""

    def prepared(
        self,
        question: str = "",
        *,
        at: Mapping[str, Any] | None = None,
        task: str = "",
        effort: Effort | None = None,
        space: str = "",
    ) -> tuple[Asker, PreparedQuestion]:
        """What asks, and one question with its points."""

    def words(self, x: Any, limit: int = 10) -> Words:
        """The words that a point's vector holds."""

    def tastes(self, x: Any, limit: int = 10, *, space: str = "") -> PersonTastes:
        """What a person likes more and less than others."""

    def why(self, first: Any, second: Any, *, limit: int = 8, space: str = "") -> Why:
        """Why two points match."""

    def diff(self, first: Any, second: Any, *, reader: bool = True, space: str = "") -> Difference:
        """What two points each have that the other has not."""

    def describe(
        self,
        *,
        cluster: int | None = None,
        ids: Sequence[str] | None = None,
        reader: bool = True,
        space: str = "",
    ) -> Description:
        """What the items of a region share."""

    def value_sources(self, space: str = "") -> dict[str, list[str]]:
        """What a map can be coloured by."""

    def item_values(self, source: Source, name: str = "", *, space: str = "") -> ItemValues:
        """One value for every item."""

    def task_set(self, tasks: str = "", words: Any = (), *, space: str = "") -> TaskSet:
        """The tasks in the words of a space."""

    def trace(
        self,
        x: Any,
        concept: str,
        *,
        steps: str | Sequence[float] = "auto",
        question: str = "Describe {x}.",
        space: str = "",
    ) -> Trace:
        """Answers at every step along a concept."""

    def map(self, space: str = "") -> SpaceMap:
        """The places of a space's items on a plane."""

    def retained_map(self, space: str = "") -> SpaceMap | None:
        """The same where it has been made."""
