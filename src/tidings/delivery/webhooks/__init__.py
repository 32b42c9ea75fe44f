"""Webhooks: events POSTed to HTTP endpoints, signed, retried for days, listed attempt by attempt.

Keeps promise 3 (at least once, in order for each aggregate) and its part of promise 6 (no private
address unless allowed). Standard Webhooks 1.0 says how a message looks and when it is sent again.
"""

from __future__ import annotations

__all__: list[str] = []
