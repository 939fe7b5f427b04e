"""Flags: what a reader of a report must be told before any number. Knows estimates only."""

from collections.abc import Iterator, Mapping, Sequence

from vecspeak.embedders.packaged import KNOWN_ENCODERS, SECOND_ENCODER
from vecspeak.evaluation.intervals import Estimate
from vecspeak.evaluation.report import ALIKE, OVER_SWAP, READER, TOLD_APART, System

NOT_READ_BELOW = 0.02
"""Nats a token: a swap gap whose interval reaches down to this is noise."""
FEW = 30
"""Below so many entities the bootstrap's intervals are too narrow."""
UNSURE_ABOVE = 0.1
"""An interval that reaches from noise to above this says nothing either way."""
REPEATED_ABOVE = 0.25
"""Share of repeated answers, over what the true texts themselves repeat, that is called out."""
NOT_FOLLOWED = "THE TASK IS NOT FOLLOWED"
NOT_TOLD = "THE TASK IS NOT TOLD"
ALIKE_ABOVE = 0.5
"""Share of answers that are nearly those to another task, above which the task is called not followed."""
_ROUNDING = 1e-6


def _not_read(gap: Estimate) -> str:
    told = f"(swap gap {gap.value:.3f} [{gap.low:.3f}, {gap.high:.3f}] nats a token)"
    if gap.high > UNSURE_ABOVE:
        return (
            "NOT SHOWN THAT THE VECTOR IS READ: the interval is too wide to tell; evaluate more entities "
            f"{told}."
        )
    return (
        "THE VECTOR IS NOT READ: the true text is no likelier with the right vector than with another "
        f"entity's {told}."
    )


def _not_told(told: Estimate, num_tasks: int) -> Iterator[str]:
    """A sentence where chance may be all that tells the answers to this task from those to the others."""
    if told.low <= 1 / num_tasks + _ROUNDING:
        yield (
            f"{NOT_TOLD}: of {num_tasks} answers, one for each task about a point, the one to this task is picked "
            f"{told.value:.0%} [{told.low:.0%}, {told.high:.0%}] of the time, which is not shown to be more than "
            f"chance, {1 / num_tasks:.0%}."
        )


def _of_the_reader(by_key: Mapping[str, System], num_tasks: int) -> Iterator[str]:
    """What the reader's numbers give cause to say."""
    own = by_key[READER].estimates
    gap = own.get("gap")
    if gap is not None and gap.low <= NOT_READ_BELOW:
        yield _not_read(gap)
    over_swap = own.get(OVER_SWAP)
    if over_swap is not None and over_swap.low <= 0:
        yield (
            "NOT READ: nothing shows that the answers depend on the vectors; the reader's answer minus the one that it "
            f"gave to another entity is {over_swap.value:+z.3f} [{over_swap.low:+z.3f}, {over_swap.high:+z.3f}]."
        )
    over_mean = own.get("gap_mean")
    if over_mean is not None and over_mean.low <= 0:
        yield (
            "NO MORE THAN THE MEAN: the true text is not shown to be likelier with the right vector than with the "
            f"mean vector (gain {over_mean.value:.3f} [{over_mean.low:.3f}, {over_mean.high:.3f}] nats a token), "
            "so what these vectors tell of single entities is little, however far wrong ones mislead."
        )
    alike = own.get(ALIKE)
    if alike is not None and alike.value > ALIKE_ABOVE:
        yield f"{NOT_FOLLOWED}: {alike.value:.0%} of the answers are nearly those to another task about the same point."
    if TOLD_APART in own:
        yield from _not_told(own[TOLD_APART], num_tasks)
    repeats = own.get("repeated")
    natural = by_key["truth"].estimates.get("repeated") if "truth" in by_key else None
    if repeats is not None and repeats.low - (natural.value if natural else 0.0) > REPEATED_ABOVE:
        yield f"ONE ANSWER FOR MANY: {repeats.value:.0%} of the answers are nearly equal to another entity's."


def flags_of(
    systems: Sequence[System],
    *,
    count: int,
    trained_on: bool,
    known_texts: int,
    second: bool,
    num_tasks: int = 1,
) -> tuple[str, ...]:
    """Plain sentences, the gravest first; empty when all is well.

    `count` is how many entities were evaluated, `known_texts` how many of them have the text of a training entity,
    `num_tasks` how many tasks were asked about them.
    """
    by_key = {system.key: system for system in systems}
    found = []
    if trained_on:
        found.append(
            "TRAINING ENTITIES: something was fitted on these very entities, so no number here is a held-out score."
        )
    elif known_texts:
        found.append(
            f"KNOWN TEXTS: {known_texts:,} of the {count:,} entities have word for word the text of a training "
            "entity, so they are not unseen."
        )
    if count < FEW:
        found.append(
            f"FEW ENTITIES: {count} are too few for intervals to be relied on; {FEW} or more are needed, "
            "for example by fit --holdout 0.2."
        )
    found += _of_the_reader(by_key, num_tasks)
    if not second:
        found.append(
            "No second encoder: consistency is by the reader's own only. To have one: "
            f"{KNOWN_ENCODERS[SECOND_ENCODER].install}"
        )
    return tuple(found)
