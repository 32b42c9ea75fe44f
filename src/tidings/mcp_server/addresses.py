"""The addresses of resources: what they name, and how an id stands in one.

An id may hold any character, so in an address it is percent-encoded (RFC 3986, section 2.1); one
that was put there as it is means the same where it can. The drop-in's addresses name the same
things, told as eventuali-mcp-server tells them. It reads nothing.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote, unquote

__all__ = [
    "EVENT",
    "HEALTH",
    "PEER",
    "RECENT",
    "TYPES",
    "WORKFLOW",
    "Place",
    "address_of",
    "is_plain",
    "place_of",
]

RECENT, EVENT, WORKFLOW, TYPES, HEALTH = "recent", "event", "workflow", "types", "health"

_FIXED = {"events/recent": RECENT, "types": TYPES, "health": HEALTH}
_WITH_ID = {"events/": EVENT, "workflows/": WORKFLOW}
_OF_THE_PEER = {"recent-events": RECENT, "event-stream": RECENT, "health": HEALTH}

PEER = "eventuali"
"""The scheme of eventuali-mcp-server, whose resources are plain text."""


class Place(NamedTuple):
    """What an address names.

    Attributes:
        kind: recent events, one event, one workflow, the types, or the health.
        id: of the event or workflow; empty for others.
    """

    kind: str
    id: str = ""


def place_of(address: str, schemes: tuple[str, ...]) -> Place | None:
    """What an address names; none where it names nothing.

    Args:
        address: such as `tidings://events/recent`.
        schemes: the first words that count.

    >>> place_of("tidings://workflows/run%2F7", ("tidings",))
    Place(kind='workflow', id='run/7')
    """
    scheme, separator, path = address.partition("://")
    if not separator or scheme.lower() not in schemes:
        return None
    if scheme.lower() == PEER:
        kind = _OF_THE_PEER.get(path)
        return None if kind is None else Place(kind)
    if path in _FIXED:
        return Place(_FIXED[path])
    for beginning, kind in _WITH_ID.items():
        if path.startswith(beginning) and len(path) > len(beginning):
            try:
                return Place(kind, unquote(path[len(beginning) :], errors="strict"))
            except UnicodeDecodeError:
                return None
    return None


def is_plain(address: str) -> bool:
    """Whether the address is the peer's, and is answered in plain text as there."""
    return address.partition("://")[0].lower() == PEER


def address_of(place: Place, scheme: str = "tidings") -> str:
    """The address of a place.

    >>> address_of(Place(EVENT, "recent"))
    'tidings://events/%72ecent'
    """
    for path, kind in _FIXED.items():
        if kind == place.kind:
            return f"{scheme}://{path}"
    beginning = next(path for path, kind in _WITH_ID.items() if kind == place.kind)
    escaped = quote(place.id, safe="")
    if f"{beginning}{escaped}" in _FIXED:
        # An event whose id is the last word of another address.
        escaped = f"%{ord(escaped[0]):02x}{escaped[1:]}"
    return f"{scheme}://{beginning}{escaped}"
