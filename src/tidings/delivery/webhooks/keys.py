"""Where webhooks keep what they know in the ledger, and how endpoints are spread over processes.

`webhook/ID` is an endpoint's configuration, written by people; `webhook-at/ID` how it stands,
written by the engine; `webhook-ask/ID/…` what people ask the engine for; `webhook-log/ID/…` its
attempts; `webhook-shard/N` the lease of a shard, with the position that all its endpoints that do
not lag have reached; `webhook-changed` which endpoints were changed last.
"""

from __future__ import annotations

from zlib import crc32

__all__ = ["ASKED", "CHANGED", "ENDPOINT", "LOG", "SHARDS", "STANDING", "shard_key", "shard_of"]

ENDPOINT = "webhook/"
STANDING = "webhook-at/"
ASKED = "webhook-ask/"
LOG = "webhook-log/"
CHANGED = "webhook-changed"

SHARDS = 8
"""Endpoints are spread over processes in so many parts; it cannot be changed for a store in use."""


def shard_of(endpoint_id: str) -> int:
    """The shard of an endpoint, the same in every process and version."""
    return crc32(endpoint_id.encode()) % SHARDS


def shard_key(shard: int) -> str:
    """The key of a shard's lease."""
    return f"webhook-shard/{shard}"
