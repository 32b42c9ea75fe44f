"""How things are compared on a machine that is never quiet.

All of them run in every round, one after the other, in an order that turns around each time; their
ratio is taken within each round, and the median over the rounds is what is told, with the middle
half of the rounds beside it. So what slows the machine down for a while slows all of them.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median, quantiles
from typing import NamedTuple

__all__ = ["Comparison", "Ratio", "compare", "percentile", "spread"]


class Ratio(NamedTuple):
    """A median over rounds, and the bounds of the middle half of them."""

    median: float
    low: float
    high: float


class Comparison:
    """What the rounds gave: seconds for each thing, round by round."""

    def __init__(self, seconds: Mapping[str, list[float]]) -> None:
        self.seconds = seconds

    def faster(self, name: str, than: str) -> Ratio:
        """How many times as fast one thing is as another."""
        return spread([b / a for a, b in zip(self.seconds[name], self.seconds[than], strict=True)])

    def slower(self, name: str, than: str) -> Ratio:
        """How many times as long one thing takes as another."""
        return self.faster(than, name)

    def median(self, name: str) -> float:
        """The median time of a thing (seconds)."""
        return median(self.seconds[name])


def compare(
    things: Mapping[str, Callable[[], float | None]], rounds: int, warm_up: int = 1
) -> Comparison:
    """Run things against each other.

    Args:
        things: what to run, by name. What one returns is its time (seconds), where not all of it
            is to be counted; the time of the whole call counts where it returns none.
        rounds: how often.
        warm_up: rounds that do not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for number in range(-warm_up, rounds):
        for name in list(things) if number % 2 else reversed(list(things)):
            taken = _timed(things[name])
            if number >= 0:
                seconds[name].append(taken)
    return Comparison(seconds)


def percentile(values: list[float], percent: float) -> float:
    """The value below which so many per cent of the others lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def spread(values: list[float]) -> Ratio:
    """What the rounds gave, as their median and the bounds of their middle half."""
    if len(values) < 2:
        return Ratio(values[0], values[0], values[0])
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return Ratio(middle, low, high)


def _timed(thing: Callable[[], float | None]) -> float:
    gc.collect()
    start = time.perf_counter()
    counted = thing()
    taken = time.perf_counter() - start
    return taken if counted is None else counted
