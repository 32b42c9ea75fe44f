"""How clients are told of changes, in both generations of the protocol.

`subscriptions/listen` (2026-07-28): the answer to the request is the stream, acknowledged first and
ended by a result. `resources/subscribe` (2025-11-25 and before): a client that stays on one
connection is told on that; over HTTP it has none here, because each request stands for itself.
Which addresses changed is `changes`' business.

The SDK's own handler of `subscriptions/listen` is not used: it knows nothing of who may see what,
and it queues notifications that a slow client has not read, where here an address waits once.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    EmptyResult,
    ResourceUpdatedNotification,
    ResourceUpdatedNotificationParams,
    SubscribeRequestParams,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from tidings.errors import TidingsError, shorten
from tidings.mcp_server.addresses import HEALTH, place_of
from tidings.mcp_server.changes import Listener
from tidings.mcp_server.telling import told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel.server import Server as LowLevel
    from mcp.server.session import ServerSession

    from tidings.mcp_server.access import Access
    from tidings.mcp_server.addresses import Place
    from tidings.mcp_server.changes import Changes
    from tidings.mcp_server.making import Ground

__all__ = ["Listening"]

_MOST_ADDRESSES = 1000
"""So many addresses one client may listen for at once."""


class Listening:
    """Serves those who want to be told.

    Args:
        ground: the door by which they come in.
        changes: says what changed.
    """

    def __init__(self, ground: Ground, changes: Changes) -> None:
        self._ground = ground
        self._changes = changes
        self._draining = False
        self._streams: set[Listener] = set()
        self._session: _Session | None = None

    def serve(self, server: LowLevel[Any]) -> None:
        """Have a server answer the requests of this room."""
        server.add_request_handler(
            "subscriptions/listen", SubscriptionsListenRequestParams, self._listen
        )
        if self._ground.door.keeps_sessions:
            server.add_request_handler(
                "resources/subscribe", SubscribeRequestParams, self._subscribe
            )
            server.add_request_handler(
                "resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe
            )

    def drain(self) -> None:
        """End every stream, and take no new ones."""
        self._draining = True
        for listener in list(self._streams):
            listener.dismiss()
        if self._session is not None:
            self._session.end()

    # 2026-07-28 -----------------------------------------------------------------------------------

    async def _listen(
        self, context: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """One stream, until the client goes, its key counts no more, or the server ends."""
        if context.request_id is None:
            raise MCPError(INVALID_REQUEST, "subscriptions/listen needs an id")
        if self._draining:
            raise MCPError(INTERNAL_ERROR, "this server is stopping; come back in a moment")
        wanted = self._wanted(params.notifications.resource_subscriptions or ())
        try:
            access = self._admitted(context, wanted)
            with self._ground.door.place(access):
                return await self._stream(context, access, wanted, params.notifications)
        except TidingsError as error:
            raise self._refused(error) from error

    async def _stream(
        self,
        context: ServerRequestContext[Any, Any],
        access: Access,
        wanted: dict[Place, list[str]],
        asked: SubscriptionFilter,
    ) -> SubscriptionsListenResult:
        # Each frame names the request that it answers; the first says what is listened for.
        meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: context.request_id}
        awake = asyncio.Event()
        listener = Listener(access, wanted, awake.set)
        acknowledged = SubscriptionsAcknowledgedNotificationParams(
            notifications=_honoured(asked, wanted), _meta=meta
        )
        self._streams.add(listener)
        try:
            await self._changes.add(listener)
            await context.session.send_notification(
                SubscriptionsAcknowledgedNotification(params=acknowledged),
                related_request_id=context.request_id,
            )
            while not listener.dismissed:
                await awake.wait()
                awake.clear()
                pending, listener.pending = listener.pending, {}
                for address in pending:
                    await context.session.send_notification(
                        _updated(address, meta), related_request_id=context.request_id
                    )
        finally:
            self._changes.remove(listener)
            self._streams.discard(listener)
        return SubscriptionsListenResult(_meta=meta)

    # Before ---------------------------------------------------------------------------------------

    async def _subscribe(
        self, context: ServerRequestContext[Any, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        address = str(params.uri)
        if not self._wanted([address]):
            raise MCPError(INVALID_PARAMS, f"there is no resource {shorten(address)}")
        try:
            access = self._admitted(context, self._wanted([address]))
        except TidingsError as error:
            raise self._refused(error) from error
        if self._session is None:
            self._session = _Session(self._changes, context.session)
        # With what it has: together they may be too many.
        wanted = self._wanted([*self._session.addresses, address])
        await self._session.listen(access, wanted)
        return EmptyResult()

    async def _unsubscribe(
        self, _context: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        if self._session is not None:
            self._session.forget(str(params.uri))
        return EmptyResult()

    # For both -------------------------------------------------------------------------------------

    def _wanted(self, addresses: Iterable[str]) -> dict[Place, list[str]]:
        """What there is of some addresses.

        Raises:
            MCPError: there are too many.
        """
        wanted: dict[Place, list[str]] = {}
        given = dict.fromkeys(map(str, addresses))
        if len(given) > _MOST_ADDRESSES:
            raise MCPError(
                INVALID_PARAMS,
                f"{len(given)} addresses are listened for; at most {_MOST_ADDRESSES} can be",
            )
        for address in given:
            place = place_of(address, self._ground.schemes)
            if place is not None:
                wanted.setdefault(place, []).append(address)
        return wanted

    def _admitted(self, context: ServerRequestContext[Any, Any], wanted: Iterable[Place]) -> Access:
        """Who asks.

        Raises:
            TidingsError: they may not listen for this.
        """
        access = self._ground.door.access(context.request)
        if any(place.kind != HEALTH for place in wanted):
            access.require("read")
        return access

    def _refused(self, error: TidingsError) -> MCPError:
        return MCPError(INTERNAL_ERROR, told(error, near=self._ground.door.keeps_sessions))


class _Session:
    """The one client over stdio that speaks the older generation.

    Args:
        changes: says what changed.
        session: reaches it.
    """

    def __init__(self, changes: Changes, session: ServerSession) -> None:
        self._changes = changes
        self._session = session
        self._awake = asyncio.Event()
        self._listener: Listener | None = None
        self._task = asyncio.create_task(self._run())

    @property
    def addresses(self) -> list[str]:
        """What it listens for."""
        wanted = {} if self._listener is None else self._listener.wanted
        return [address for addresses in wanted.values() for address in addresses]

    async def listen(self, access: Access, wanted: dict[Place, list[str]]) -> None:
        """Listen for this from now on, and for nothing else."""
        if self._listener is None:
            self._listener = Listener(access, wanted, self._awake.set)
            await self._changes.add(self._listener)
        else:
            self._listener.want(wanted)

    def forget(self, address: str) -> None:
        """Tell it of this no more; nothing happens where it was not told."""
        if self._listener is not None:
            self._listener.forget(address)

    def end(self) -> None:
        """Tell it nothing any more."""
        self._task.cancel()
        if self._listener is not None:
            self._changes.remove(self._listener)

    async def _run(self) -> None:
        while True:
            await self._awake.wait()
            self._awake.clear()
            if self._listener is None:
                continue
            pending, self._listener.pending = self._listener.pending, {}
            for address in pending:
                await self._session.send_notification(_updated(address, None))


def _honoured(asked: SubscriptionFilter, wanted: dict[Place, list[str]]) -> SubscriptionFilter:
    """What of the wish is granted: what there is. Lists of tools and the like never change here."""
    addresses = [address for some in wanted.values() for address in some]
    return SubscriptionFilter(
        tools_list_changed=asked.tools_list_changed or None,
        prompts_list_changed=asked.prompts_list_changed or None,
        resources_list_changed=asked.resources_list_changed or None,
        resource_subscriptions=addresses or None,
    )


def _updated(address: str, meta: dict[str, Any] | None) -> ResourceUpdatedNotification:
    return ResourceUpdatedNotification(
        params=ResourceUpdatedNotificationParams(uri=address, _meta=meta)
    )
