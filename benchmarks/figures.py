"""A figure: what was measured, what is asked of it, and whether it is met; and tables of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.rounds import Ratio

__all__ = ["Figure", "markdown_table", "text_table"]


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Args:
        what: what was measured.
        measured: the median, and the bounds of the middle half where there were rounds.
        at_least: the least it should be, or
        at_most: the most; neither where the figure is only told.
        unit: of the measured value; × for ratios.
        detail: absolute numbers of this run, which another machine will not repeat.
    """

    what: str
    measured: Ratio | float
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "×"
    detail: str = ""

    @property
    def middle(self) -> float:
        """The one number that counts."""
        return self.measured.median if isinstance(self.measured, Ratio) else self.measured

    @property
    def met(self) -> str:
        """Whether the target is met, as a word."""
        if self.at_least is not None:
            return "yes" if self.middle >= self.at_least else "no"
        if self.at_most is not None:
            return "yes" if self.middle <= self.at_most else "no"
        return ""

    @property
    def target(self) -> str:
        """What is asked of it."""
        if self.at_least is not None:
            return f"≥ {_number(self.at_least)} {self.unit}"
        return "told" if self.at_most is None else f"≤ {_number(self.at_most)} {self.unit}"

    @property
    def found(self) -> str:
        """What was measured, with its spread."""
        text = f"{_number(self.middle)} {self.unit}"
        if isinstance(self.measured, Ratio):
            text += f" ({_number(self.measured.low)}–{_number(self.measured.high)})"
        return text

    def cells(self) -> tuple[str, ...]:
        """The figure as a row."""
        return self.what, self.target, self.found, self.met, self.detail

    def line(self) -> str:
        """The figure as a line of text."""
        met = f", met: {self.met}" if self.met else ""
        return f"{self.what}: {self.found}, target {self.target}{met}; {self.detail}"


_TITLES = ("what", "target", "measured (middle half)", "met", "in this run")


def text_table(figures: Sequence[Figure]) -> str:
    """The figures in columns."""
    rows = [_TITLES, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def markdown_table(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table."""
    rows = [_TITLES, tuple("---" for _ in _TITLES), *(figure.cells() for figure in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
