"""The notices of a store: made, listed, changed, paused, tried out and deleted.

Keeps its part of promise 5: what makes no sense is refused when it is given, not when something
should be sent. Sending is the duty's work; whoever runs it hears of changes by the `Bell`.
"""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

from tidings.clock import Clock
from tidings.delivery.notices.messages import trial
from tidings.delivery.notices.notice import GROUPINGS, PREFIX, Notice
from tidings.delivery.notices.sending import Service, shown_address
from tidings.delivery.notices.state import State
from tidings.delivery.notices.templates import Template
from tidings.errors import InvalidSetting, NotFound, RevisionConflict, shorten
from tidings.handlers import check_name
from tidings.store.query import Filter
from tidings.subscriptions.bell import Bell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tidings.store.base import Store

__all__ = ["LATEST", "QUIET", "Notices", "Standing"]

QUIET = 60.0
"""As `Notice.quiet`, where nothing else is said (seconds)."""

LATEST = 6 * 3600.0
"""As `Notice.latest`, where nothing else is said (seconds)."""

_LONGEST = 366 * 24 * 3600.0


class Standing(NamedTuple):
    """How a notice stands.

    Attributes:
        position: it has looked at every event up to here.
        messages: so many messages were sent.
        waiting: so many events are still to be told.
        undertakings: so many undertakings are watched.
        failing: since when nothing can be sent (microseconds since 1970); none where it can.
        due: when it is tried again (microseconds since 1970).
        error: what went wrong last.
        worker: the process that does it; none where none does.
    """

    position: int
    messages: int
    waiting: int
    undertakings: int
    failing: int | None
    due: int
    error: str
    worker: str | None


class Notices:
    """The notices of a store.

    Args:
        store: whose ledger holds them.
        clock: what time it is.
    """

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or Clock()

    def add(
        self,
        url: str,
        filters: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        title: str = "",
        body: str = "",
        group: str = "arrays",
        quiet: float = QUIET,
        latest: float = LATEST,
        every: float = 0.0,
    ) -> Notice:
        """Have somebody told of events from now on.

        Args:
            url: where Apprise sends it.
            filters: which events; as for `Query`, its window left out.
            name: what to call it; none for the service's name and a number.
            title: the template of the title; empty for the usual one.
            body: the template of the text; empty for the usual one.
            group: `arrays` tells what happens in a batch array together, `all` that of any
                undertaking (correlation id), `none` each event by itself.
            quiet: an undertaking of unknown size is told when nothing came of it for so long.
            latest: it is told at the latest so long after its first event.
            every: at most one message in this time; 0 for each by itself.

        Raises:
            InvalidSetting: an argument makes no sense, or there is a notice of this name.
            InvalidQuery: the filters make no sense.
            MissingExtra: Apprise is not installed.
        """
        if name is not None:
            check_name("notice", name)
        shown = shown_address(url)
        notice = Notice(
            name=name or self._free_name(url),
            url=url,
            shown=shown,
            filters=_kept(filters or {}),
            title=title,
            body=body,
            group=group,
            quiet=quiet,
            latest=latest,
            every=every,
            from_position=self._store.head(),
            paused=False,
            created_at=self._clock.now(),
        )
        try:
            self._store.put(notice.key, _checked(notice).to_value(), 0)
        except RevisionConflict:
            raise InvalidSetting(
                f"there is a notice {shorten(notice.name)} already; change or delete it, or give "
                f"this one another name"
            ) from None
        Bell(self._store).ring()
        return notice

    def list(self) -> list[Notice]:
        """All of them, by name."""
        records = [self._store.get(key) for key in self._store.keys(PREFIX)]
        return [Notice.of(record.value) for record in records if record is not None]

    def get(self, name: str) -> Notice:
        """The notice of this name.

        Raises:
            NotFound: there is none.
        """
        return self._found(name)[0]

    def change(self, name: str, **changes: Any) -> Notice:
        """Change what is given, by the arguments of `add`; it goes on from where it was.

        Raises:
            NotFound: there is none of this name.
            InvalidSetting, InvalidQuery, MissingExtra: as for `add`.
        """
        if "url" in changes:
            changes["shown"] = shown_address(changes["url"])
        if "filters" in changes:
            changes["filters"] = _kept(changes["filters"])
        while True:
            notice, revision = self._found(name)
            changed = _checked(notice._replace(**changes))
            try:
                self._store.put(notice.key, changed.to_value(), revision)
            except RevisionConflict:
                continue  # somebody else changed it in between; what they changed stays
            Bell(self._store).ring()
            return changed

    def pause(self, name: str) -> Notice:
        """Send nothing until `resume`; then it goes on from where it was."""
        return self.change(name, paused=True)

    def resume(self, name: str) -> Notice:
        """Go on where it was paused."""
        return self.change(name, paused=False)

    def delete(self, name: str) -> None:
        """Tell nobody any more.

        Raises:
            NotFound: there is none of this name.
        """
        notice = self.get(name)
        self._store.delete(notice.key)
        self._store.delete(notice.lease_key)
        Bell(self._store).ring()

    def test(self, name: str) -> str:
        """Send a message that only says that messages arrive; from this process, at once.

        Returns:
            What went wrong; empty where it was sent.

        Raises:
            NotFound: there is none of this name.
            MissingExtra: Apprise is not installed.
        """
        notice = self.get(name)
        shown_address(notice.url)
        return Service(notice.url).send(trial(notice))

    def standing(self, notice: Notice) -> Standing:
        """How a notice stands, as whoever runs it last wrote."""
        record = self._store.get(notice.lease_key)
        value = {} if record is None else record.value
        state = State.of(value) if value else State(notice.from_position)
        untold = sum(group.count for group in state.groups.values())
        return Standing(
            position=state.position,
            messages=state.messages,
            waiting=state.waiting.count + untold,
            undertakings=len(state.groups),
            failing=state.failing,
            due=state.due,
            error=state.error,
            worker=value.get("owner"),
        )

    def _found(self, name: str) -> tuple[Notice, int]:
        record = self._store.get(f"{PREFIX}{name}") if name else None
        if record is None:
            raise NotFound("notice", name, "`tidings notify list` shows what there is")
        return Notice.of(record.value), record.revision

    def _free_name(self, url: str) -> str:
        service = url.partition("://")[0].lower()
        taken = {key.removeprefix(PREFIX) for key in self._store.keys(PREFIX)}
        names = (service if number == 1 else f"{service}-{number}" for number in count(1))
        return next(name for name in names if name not in taken)


def _checked(notice: Notice) -> Notice:
    """The notice, if it makes sense."""
    notice.query()
    Template(notice.title, "title")
    Template(notice.body)
    if notice.group not in GROUPINGS:
        raise InvalidSetting(f"group {shorten(notice.group)} must be one of {', '.join(GROUPINGS)}")
    for name in ("quiet", "latest", "every"):
        seconds = getattr(notice, name)
        if not 0 <= seconds <= _LONGEST:
            raise InvalidSetting(f"{name} {shorten(seconds)} must be seconds from 0 to a year")
    return notice


def _kept(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters as a record can hold them."""
    kept = dict(filters)
    exclude = kept.pop("exclude", None)
    if isinstance(exclude, Filter):
        exclude = dict(exclude.conditions())
    return {**kept, "exclude": exclude} if exclude else kept
