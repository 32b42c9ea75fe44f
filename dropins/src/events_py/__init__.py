"""Event types and helpers for Python services, by the names of events-py.

Tidings' own envelopes under their documented names: what is made here can be published on a bus
(`tidings.Bus.publish`) as it is. It holds no logic and loads the standard library only.
"""

from __future__ import annotations

from events_py.models import EventEnvelope, EventKind, create_event

__all__ = ["EventEnvelope", "EventKind", "create_event"]
