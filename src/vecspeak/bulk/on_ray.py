"""Ray: shards are written by the machines of a cluster, and those of a machine that is gone by the others.

A shard is written whole under its own name, so one that two machines wrote is one shard, and the same.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from vecspeak.bulk.jobs import single_blas
from vecspeak.bulk.shards import Shard
from vecspeak.errors import UserError, first_line, require

_WAITING = 2
"""Shards a processor that were given out and are not written yet."""


def on_ray(
    address: str, job: Callable[[int, Any], Shard], given: Iterable[tuple[int, Any]]
) -> Iterator[tuple[int, Shard]]:
    """Call a job with each number and what is given for it, on the cluster at an address, and yield as each is done.

    Raises UserError where Ray is not installed or does not answer, and what the job raises.
    """
    # Read when Ray starts, which else tells its makers that it is used.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = require("ray", "ray")
    is_ours = not ray.is_initialized()
    if is_ours:
        try:
            ray.init(address, log_to_driver=False, configure_logging=False)
        except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
            raise UserError(
                f"no cluster of Ray answers at {address!r}: {first_line(error)}", "start one: ray start"
            ) from error
    try:
        # A machine that is gone is no fault of the shard's: it is given to another as often as it takes.
        remote = ray.remote(num_cpus=1, max_retries=-1, scheduling_strategy="SPREAD")(_called)
        sent = ray.put(job)
        running: dict[Any, int] = {}
        for number, more in given:
            running[remote.remote(sent, number, more)] = number
            if len(running) >= _WAITING * max(1, int(ray.cluster_resources().get("CPU", 1))):
                yield from _first_done(ray, running)
        while running:
            yield from _first_done(ray, running)
    finally:
        if is_ours:
            ray.shutdown()


def _called(job: Callable[[int, Any], Shard], number: int, more: Any) -> Shard:
    """One thread of BLAS, as on one machine: how a product is split may change its last digits."""
    with single_blas():
        return job(number, more)


def _first_done(ray: Any, running: dict[Any, int]) -> Iterator[tuple[int, Shard]]:
    done, _ = ray.wait(list(running))
    for one in done:
        number = running.pop(one)
        try:
            yield number, ray.get(one)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise UserError(error.cause.message, error.cause.hint) from error
            raise
