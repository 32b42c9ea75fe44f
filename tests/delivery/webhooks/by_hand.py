"""Endpoints and shards made by hand, for what can only be brought about between two steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.delivery.webhooks.delivering import endpoint_for
from tidings.delivery.webhooks.channel import Channel
from tidings.delivery.webhooks.shard import Shard
from tidings.delivery.webhooks.standing import Standing
from tidings.subscriptions.lease import Lease
from tidings.subscriptions.progress import Attempt, Lane, Progress

if TYPE_CHECKING:
    from tidings.store.base import Store

WHERE = "http://127.0.0.1:9/hook"
FAILED = Attempt(1, 0.1, "HTTPStatus: answered 500", 500)


def broken_one(store: Store) -> Channel:
    """An endpoint that failed when it was last heard of."""
    standing = Standing(Progress(0), lagging=True, failing_since=1)
    return Channel(endpoint_for(store, WHERE), standing, 0)


def waiting_one(store: Store, due: int) -> Channel:
    """An endpoint at which one event failed, and waits to be tried again."""
    lanes = {"event:1": Lane(1, "e1", due, (FAILED,))}
    return Channel(endpoint_for(store, WHERE), Standing(Progress(1, lanes), lagging=True), 0)


def shard_with(channels: list[Channel], value: dict[str, Any], store: Store) -> Shard:
    """A shard of which this process sends."""
    revision = store.put("webhook-shard/0", value)
    record = store.get("webhook-shard/0")
    assert record is not None
    assert record.revision == revision
    lease = Lease(store, "webhook-shard/0", "w1", record)
    shard = Shard(0, lease, {channel.id: channel for channel in channels})
    shard.sending = True
    return shard


def made_anew(channel: Channel) -> Channel:
    """The endpoint once its shard was lost and loaded again."""
    return Channel(channel.endpoint, Standing.of(channel.standing.to_value()), 0)
