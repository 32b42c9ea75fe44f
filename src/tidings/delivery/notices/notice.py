"""A notice: whom to tell of which events, and how.

Only the value. Records of notices are kept by `notices`; how far each has come is in `state`.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.bus import followed
from tidings.store.query import Filter, Query
from tidings.store.words import words_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tidings.event import Event

__all__ = ["FAILED", "GROUPINGS", "LEASES", "PREFIX", "SENT", "Notice"]

PREFIX = "notice/"
"""Where the records are; they hold secrets, and no server gives them out."""

LEASES = "notice-at/"
"""Where it stands how far each notice has come."""

GROUPINGS = ("arrays", "all", "none")
"""Which events are told together: those of a batch array, of any undertaking, or none."""

SENT = "tidings.notice.sent"
FAILED = "tidings.notice.failed"


class Notice(NamedTuple):
    """Whom to tell of which events, and how.

    Attributes:
        name: what people call it.
        url: where Apprise sends it; a secret.
        shown: the same as it may be shown.
        filters: which events, as keyword arguments for `Query` (JSON values; `exclude` is an object
            of such arguments for a `Filter`).
        title: the template of the title; empty for the usual one.
        body: the template of the text; empty for the usual one.
        group: one of `GROUPINGS`.
        quiet: an undertaking of unknown size is told when nothing came of it for so long (seconds).
        latest: it is told at the latest so long after what is there to tell (seconds).
        every: at most one message in this time (seconds); 0 for each by itself.
        from_position: it tells of events past this position.
        paused: whether a person stopped it; it goes on from where it was.
        created_at: when it was made (microseconds since 1970).
    """

    name: str
    url: str
    shown: str
    filters: dict[str, Any]
    title: str
    body: str
    group: str
    quiet: float
    latest: float
    every: float
    from_position: int
    paused: bool
    created_at: int

    @property
    def key(self) -> str:
        """Of its record in the ledger."""
        return f"{PREFIX}{self.name}"

    @property
    def lease_key(self) -> str:
        """Of the record of how far it has come; another notice of the same name has another one."""
        return f"{LEASES}{self.name}/{self.created_at}"

    @property
    def words(self) -> str:
        """Which events it is for, in words."""
        return words_of(_query(self.filters))

    def query(self) -> Query:
        """Which events it is for, `tidings.*` types left out unless it names them."""
        return followed(_query(self.filters))

    def counted(self) -> Query:
        """Which events are counted: those it is for, and the same with any other outcome."""
        filters = {name: value for name, value in self.filters.items() if name != "status"}
        exclude = {k: v for k, v in filters.pop("exclude", {}).items() if k != "status"}
        return followed(_query({**filters, "exclude": exclude} if exclude else filters))

    def feeds_on(self, event: Event) -> bool:
        """Whether an event only says that notices were sent, or that this one was not."""
        return event.type == SENT or (event.type == FAILED and event.aggregate_id == self.name)

    def to_value(self) -> dict[str, Any]:
        """As a JSON value, the secret included; `Notice.of` reads it."""
        return self._asdict()

    @classmethod
    def of(cls, value: dict[str, Any]) -> Notice:
        """What `to_value` wrote."""
        return cls(**value)

    def __repr__(self) -> str:
        # That of a tuple would show the secret in the first log it gets into.
        return f"Notice({self.name!r}, {self.shown!r})"


def _query(filters: dict[str, Any]) -> Query:
    given = dict(filters)
    exclude = given.pop("exclude", None)
    return Query(exclude=None if exclude is None else Filter(**exclude), **given)
