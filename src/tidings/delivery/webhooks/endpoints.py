"""Endpoints: made, listed, changed, stopped and deleted by people, whether or not one delivers now.

Keeps promise 5 for webhooks (bad input gets a clear error and changes nothing) and its part of
promise 6: a secret is shown once, and what is kept is never given out over HTTP. Each change is one
write to the ledger; whoever delivers hears of it by the `Bell`. Nothing is sent from here.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from tidings.clock import Clock
from tidings.delivery.webhooks.checking import checked, checked_filters
from tidings.delivery.webhooks.endpoint import BODIES, Endpoint, Secret
from tidings.delivery.webhooks.keys import (
    ASKED,
    CHANGED,
    ENDPOINT,
    LOG,
    STANDING,
    shard_key,
    shard_of,
)
from tidings.delivery.webhooks.message import checked_headers
from tidings.delivery.webhooks.signing import checked_secret, new_secret
from tidings.delivery.webhooks.standing import Standing
from tidings.errors import InvalidSetting, NotFound, RevisionConflict, shorten
from tidings.ids import new_id
from tidings.store.base import Put
from tidings.subscriptions.bell import Bell
from tidings.subscriptions.dead_letters import DeadLetters
from tidings.subscriptions.progress import Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tidings.store.base import LedgerRecord, Store

__all__ = ["AFRESH", "CONCURRENCY", "ROTATION", "SKIP", "Endpoints", "State"]

CONCURRENCY = 4
"""So many requests to an endpoint are under way at once, unless it says otherwise."""

ROTATION = 86_400.0
"""So long (seconds) a secret that was rotated signs on beside the new one."""

_REMEMBERED_CHANGES = 100

AFRESH = "afresh"
"""What the engine is asked when an endpoint is enabled again: forget for how long it failed, and
try at once what waits."""

SKIP = "skip"
"""What the engine is asked to have an endpoint go on from a later position."""

_MICROSECONDS = 1_000_000


class State(NamedTuple):
    """An endpoint and how it stands.

    Attributes:
        endpoint: its configuration.
        position: all it wants up to here was sent, given up, or waits to be sent again.
        lag: how many positions the log is ahead of that.
        waiting: how many events wait to be sent again, each with its aggregate's later ones.
        next_due: when the first of them is tried (microseconds since 1970).
        failing_since: since when it has taken nothing (microseconds since 1970), if it has not.
        dead_letters: how many events were given up.
    """

    endpoint: Endpoint
    position: int
    lag: int
    waiting: int
    next_due: int | None
    failing_since: int | None
    dead_letters: int


class Endpoints:
    """The endpoints of a store.

    Args:
        store: whose ledger holds them.
        clock: what time it is.

    >>> from tidings.store.memory import MemoryStore
    >>> endpoints = Endpoints(MemoryStore())
    >>> endpoint, secret = endpoints.create("https://example.org/hook", {"types": "job.*"})
    >>> secret[:6], endpoints.pause(endpoint.id).active, len(endpoints.list())
    ('whsec_', False, 1)
    >>> endpoints.delete(endpoint.id)
    >>> endpoints.any()
    False
    """

    def __init__(self, store: Store, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or Clock()

    def any(self) -> bool:
        """Whether there is one."""
        return bool(self._store.keys(ENDPOINT, limit=1))

    def create(
        self,
        url: str,
        filters: Mapping[str, Any] | None = None,
        *,
        description: str = "",
        body: str = BODIES[0],
        headers: Mapping[str, str] | None = None,
        allow_private: bool = False,
        concurrency: int = CONCURRENCY,
        secret: str | None = None,
        start: str | int = "now",
    ) -> tuple[Endpoint, str]:
        """Make an endpoint; events are sent to it from now on.

        Args:
            url: where to POST.
            filters: which events: keyword arguments of `Query` as JSON values, but for its window.
            description: what people call it, at most 1,000 characters.
            body: `cloudevents` or `plain`.
            headers: further headers of each request.
            allow_private: whether it may lie in a private network.
            concurrency: so many requests to it may be under way at once, 1–100.
            secret: what its messages are signed with (`whsec_…`); none for a new one.
            start: `now`, `beginning`, or the position past which events are sent.

        Returns:
            The endpoint and its secret, which is to be shown once.

        Raises:
            InvalidSetting, InvalidQuery: an argument makes no sense; nothing was made.
        """
        text = new_secret() if secret is None else checked_secret(secret)
        position = self._start(start)
        endpoint = checked(
            Endpoint(
                id=f"wh_{secrets.token_hex(8)}",
                url=url,
                filters=checked_filters(filters or {}),
                description=description,
                body=body,
                secrets=(Secret(text),),
                headers=checked_headers(headers or {}),
                allow_private=allow_private,
                concurrency=concurrency,
                from_position=position,
                paused=False,
                disabled="",
                created_at=self._clock.now(),
            )
        )
        standing = Standing(Progress(position), lagging=True)
        self._write(
            endpoint.id,
            Put(ENDPOINT + endpoint.id, endpoint.to_value(), 0),
            Put(STANDING + endpoint.id, standing.to_value(), 0),
        )
        return endpoint, text

    def list(self) -> list[Endpoint]:
        """All of them, the oldest first."""
        records = (self._store.get(key) for key in self._store.keys(ENDPOINT))
        found = [Endpoint.of(record.value) for record in records if record is not None]
        return sorted(found, key=lambda endpoint: (endpoint.created_at, endpoint.id))

    def get(self, id: str) -> Endpoint:
        """The endpoint of this id.

        Raises:
            NotFound: there is none.
        """
        return Endpoint.of(self._record(id).value)

    def state(self, id: str) -> State:
        """An endpoint and how it stands, as last written by whoever delivers.

        Raises:
            NotFound: there is none.
        """
        endpoint = self.get(id)
        record = self._store.get(STANDING + id)
        standing = None if record is None else Standing.of(record.value)
        if standing is None or not standing.lagging:
            shard = self._store.get(shard_key(shard_of(id)))
            position = 0 if shard is None else shard.value["position"]
        else:
            position = standing.progress.position
        progress = Progress(position) if standing is None else standing.progress
        return State(
            endpoint,
            position,
            max(0, self._store.head() - position),
            len(progress.lanes),
            progress.next_due(),
            None if standing is None else standing.failing_since,
            DeadLetters(self._store).count(endpoint.subscription),
        )

    def change(self, id: str, /, **changes: Any) -> Endpoint:
        """Change an endpoint; what is under way is not called back.

        Args:
            id: names it.
            changes: `url`, `filters`, `description`, `body`, `headers`, `allow_private` or
                `concurrency`, as for `create`.

        Raises:
            NotFound: there is none.
            InvalidSetting, InvalidQuery: a change makes no sense; nothing was changed.
        """
        allowed = {"url", "filters", "description", "body", "headers", "allow_private"}
        for name in changes.keys() - allowed - {"concurrency"}:
            raise InvalidSetting(f"{shorten(name)} of a webhook cannot be changed")
        if "filters" in changes:
            changes["filters"] = checked_filters(changes["filters"])
        if "headers" in changes:
            changes["headers"] = checked_headers(changes["headers"])
        return self._change(id, lambda endpoint: checked(endpoint._replace(**changes)))

    def rotate(
        self, id: str, *, keep: float = ROTATION, secret: str | None = None
    ) -> tuple[Endpoint, str]:
        """Give an endpoint another secret.

        Args:
            id: names it.
            keep: so long (seconds) messages are signed with the old one, too.
            secret: the new one; none to have one made.

        Returns:
            The endpoint and its new secret, which is to be shown once.

        Raises:
            NotFound: there is none.
            InvalidSetting: the secret or the time makes no sense.
        """
        if not 0 <= keep <= 366 * 86_400:
            raise InvalidSetting(f"keep {keep!r} must be seconds, from 0 to a year")
        text = new_secret() if secret is None else checked_secret(secret)
        now = self._clock.now()
        until = now + round(keep * _MICROSECONDS)

        def rotated(endpoint: Endpoint) -> Endpoint:
            kept = [
                Secret(old.text, until if old.until is None else min(old.until, until))
                for old in endpoint.secrets
                if old.text != text and (old.until is None or old.until > now)
            ]
            return endpoint._replace(secrets=(Secret(text), *kept))

        return self._change(id, rotated), text

    def pause(self, id: str) -> Endpoint:
        """Send it nothing until `resume`, which goes on from where it was.

        Raises:
            NotFound: there is none.
        """
        return self._change(id, lambda endpoint: endpoint._replace(paused=True))

    def resume(self, id: str, *, skip: bool = False) -> Endpoint:
        """Send it events again, also where it was disabled because it failed.

        Args:
            id: names it.
            skip: go on with what comes from now on; what came meanwhile is not sent.

        Raises:
            NotFound: there is none.
        """
        asks: list[dict[str, Any]] = []
        if skip:
            asks.append({"what": SKIP, "position": self._store.catch_up()})
        if self.get(id).disabled:
            asks.append({"what": AFRESH})
        puts = [Put(f"{ASKED}{id}/{new_id()}", ask) for ask in asks]
        return self._change(
            id, lambda endpoint: endpoint._replace(paused=False, disabled=""), *puts
        )

    def disable(self, id: str, why: str, url: str) -> None:
        """Stop it because of what it did; for who delivers.

        Args:
            id: names it.
            why: `gone` or `failing`.
            url: what it was when it did that; where it was changed since, nothing happens.

        Raises:
            NotFound: there is none.
        """
        self._change(
            id,
            lambda endpoint: endpoint._replace(disabled=why) if endpoint.url == url else endpoint,
        )

    def delete(self, id: str) -> None:
        """Remove an endpoint with its attempts, dead letters and all it waits for.

        Raises:
            NotFound: there is none.
        """
        if not self._store.delete(self._record(id).key):
            raise _not_found(id)
        self._write(id)
        remove_remains(self._store, id)

    # Parts ---------------------------------------------------------------------------------------

    def _start(self, start: str | int) -> int:
        if start == "now":
            return self._store.catch_up()
        if start == "beginning":
            return 0
        if isinstance(start, int) and not isinstance(start, bool) and 0 <= start < 2**63:
            return start
        raise InvalidSetting(f"start {shorten(start)} must be now, beginning or a position")

    def _record(self, id: str) -> LedgerRecord:
        record = self._store.get(ENDPOINT + id) if id else None
        if record is None:
            raise _not_found(id)
        return record

    def _change(self, id: str, changed: Callable[[Endpoint], Endpoint], *puts: Put) -> Endpoint:
        while True:
            record = self._record(id)
            endpoint = changed(Endpoint.of(record.value))
            try:
                self._write(id, Put(record.key, endpoint.to_value(), record.revision), *puts)
            except RevisionConflict as error:
                if error.key != record.key:
                    raise
            else:
                return endpoint

    def _write(self, id: str, *puts: Put) -> None:
        """Write records and that the endpoint was changed, together; tell who delivers."""
        while True:
            noted = self._store.get(CHANGED)
            value: dict[str, Any] = {"count": 0, "recent": []} if noted is None else noted.value
            recent = [*value["recent"], id][-_REMEMBERED_CHANGES:]
            revision = 0 if noted is None else noted.revision
            note = Put(CHANGED, {"count": value["count"] + 1, "recent": recent}, revision)
            try:
                self._store.append([], put=[*puts, note])
            except RevisionConflict as error:
                if error.key != CHANGED:
                    raise
            else:
                break
        Bell(self._store).ring()


def remove_remains(store: Store, id: str) -> None:
    """Remove what is kept about an endpoint, if it is no more."""
    if store.get(ENDPOINT + id) is not None:
        return
    DeadLetters(store).remove_all(f"webhook:{id}")
    for prefix in (LOG, ASKED):
        for key in store.keys(f"{prefix}{id}/"):
            store.delete(key)
    store.delete(STANDING + id)


def _not_found(id: str) -> NotFound:
    return NotFound("webhook", id, "`tidings webhooks list` shows those there are")
