"""One POST of one event, and what the answer means for it and for others.

Keeps its part of promise 6: the key goes to the address that was set and nowhere else, so redirects
are not followed. Everything that can go wrong becomes a verdict; nothing is raised.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401 - looking up a host loads it, which a fork must not interrupt
from http.client import HTTPException
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tidings.fields import encode_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from email.message import Message
    from typing import IO, Literal

    from tidings.event import Event

__all__ = ["Answer", "exposes_key", "is_address", "post"]

_TIMEOUT = 10.0
"""So long each step of a POST may take (seconds); scitex-events 0.1.7 has the same."""

_MOST_ANSWER = 300
_LONGEST_PAUSE = 3600.0
"""No `Retry-After` is honoured for longer (seconds): what waits would be forgotten."""

_ABOUT_THE_EVENT = (400, 406, 409, 411, 413, 415, 422, 431)
"""With these an address refuses this event; with any other but 2xx it takes none for now: it is
not the right one, the key is not, or it is overloaded or broken."""


class Answer(NamedTuple):
    """What came of a POST.

    Attributes:
        verdict: `taken`; `refused`, this event only; or `away`, where others need not be tried now.
        error: what went wrong; empty where nothing did. It shows no key.
        pause: for how long the address wants to be left alone (seconds), if it said so.
    """

    verdict: Literal["taken", "refused", "away"]
    error: str = ""
    pause: float | None = None


class _NoRedirects(HTTPRedirectHandler):
    """Takes a redirect as an answer: wherever it leads, the key is not for there."""

    def redirect_request(
        self,
        req: Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: Message,
        newurl: str,
    ) -> None:
        """Follow none."""


def post(url: str, key: str, event: Event) -> Answer:
    """Send an event.

    Args:
        url: where to.
        key: what is shown there.
        event: its six fields are the body: type, project, status, payload, source, timestamp.
    """
    if not (key.isascii() and key.isprintable()):
        return Answer("away", "the API key holds what no header may; set it to the key alone")
    try:
        # Its proxies are those of the environment: compute nodes often reach nothing without.
        with build_opener(_NoRedirects).open(_request(url, key, event), timeout=_TIMEOUT) as answer:
            status = answer.status
    except HTTPError as error:
        with error:
            return _refused(error)
    except (OSError, HTTPException, ValueError) as error:
        return Answer("away", _reason(error))
    return Answer("taken") if status < 300 else Answer("away", f"it answered {status}")


def is_address(url: str) -> bool:
    """Whether anything can be sent there at all.

    >>> is_address("https://cloud.example.org/"), is_address("cloud.example.org")
    (True, False)
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def exposes_key(url: str) -> bool:
    """Whether a key sent there could be read on the way.

    >>> exposes_key("http://cloud.example.org/"), exposes_key("http://127.0.0.1:8000/")
    (True, False)
    """
    if not is_address(url):
        return False  # so nothing is sent
    parts = urlsplit(url)
    host = parts.hostname or ""
    at_home = host in ("localhost", "::1") or host.startswith("127.")
    return parts.scheme != "https" and not at_home


def _request(url: str, key: str, event: Event) -> Request:
    body = {
        "type": event.type,
        "project": event.project,
        "status": event.status,
        "payload": event.payload,
        "source": event.source,
        "timestamp": event.timestamp,
    }
    one = quote(event.id, safe="!#$&'()*+,/:;=?@[]-._~ ")  # a header holds no other letters
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "User-Agent": "tidings",
        "Idempotency-Key": one,
        "Webhook-Id": one,
    }
    if not is_address(url):
        raise ValueError("the address must begin with https:// or http://")
    return Request(url, encode_json(body).encode(), headers, method="POST")  # noqa: S310 - see above


def _reason(error: Exception) -> str:
    """What went wrong, without the wrapping of the library."""
    inner = error.reason if isinstance(error, URLError) else error
    return getattr(inner, "strerror", None) or str(inner) or type(inner).__name__


def _refused(error: HTTPError) -> Answer:
    try:
        said = error.read(_MOST_ANSWER).decode("utf-8", "replace").strip()
    except (OSError, HTTPException):
        said = ""
    text = f"it answered {error.code}{f': {said}' if said else ''}"
    if error.code in _ABOUT_THE_EVENT:
        return Answer("refused", text)
    return Answer("away", text, _pause(error.headers.get("Retry-After", "")))


def _pause(text: str) -> float | None:
    # The form with a date needs a clock that agrees with ours; RFC 9110, section 10.2.3.
    return min(float(text), _LONGEST_PAUSE) if text.isdecimal() else None
