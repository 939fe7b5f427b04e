"""Picture: from places in a plane to places in an SVG, and labels that do not cover each other.

Knows coordinates and boxes. Writes no markup, and knows nothing of what is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""
SIZE = (760, 440)
"""Width and height of a picture on a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """From places to the picture: one scale for both directions, and nothing outside the picture."""

    middle: tuple[float, float]
    scale: float
    size: tuple[int, int]
    """Width and height of the picture."""

    @classmethod
    def around(
        cls,
        places: np.ndarray,
        extra: np.ndarray | None = None,
        *,
        size: tuple[int, int] = SIZE,
        margin: int = 26,
    ) -> "Frame":
        """Hold 99% of the places [N, 2] and all of the extra ones [P, 2]."""
        low, high = np.percentile(places, [0.5, 99.5], axis=0)
        if extra is not None:
            low, high = np.minimum(low, extra.min(0)), np.maximum(high, extra.max(0))
        spans = np.maximum(high - low, 1e-9)
        scale = min((size[0] - 2 * margin) / spans[0], (size[1] - 2 * margin) / spans[1])
        middle = (low + high) / 2
        return cls(middle=(float(middle[0]), float(middle[1])), scale=float(scale), size=size)

    def __call__(self, x: float, y: float) -> tuple[float, float]:
        """In the picture, where y grows downwards; what lies beyond the frame is put on its edge."""
        width, height = self.size
        across = width / 2 + (x - self.middle[0]) * self.scale
        down = height / 2 - (y - self.middle[1]) * self.scale
        return min(max(across, 4), width - 4), min(max(down, 4), height - 4)


def free_spot(
    x: float,
    y: float,
    width: float,
    line: float,
    *,
    offsets: Sequence[tuple[float, float]],
    size: tuple[int, int],
    taken: list[Box],
) -> tuple[float, float, str]:
    """Where a label beside a place covers nothing, else the first place inside the picture; its box is then taken.

    The label is `width` wide and a `line` high; `offsets` are tried in order. Its x, its baseline, and SVG's anchor.
    """
    boxes = []
    for dx, dy in offsets:
        anchor = "start" if dx > 0 else "end" if dx < 0 else "middle"
        left = x + dx - {"start": 0.0, "end": width, "middle": width / 2}[anchor]
        box = (left, y + dy - line + 4, left + width, y + dy + 4)
        if box[0] > 2 and box[2] < size[0] - 2 and box[1] > 2 and box[3] < size[1] - 2:
            boxes.append((box, (x + dx, y + dy, anchor)))
    free = [found for found in boxes if not any(_overlap(found[0], other) for other in taken)]
    for box, spot in [*free, *boxes]:
        taken.append(box)
        return spot
    return min(max(x, width / 2), size[0] - width / 2), y - line, "middle"


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
