"""Origin: which encoder made the vectors of a space. What is declared is compared, what is not is recognized."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from vecspeak.encoders.text import KNOWN_ENCODERS, Encoder, is_installed, known_name, load_encoder
from vecspeak.errors import UserError
from vecspeak.model.alignment import unit
from vecspeak.spaces import Space

_COMPARED, _RECOGNIZED = 48, 8
"""Texts that are encoded to compare a declared encoder, and to recognize one that the reader does not read."""
_OTHER, _SAME = 0.5, 0.98
"""Mean cosines below which chance is asked, and from which on this encoder made them."""
_SHUFFLES, _CHANCE = 200, 0.05


def checked_origin(
    space: Space,
    texts: Sequence[str | None],
    encoder: Encoder,
    load: Callable[[str], Encoder] = load_encoder,
) -> tuple[Space, str]:
    """The space with the encoder named that made the vectors, and what a person should know of it.

    Some texts are encoded and compared, by the reader's encoder or by another packaged one that is declared, or whose
    width this is. Vectors that were made from other texts, such as plots where there are tags, lie nearer to their own
    texts than to others'. Raises UserError, with the cosine, where the encoder is declared and they do not: another
    one made them.
    """
    declared = known_name(space.encoder or "")
    space = replace(space, encoder=declared) if declared != (space.encoder or "") else space
    rows = [row for row, text in enumerate(texts) if text and text.strip()]
    if not rows:
        return space, ""
    if not declared:
        return _recognized(space, texts, rows, encoder, load)
    if declared != encoder.name:
        if declared not in KNOWN_ENCODERS or not is_installed(declared):
            known, said = _recognized(space, texts, rows, encoder, load)
            if said:
                raise UserError(
                    f"{space.name!r} is said to be made by {declared}, but {said.partition(': ')[2]}",
                    f"declare {known.encoder!r}, or leave `encoder` out",
                )
            return space, (
                f"{space.name!r} is said to be made by {declared}, which is not at hand and was not compared"
            )
        encoder = load(declared)
    cosines, compared = _compared(space, texts, _spread(rows, _COMPARED), encoder)
    own = float(np.diag(cosines).mean()) if len(cosines) else 0.0
    if not len(cosines) or (own < _OTHER and _by_chance(cosines, own)):
        raise UserError(
            f"{space.name!r} is said to be made by {encoder.name}, but {compared}",
            "leave `encoder` out, so that a map is fitted, or give the texts that were encoded",
        )
    return space, "" if own >= _OTHER else f"{compared}: they were made of other texts"


def embedded(
    text: str,
    space: Space,
    reader: Callable[[], Encoder],
    load: Callable[[str], Encoder] = load_encoder,
) -> np.ndarray:
    """[D] vector of a text in a space, by the encoder that made the space: the reader's or another packaged one.

    Raises UserError where that encoder is not known or not at hand.
    """
    if not space.encoder:
        raise UserError(
            f"{space.name!r} does not say which encoder made it, so no text can be embedded for it",
            "name an item or give an array, or fit it again with `encoder`",
        )
    encoder = encoder_of(space, reader, load)
    if encoder is None:
        raise UserError(
            f"{space.name!r} was made by {space.encoder}, which is not at hand, so no text can be embedded for it",
            "embed the text with it and give the array",
        )
    vector = encoder.encode([text])[0]
    if space.dim > len(vector):
        raise UserError(
            f"{space.encoder} makes {len(vector):,} numbers, and {space.name!r} has {space.dim:,}",
            "name an item or give an array",
        )
    return vector[: space.dim]  # a narrower space was cut to its encoder's first numbers


def encoder_of(
    space: Space, reader: Callable[[], Encoder], load: Callable[[str], Encoder] = load_encoder
) -> Encoder | None:
    """The encoder that made a space: the reader's or another packaged one; None where it is not known or at hand."""
    if not space.encoder:
        return None
    own = reader()
    if space.encoder == own.name:
        return own
    return load(space.encoder) if space.encoder in KNOWN_ENCODERS and is_installed(space.encoder) else None


def likely_encoder(
    space: Space,
    texts: Sequence[str | None],
    reader: Callable[[], Encoder],
    load: Callable[[str], Encoder] = load_encoder,
) -> Encoder | None:
    """The encoder at hand that most vectors of a space that names none are of, though some rows are wrong.

    By the median of some texts, where recognizing one for good asks for the mean.
    """
    rows = [row for row, text in enumerate(texts) if text and text.strip()]
    if space.encoder or len(rows) < _RECOGNIZED:
        return None
    for most, encoder in _candidates(space.dim, reader(), load):
        cosines, _ = _compared(space, texts, _spread(rows, most), encoder)
        if float(np.median(np.diag(cosines))) >= _SAME:
            return encoder
    return None


def _recognized(
    space: Space,
    texts: Sequence[str | None],
    rows: Sequence[int],
    reader: Encoder,
    load: Callable[[str], Encoder],
) -> tuple[Space, str]:
    """The space marked with the encoder that makes these vectors of these texts, where one does."""
    for most, encoder in _candidates(space.dim, reader, load):
        cosines, compared = _compared(space, texts, _spread(rows, most), encoder)
        if float(np.diag(cosines).mean()) >= _SAME:
            said = f"{space.name!r} was made by {encoder.name}: {compared}"
            return replace(space, encoder=encoder.name), said
    return space, ""


def _candidates(dim: int, reader: Encoder, load: Callable[[str], Encoder]) -> Iterator[tuple[int, Encoder]]:
    """Encoders of that width at hand, the reader's first, and how many texts each is asked for."""
    if reader.dim == dim:
        yield _COMPARED, reader
    for name, known in KNOWN_ENCODERS.items():
        if name != reader.name and known.dim == dim and is_installed(name):
            yield _RECOGNIZED, load(name)


def _compared(
    space: Space, texts: Sequence[str | None], rows: Sequence[int], encoder: Encoder
) -> tuple[np.ndarray, str]:
    """[N, N] cosines of texts with vectors, and the mean of a text with its own in words.

    Vectors that are narrower than the encoder's are compared with its first numbers, as cut ones are made; wider ones
    with none.
    """
    name = encoder.name
    if space.dim > encoder.dim:
        return np.empty((0, 0)), f"{name} makes {encoder.dim:,} numbers, and its vectors have {space.dim:,}"
    made = encoder.encode([str(texts[row]) for row in rows])[:, : space.dim]
    cosines = unit(made) @ unit(space.vectors[rows]).T
    cut = f", cut to their first {space.dim:,} numbers," if space.dim < encoder.dim else ""
    own = float(np.diag(cosines).mean())
    return cosines, (
        f"the mean cosine of {len(rows)} of its vectors with what {name} makes of their texts{cut} is {own:.3f}"
        + (", no higher than with others' texts" if own < _OTHER and _by_chance(cosines, own) else "")
    )


def _spread(rows: Sequence[int], most: int) -> Sequence[int]:
    """At most so many of the rows, evenly spread."""
    return rows[:: max(1, len(rows) // most)][:most]


def _by_chance(cosines: np.ndarray, own: float) -> bool:
    """Whether items paired with others' texts [N, N] have such a mean cosine too; not to be told of fewer than 8."""
    if len(cosines) < 8:
        return own < 0.1
    draw, rows = np.random.default_rng(0), np.arange(len(cosines))
    shuffled = np.array([cosines[rows, draw.permutation(rows)].mean() for _ in range(_SHUFFLES)])
    return float((shuffled >= own).mean()) > _CHANCE
