"""What happens in a run of pytest: how tests ended, which failed and why, which were slow.

Bounded, however many tests there are. Counts are by the categories that pytest's own summary has,
so that plugins which have tests rerun or split count here as there.
"""

from __future__ import annotations

import heapq
from collections import Counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import pytest

__all__ = ["Recording", "one_line"]

MOST_FAILURES = 50
MOST_SLOWEST = 10
LONGEST_LINE = 300
"""The longest a test's id or the first line of its error may be (characters)."""

LOOKED_AT = 8_000
"""Of a longer line so much is looked at: what is cut may be the end of a secret (characters)."""

_LEAST_SLOW = 0.005
"""What takes less is not slow; pytest's own `--durations` says so, too (seconds)."""

_CATEGORIES = {
    "passed": "passed",
    "failed": "failed",
    "error": "errors",
    "skipped": "skipped",
    "xfailed": "xfailed",
    "xpassed": "xpassed",
    "deselected": "deselected",
    "rerun": "rerun",
}
_BESIDE = ("setup", "teardown", "collect")
"""When something fails that is not the test itself."""

_ALWAYS = ("passed", "failed", "errors", "skipped")


class Recording:
    """Takes down what is reported.

    Args:
        redact: takes out of an error what should not be kept; tests' names are kept as they are.

    Attributes:
        failures: tests that failed, or what could not be collected: the first ones.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self.failures: list[dict[str, Any]] = []
        self._counts: Counter[str] = Counter()
        self._running: dict[str, float] = {}
        self._slowest: list[tuple[float, str]] = []

    def count(self, category: str, number: int = 1) -> None:
        """Count what ended in this way; categories that are no ending are passed over."""
        name = _CATEGORIES.get(category)
        if name is not None:
            self._counts[name] += number

    def ran(self, report: pytest.TestReport, category: str) -> None:
        """A test, its setup or its teardown ended."""
        self.count(category)
        seconds = self._running.pop(report.nodeid, 0.0) + report.duration
        if report.when in ("setup", "call"):
            self._running[report.nodeid] = seconds
        elif seconds >= _LEAST_SLOW:
            self._note_slow(seconds, report.nodeid)
        if category in ("failed", "error"):
            self.failed(report)

    def failed(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        """A test failed, or something could not be collected."""
        if len(self.failures) >= MOST_FAILURES:
            return
        failure = {"test": one_line(report.nodeid), "error": self._careful(message_of(report))}
        if report.when in _BESIDE:  # xdist has a word of its own where a worker died
            failure["when"] = str(report.when)
        self.failures.append(failure)

    def failed_itself(self, message: str) -> None:
        """Pytest itself failed."""
        self.failures.append({"test": "", "error": self._careful(message)})

    def _careful(self, text: str) -> str:
        return self._redact(one_line(text, LOOKED_AT))[:LONGEST_LINE]

    @property
    def counts(self) -> dict[str, int]:
        """How many ended in which way; the usual ways also where none did."""
        return {
            name: self._counts[name]
            for name in _CATEGORIES.values()
            if name in _ALWAYS or self._counts[name]
        }

    @property
    def slowest(self) -> list[dict[str, Any]]:
        """The slowest tests with setup and teardown, the slowest first (seconds)."""
        left = heapq.nlargest(MOST_SLOWEST, self._slowest)
        return [{"test": one_line(test), "duration": round(s, 3)} for s, test in left]

    def _note_slow(self, seconds: float, test: str) -> None:
        push = heapq.heappush if len(self._slowest) < MOST_SLOWEST else heapq.heappushpop
        push(self._slowest, (seconds, test))


def message_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    """What went wrong; its first line is what pytest's short summary has."""
    found = report.longrepr
    message = getattr(getattr(found, "reprcrash", None), "message", None)
    if message is None:
        # What could not be collected brings its text; the error itself stands at the end.
        lines = [line for line in str(found or "").splitlines() if line.strip()]
        told = [line[1:].strip() for line in lines if line.startswith("E")] or lines[-1:] or [""]
        # A syntax error says first where it is, and last what it is.
        message = told[-1] if told[0].startswith("File ") else told[0]
    return str(message).strip()


def one_line(text: str, longest: int = LONGEST_LINE) -> str:
    r"""The first line of a text, not too long; what UTF-8 cannot hold is spelled out.

    >>> one_line("assert '\ud800' in name\nE")
    "assert '\\ud800' in name"
    """
    line = next(iter(text.splitlines()), "")[:longest]
    return line.encode("utf-8", "backslashreplace").decode()
