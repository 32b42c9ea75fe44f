"""The webhooks of a store that is behind a server, asked for through its `/webhooks` routes.

The records of webhooks hold secrets, so no server gives them out; it is asked in words instead, and
answers in the same. It has the verbs of `tidings.delivery.webhooks.managing.Manager`, and decides
nothing.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tidings.store.remote import RemoteStore

__all__ = ["ManagerOfServer"]

_PAGE = 100


class ManagerOfServer:
    """The webhooks of a server; see `Manager` for what each verb does.

    Args:
        store: a store that is behind one.
    """

    def __init__(self, store: RemoteStore) -> None:
        self._store = store

    def create(self, wishes: Mapping[str, Any]) -> dict[str, Any]:
        """Make one."""
        return self._changed("POST", "/webhooks", dict(wishes))

    def webhooks(self) -> list[dict[str, Any]]:
        """Those there are, the oldest first."""
        found: list[dict[str, Any]] = []
        while True:
            after = {"after": found[-1]["id"]} if found else {}
            page = self._store.call("GET", f"/webhooks?{urlencode({'limit': _PAGE, **after})}")
            found += page["webhooks"]
            if page["next"] is None:
                return found

    def get(self, webhook_id: str) -> dict[str, Any]:
        """One, and how it fares."""
        return _object(self._store.call("GET", _path(webhook_id)))

    def change(self, webhook_id: str, wishes: Mapping[str, Any]) -> dict[str, Any]:
        """Change one."""
        return self._changed("PATCH", _path(webhook_id), dict(wishes))

    def rotate(
        self, webhook_id: str, keep: float | None = None, secret: str | None = None
    ) -> dict[str, Any]:
        """Give one a new secret."""
        asked = {"keep": keep, "secret": secret}
        given = {name: value for name, value in asked.items() if value is not None}
        return self._changed("POST", f"{_path(webhook_id)}/rotate", given)

    def pause(self, webhook_id: str) -> dict[str, Any]:
        """Send it nothing until it is resumed."""
        return self._changed("POST", f"{_path(webhook_id)}/pause")

    def resume(self, webhook_id: str, *, skip: bool = False) -> dict[str, Any]:
        """Go on with one that was paused, or stopped by itself."""
        return self._changed("POST", f"{_path(webhook_id)}/resume", {"skip": skip})

    def delete(self, webhook_id: str) -> dict[str, Any]:
        """Remove one, and all that is known of it."""
        return self._changed("DELETE", _path(webhook_id))

    def test(self, webhook_id: str) -> dict[str, Any]:
        """Have the server send it a test."""
        return self._changed("POST", f"{_path(webhook_id)}/test")

    def attempts(
        self, webhook_id: str, *, limit: int, failed: bool = False
    ) -> list[dict[str, Any]]:
        """What was sent to it, the newest first."""
        query = urlencode({"limit": limit, "failed": str(failed).lower()})
        found: list[dict[str, Any]] = self._store.call(
            "GET", f"{_path(webhook_id)}/attempts?{query}"
        )["attempts"]
        return found

    def replay(
        self,
        webhook_id: str,
        *,
        event: int | str | None = None,
        since: int | None = None,
        failed: bool = False,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Have it sent again what it was sent, or should have been."""
        asked = {"event": event, "since": since, "failed": failed, "dry_run": dry_run}
        given = {name: value for name, value in asked.items() if value not in (None, False)}
        return self._changed("POST", f"{_path(webhook_id)}/replay", given)

    def _changed(self, method: str, path: str, asked: Any = None) -> dict[str, Any]:
        return _object(self._store.call(method, path, asked, changes=True))


def _path(webhook_id: str) -> str:
    return f"/webhooks/{quote(webhook_id, safe='')}"


def _object(answer: Any) -> dict[str, Any]:
    told: dict[str, Any] = answer
    return told
