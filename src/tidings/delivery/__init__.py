"""Delivery: what reaches HTTP endpoints and people.

Webhooks, notices and watches, each a duty that one live process does at a time (`subscriptions`).
All state is in the ledger and the log, so it works on every backend.
"""

from __future__ import annotations

__all__: list[str] = []
