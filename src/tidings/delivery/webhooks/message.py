"""What one webhook message says: its headers and its body.

Keeps promise 6 where users' own headers are concerned: none of them replaces what signs or frames
a message, and none ends its line. It sends nothing; `sending` does.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import tidings
from tidings.cloudevents import STRUCTURED_TYPE, to_structured
from tidings.delivery.webhooks.signing import message_id, signatures
from tidings.errors import InvalidSetting, shorten
from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tidings.delivery.webhooks.endpoint import Endpoint
    from tidings.event import Event

__all__ = ["Message", "checked_headers", "message_of"]

_MICROSECONDS = 1_000_000
_MOST_HEADERS = 20
_LONGEST_VALUE = 2000
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
"""A token. Source: RFC 9110, section 5.6.2."""

_VALUE = re.compile(r"[!-~](?:[\t -~]*[!-~])?")
_OURS = {
    *("accept-encoding", "connection", "content-encoding", "content-length", "content-type"),
    *("expect", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"),
}
_OURS_FROM = ("webhook-", "proxy-")
"""What frames a message, leads it or signs it."""


class Message(NamedTuple):
    """What is POSTed.

    Attributes:
        headers: all but those that HTTP itself needs; names in lower case.
        body: the text that is signed; sent as UTF-8.
    """

    headers: dict[str, str]
    body: str


def message_of(endpoint: Endpoint, event: Event, now: int) -> Message:
    """The message about an event.

    Args:
        endpoint: whom it is for.
        event: what it tells.
        now: the instant of the attempt (microseconds since 1970).

    Raises:
        StoreDamaged: the event is not what was kept.
    """
    plain = endpoint.body == "plain"
    body = encode_json(_seeds_fields(event)) if plain else to_structured(event)
    id = message_id(event)
    return Message(
        {
            "user-agent": f"tidings/{tidings.__version__}",
            **endpoint.headers,
            "accept-encoding": "identity",
            "content-type": "application/json" if plain else STRUCTURED_TYPE,
            "webhook-id": id,
            "webhook-timestamp": str(now // _MICROSECONDS),
            "webhook-signature": signatures(endpoint.secrets, id, now, body),
        },
        body,
    )


def checked_headers(headers: Mapping[Any, Any]) -> dict[str, str]:
    """An endpoint's own headers, if they can be sent.

    Args:
        headers: names and values, such as `{"Authorization": "Bearer …"}`.

    Returns:
        The same with names in lower case.

    Raises:
        InvalidSetting: a name or a value cannot stand in a header, stands there twice, or is one
            that Tidings sets itself. The error shows no value.

    >>> checked_headers({"X-Team": "figrecipe"})
    {'x-team': 'figrecipe'}
    """
    checked: dict[str, str] = {}
    for given, value in headers.items():
        name = given.lower() if isinstance(given, str) else ""
        if not _NAME.fullmatch(name):
            raise InvalidSetting(f"header {shorten(given)} must be a name such as x-team")
        if name in checked:
            raise InvalidSetting(f"header {shorten(given)} must be given once")
        if name in _OURS or name.startswith(_OURS_FROM):
            raise InvalidSetting(f"header {shorten(given)} is set by Tidings; leave it out")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InvalidSetting(
                f"the value of header {shorten(given)} must be printable ASCII without line breaks"
            )
        if len(value) > _LONGEST_VALUE:
            raise InvalidSetting(
                f"the value of header {shorten(given)} must be at most {_LONGEST_VALUE} characters"
            )
        checked[name] = value
    if len(checked) > _MOST_HEADERS:
        raise InvalidSetting(f"an endpoint may have at most {_MOST_HEADERS} headers of its own")
    return checked


def _seeds_fields(event: Event) -> dict[str, object]:
    """The six fields of an event as scitex-events writes them, in its order."""
    return {
        "type": event.type,
        "project": event.project,
        "status": event.status,
        "payload": event.payload,
        "source": event.source,
        "timestamp": event.timestamp,
    }
