"""Which summaries are wanted by how they stand now, which no single event says.

Keeps one meaning for every backend: `Standing.holds` says it, and a backend's own way of finding
summaries must agree with it (the contract suite compares them).
"""

from __future__ import annotations

from tidings.errors import InvalidQuery, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.store.values import Summary

__all__ = ["ANY", "STATES", "Standing"]

STATES = ("running", "done", "failed", "")
"""What a summary's state may be; empty where its events do not say."""


class Standing:
    """How the summaries stand that are asked for; all that is given must hold.

    Args:
        state: the state they have; none for any.
        quiet_since: nothing happened to them at this instant (microseconds since 1970) or later;
            none for whenever.

    Raises:
        InvalidQuery: there is no such state, or no such instant.

    >>> Standing("running", 1_772_280_000_000_000)
    Standing(state='running', quiet_since=1772280000000000)
    """

    __slots__ = ("quiet_since", "state")

    def __init__(self, state: str | None = None, quiet_since: int | None = None) -> None:
        if state is not None and state not in STATES:
            known = ", ".join(each for each in STATES if each)
            raise InvalidQuery(f"state {shorten(state)} must be one of {known}, or nothing")
        is_whole = isinstance(quiet_since, int) and not isinstance(quiet_since, bool)
        if quiet_since is not None and not (is_whole and -(2**63) <= quiet_since < 2**63):
            raise InvalidQuery(f"quiet_since {shorten(quiet_since)} must be microseconds")
        self.state = state
        self.quiet_since = quiet_since

    def holds(self, summary: Summary) -> bool:
        """Whether a summary stands so."""
        if self.state is not None and summary.state != self.state:
            return False
        return self.quiet_since is None or summary.last_instant < self.quiet_since

    def __repr__(self) -> str:
        return f"Standing(state={self.state!r}, quiet_since={self.quiet_since!r})"


ANY = Standing()
"""However they stand."""
