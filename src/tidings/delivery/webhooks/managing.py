"""What people ask of webhooks, in words: each question and each answer a JSON object.

The shell and the HTTP routes both speak so, and neither decides anything. Keeps promise 6's small
print: a secret is told once, by whoever made it, and neither it nor a header's value ever again.
What is asked for is kept by `endpoints`, `attempts` and `asking`; nothing is sent from here but a
test.
"""

from __future__ import annotations

from tidings.delivery.webhooks.asking import Replays
from tidings.delivery.webhooks.attempts import Attempts
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.errors import InvalidQuery, NotFound
from tidings.masking import masked
from tidings.store.query import Query
from tidings.subscriptions.dead_letters import DeadLetters
from tidings.timestamps import format_instant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tidings.delivery.webhooks.attempts import Listed
    from tidings.delivery.webhooks.endpoint import Endpoint
    from tidings.delivery.webhooks.endpoints import State
    from tidings.store.base import Store
    from tidings.subscriptions.progress import Attempt

__all__ = ["MOST_ATTEMPTS", "Manager"]

_HIDDEN = "***"

MOST_ATTEMPTS = 100
"""So many attempts one answer lists where nobody says."""


class Manager:
    """The webhooks of a store, as people ask for them.

    Args:
        store: whose ledger holds them.

    All methods raise `NotFound` for an id that names no webhook, and `InvalidSetting` or
    `InvalidQuery` for what may not be.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._endpoints = Endpoints(store)

    def create(self, wishes: Mapping[str, Any]) -> dict[str, Any]:
        """Make one.

        Args:
            wishes: `url`, and any of `filters`, `description`, `body`, `headers`, `allow_private`,
                `concurrency`, `secret` and `start`, as `Endpoints.create` takes them.

        Returns:
            The webhook, with its `secret`.
        """
        endpoint, secret = self._endpoints.create(**wishes)
        return {**self.get(endpoint.id), "secret": secret}

    def webhooks(
        self, *, after: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Those there are, the oldest first.

        Args:
            after: only those past the one with this id.
            limit: at most so many; none for all.
        """
        endpoints = self._endpoints.list()
        if after is not None:
            ids = [endpoint.id for endpoint in endpoints]
            endpoints = endpoints[ids.index(self._endpoints.get(after).id) + 1 :]
        return [self.get(endpoint.id) for endpoint in endpoints[:limit]]

    def get(self, webhook_id: str) -> dict[str, Any]:
        """One, and how it fares."""
        return _shown(self._endpoints.state(webhook_id))

    def change(self, webhook_id: str, wishes: Mapping[str, Any]) -> dict[str, Any]:
        """Change one.

        Args:
            webhook_id: which.
            wishes: what shall be otherwise, as for `create`. Of `filters` and `headers` only those
                that are named change; none takes one away. Source: RFC 7396.

        Returns:
            The webhook as it is now.
        """
        before = self._endpoints.get(webhook_id)
        changes = dict(wishes)
        if "filters" in changes:
            changes["filters"] = _merged(before.filters, changes["filters"])
        if "headers" in changes:
            named = {name.lower(): value for name, value in changes["headers"].items()}
            changes["headers"] = _merged(before.headers, named)
        self._endpoints.change(webhook_id, **changes)
        return self.get(webhook_id)

    def rotate(
        self, webhook_id: str, keep: float | None = None, secret: str | None = None
    ) -> dict[str, Any]:
        """Give one a new secret.

        Args:
            webhook_id: which.
            keep: how long messages are signed with the old one too (seconds); none for a day.
            secret: the new one; none for a random one.

        Returns:
            The webhook, with its `secret`.
        """
        how = {} if keep is None else {"keep": keep}
        _, new = self._endpoints.rotate(webhook_id, secret=secret, **how)
        return {**self.get(webhook_id), "secret": new}

    def pause(self, webhook_id: str) -> dict[str, Any]:
        """Send it nothing until it is resumed."""
        self._endpoints.pause(webhook_id)
        return self.get(webhook_id)

    def resume(self, webhook_id: str, *, skip: bool = False) -> dict[str, Any]:
        """Go on with one that was paused, or stopped by itself.

        Args:
            webhook_id: which.
            skip: whether what came meanwhile is left out.
        """
        self._endpoints.resume(webhook_id, skip=skip)
        return self.get(webhook_id)

    def delete(self, webhook_id: str) -> dict[str, Any]:
        """Remove one, and all that is known of it."""
        self._endpoints.delete(webhook_id)
        return {"deleted": webhook_id}

    def test(self, webhook_id: str) -> dict[str, Any]:
        """Send it a message that says nothing else than that it is a test; takes up to 20 s.

        Returns:
            How that went.

        Raises:
            MissingExtra: what it takes to send is not installed.
        """
        from tidings.delivery.webhooks.trial import test

        return _told(test(self._store, webhook_id))

    async def test_here(self, webhook_id: str) -> dict[str, Any]:
        """The same, in the event loop that runs."""
        from tidings.delivery.webhooks.trial import send_test

        return _told(await send_test(self._store, webhook_id))

    def attempts(
        self,
        webhook_id: str,
        *,
        limit: int = MOST_ATTEMPTS,
        failed: bool = False,
        before: int | None = None,
    ) -> list[dict[str, Any]]:
        """What was sent to it, the newest first.

        Args:
            webhook_id: which.
            limit: at most so many.
            failed: whether only those that failed.
            before: only those that began before this instant (microseconds since 1970).
        """
        self._endpoints.get(webhook_id)
        found = Attempts(self._store).of(webhook_id, limit=limit, failed=failed, before=before)
        return [_listed(each) for each in found]

    def replay(
        self,
        webhook_id: str,
        *,
        event: int | str | None = None,
        since: int | None = None,
        failed: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Have it sent again what it was sent, or should have been; one of the three.

        Args:
            webhook_id: which.
            event: the position or id of an event.
            since: everything that was kept since then (microseconds since 1970).
            failed: everything that was given up.
            dry_run: whether only to count.

        Returns:
            How many events that are about.
        """
        if sum((event is not None, since is not None, failed)) != 1:
            raise InvalidQuery(
                "say what to send again: one event, or all since a moment, or failed"
            )
        endpoint = self._endpoints.get(webhook_id)
        if event is not None:
            count = self._replay_event(endpoint, event, dry_run=dry_run)
        elif since is not None:
            replays = Replays(self._store)
            count = (replays.count_since if dry_run else replays.since)(endpoint.id, since)
        elif dry_run:
            count = DeadLetters(self._store).count(endpoint.subscription)
        else:
            count = Replays(self._store).failed(endpoint.id)
        return {"id": webhook_id, "events": count, "dry_run": dry_run}

    def _replay_event(self, endpoint: Endpoint, event: int | str, *, dry_run: bool) -> int:
        if not dry_run:
            Replays(self._store).event(endpoint.id, event)
        elif next(self._store.read(_only(event)), None) is None:
            raise NotFound("event", str(event), "`tidings history` shows those there are")
        return 1


def _only(event: int | str) -> Query:
    """Finds an event by its position or id."""
    if isinstance(event, str):
        return Query(ids=event, limit=1)
    return Query(after=max(0, event - 1), before=event + 1, limit=1)


def _merged(before: Mapping[str, Any], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    merged = {**before, **(changes or {})} if changes is not None else {}
    return {name: value for name, value in merged.items() if value is not None}


def _shown(state: State) -> dict[str, Any]:
    endpoint = state.endpoint
    rotating = [secret.until for secret in endpoint.secrets if secret.until is not None]
    return {
        "id": endpoint.id,
        "url": masked(endpoint.url),
        "description": endpoint.description,
        "state": "disabled" if endpoint.disabled else "paused" if endpoint.paused else "active",
        "disabled": endpoint.disabled or None,
        "filters": endpoint.filters,
        "body": endpoint.body,
        "headers": dict.fromkeys(endpoint.headers, _HIDDEN),
        "allow_private": endpoint.allow_private,
        "concurrency": endpoint.concurrency,
        "created_at": format_instant(endpoint.created_at),
        "position": state.position,
        "lag": state.lag,
        "waiting": state.waiting,
        "next_attempt_at": _moment(state.next_due),
        "failing_since": _moment(state.failing_since),
        "dead_letters": state.dead_letters,
        "old_secret_until": _moment(max(rotating, default=None)),
    }


def _moment(instant: int | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _told(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": format_instant(attempt.at),
        "ok": not attempt.error,
        "status": attempt.status,
        "seconds": round(attempt.seconds, 6),
        "error": attempt.error or None,
        "answer": attempt.answer,
    }


def _listed(listed: Listed) -> dict[str, Any]:
    return {
        **_told(listed.attempt),
        "trigger": listed.trigger,
        "event_id": listed.event_id,
        "position": listed.position,
        "type": listed.type,
    }
