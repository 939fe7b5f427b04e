"""The registry of teachers: what `teach --teacher NAME` stands for. docs/adding-a-teacher.md says how to add one."""

from collections.abc import Callable
from dataclasses import dataclass

from vecspeak.errors import UserError
from vecspeak.teachers.base import FACTS, Teacher, TeacherConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherKind:
    """One kind of teacher."""

    matches: Callable[[str], bool]
    """Whether a name is of this kind."""
    make: Callable[[str, TeacherConfig], Teacher]
    """Makes the teacher; connects to nothing and loads no weights yet."""


_KINDS: dict[str, TeacherKind] = {}


def register_teacher(
    kind: str, matches: Callable[[str], bool], make: Callable[[str, TeacherConfig], Teacher]
) -> None:
    """Add a kind of teacher, or replace the one of that name. The last registered is asked first."""
    _KINDS.pop(kind, None)
    _KINDS[kind] = TeacherKind(matches=matches, make=make)


def teacher_kinds() -> tuple[str, ...]:
    """Return the registered kinds, in the order in which a name is matched."""
    return tuple(reversed(_KINDS))


def make_teacher(name: str, config: TeacherConfig | None = None) -> Teacher:
    """Make the teacher of a name: "facts", an address, a language model's name or folder.

    Raises UserError for a name that no kind takes, and for settings that its kind does not take.
    """
    for kind in reversed(_KINDS.values()):
        if kind.matches(name):
            return kind.make(name, config or TeacherConfig())
    raise UserError(f"unknown teacher {name!r}", f"known kinds are {', '.join(teacher_kinds())}")


# The modules are imported when a teacher is made: a local one needs NumPy and an engine, a remote one openai.


def _local(name: str, config: TeacherConfig) -> Teacher:
    from vecspeak.teachers.local import LocalTeacher

    return LocalTeacher(name, config)


def _remote(name: str, config: TeacherConfig) -> Teacher:
    from vecspeak.llm_client import Endpoint
    from vecspeak.teachers.remote import RemoteTeacher

    if not config.model:
        raise UserError("no model is given to ask at that address", "add `model=NAME`, as it is called there")
    address = Endpoint(url=name, model=config.model, key=config.key, timeout=config.timeout, option="teacher")
    return RemoteTeacher(address, config)


def _facts(name: str, config: TeacherConfig) -> Teacher:
    from vecspeak.teachers.local import FactsTeacher

    return FactsTeacher()


register_teacher("local", lambda name: True, _local)
register_teacher("remote", lambda name: name.startswith(("http://", "https://")), _remote)
register_teacher(FACTS, lambda name: name == FACTS, _facts)
