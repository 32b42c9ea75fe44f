"""`/ledger`: the named records of the store, for `RemoteStore`.

Keeps promise 6: it wants the scope `admin`, and the server's own records (keys, sessions, webhook
secrets) look as if they were not there, whoever asks. The catalog's records (`type/…`) any key may
read, because every client that emits looks up schemas there.
"""

from __future__ import annotations

import asyncio

from tidings.errors import RevisionConflict
from tidings.server.calls import BareRoute
from tidings.server.lossless.bodies import answer_json, asked_json
from tidings.server.lossless.records import (
    ensure_may_delete,
    ensure_may_read,
    ensure_may_write,
    is_private,
)
from tidings.store.ledger import OWN_PREFIX, checked_key, checked_page
from tidings.store.wire import whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.calls import Call

__all__ = ["BARE"]

_MOST_BYTES = 17 * 1024 * 1024
"""A value of the largest size (16 MiB), and what stands around it."""


async def _get(call: Call) -> None:
    asked = await asked_json(call, {"key"})
    key = checked_key(asked["key"])
    ensure_may_read(call.caller, key)
    found = None if is_private(key) else await asyncio.to_thread(call.service.store.get, key)
    await answer_json(call, {"record": None if found is None else list(found)})


def _is_hidden(key: str) -> bool:
    return is_private(key) or key.startswith(OWN_PREFIX)


async def _keys(call: Call) -> None:
    asked = await asked_json(call, set(), {"prefix", "after", "limit"})
    limit = whole("limit", asked.get("limit"))
    prefix, after, limit = checked_page(asked.get("prefix", ""), asked.get("after", ""), limit)
    ensure_may_read(call.caller, prefix)
    await answer_json(call, {"keys": await asyncio.to_thread(_shown, call, prefix, after, limit)})


def _shown(call: Call, prefix: str, after: str, limit: int | None) -> list[str]:
    """A page of those that are not hidden: one that is shorter than asked for is the last."""
    shown: list[str] = []
    while limit is None or len(shown) < limit:
        wanted = None if limit is None else limit - len(shown)
        found = call.service.store.keys(prefix, after, wanted)
        shown += [key for key in found if not _is_hidden(key)]
        if wanted is None or len(found) < wanted:
            break
        after = found[-1]
    return shown


async def _put(call: Call) -> None:
    asked = await asked_json(call, {"key", "value"}, {"expected"}, most=_MOST_BYTES)
    key, expected = checked_key(asked["key"]), whole("expected", asked.get("expected"))
    ensure_may_write(call.caller, key)
    revision = await asyncio.to_thread(call.service.store.put, key, asked["value"], expected)
    await answer_json(call, {"revision": revision})


async def _delete(call: Call) -> None:
    asked = await asked_json(call, {"key"}, {"expected"})
    key, expected = checked_key(asked["key"]), whole("expected", asked.get("expected"))
    ensure_may_delete(call.caller, key)
    if is_private(key):
        if expected:
            raise RevisionConflict(key, expected, 0)
        deleted = False
    else:
        deleted = await asyncio.to_thread(call.service.store.delete, key, expected)
    await answer_json(call, {"deleted": deleted})


# As in `log`: no OpenAPI document promises their form.
BARE: tuple[BareRoute, ...] = (
    BareRoute("POST", "/ledger/get", "", _get, {}),
    BareRoute("POST", "/ledger/keys", "", _keys, {}),
    BareRoute("POST", "/ledger/put", "emit", _put, {}),  # each record is looked at besides
    BareRoute("POST", "/ledger/delete", "emit", _delete, {}),
)
