"""A test of an endpoint: one message, sent now, from the process that asks for it.

It is signed and sent like any other, and listed among the attempts; it is no event of the log, and
changes nothing about what the endpoint is sent otherwise.
"""

from __future__ import annotations

import asyncio

from tidings.delivery.webhooks.attempts import Listed, list_test
from tidings.delivery.webhooks.endpoints import Endpoints
from tidings.delivery.webhooks.sending import Sender
from tidings.event import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.clock import Clock
    from tidings.delivery.webhooks.endpoint import Endpoint
    from tidings.store.base import Store
    from tidings.subscriptions.progress import Attempt

__all__ = ["TYPE", "send_test", "test"]

TYPE = "tidings.webhook.test"
"""The type of what is sent."""


async def send_test(
    store: Store, id: str, *, sender: Sender | None = None, clock: Clock | None = None
) -> Attempt:
    """Send a test message to an endpoint, also to one that is stopped.

    Args:
        store: where it is configured.
        id: names it.
        sender: what sends; none for one of its own.
        clock: what time it is.

    Returns:
        What came of it.

    Raises:
        NotFound: there is no such endpoint.
        StoreUnavailable, OutcomeUnknown: the store is away; the message may have been sent.
    """
    endpoint = await asyncio.to_thread(Endpoints(store).get, id)
    if sender is None:
        async with Sender(clock=clock) as own:
            return await _send(store, endpoint, own)
    return await _send(store, endpoint, sender)


def test(store: Store, id: str) -> Attempt:
    """As `send_test`, where no event loop runs."""
    return asyncio.run(send_test(store, id))


test.__test__ = False  # type: ignore[attr-defined]  # pytest takes it for a test of its own


async def _send(store: Store, endpoint: Endpoint, sender: Sender) -> Attempt:
    payload = {"endpoint": endpoint.id, "message": "A test of this webhook; nothing happened."}
    event = Event(TYPE, payload=payload, source="tidings")
    sent = await sender.send(endpoint, event)
    listed = Listed(sent.attempt, event.id, 0, event.type, "test")
    await asyncio.to_thread(list_test, store, endpoint.id, listed)
    return sent.attempt
