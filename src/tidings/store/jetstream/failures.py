"""The one place where errors of nats-py, and of servers, become ours.

Each message names the store and what to do next. What an error means for an entry that was sent is
decided in `publishing`; here it is only put into words.
"""

from __future__ import annotations

import asyncio

import nats.errors
import nats.js.errors

from tidings.errors import (
    InvalidSetting,
    NotAllowed,
    StoreDamaged,
    StoreFull,
    StoreReadOnly,
    StoreUnavailable,
    TidingsError,
)

__all__ = ["Broken", "Unreached", "in_words", "is_passing", "translated"]

# Source: server/errors.json of nats-server
_FULL = {10002, 10023, 10028, 10047}
_NOT_STORED = 10077
_NOT_FOUND, _TOO_FEW_SERVERS, _SUBJECT_TAKEN = 10059, {10005, 10074}, 10065
_OTHER_STREAM, _SEALED = 10060, 10109
_NOT_ENABLED = {10039, 10076}

_PASSING = (nats.js.errors.ServiceUnavailableError, nats.js.errors.NoStreamResponseError)


class Unreached(Exception):  # noqa: N818 - what happened; who knows what was asked makes an error
    """There is no connection; nothing was sent.

    Args:
        why: what is known about it.
        refused: whether a server refused who asks.
    """

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


class Broken(Exception):  # noqa: N818
    """No answer came: the connection was lost, or time ran out; what was sent may have been done.

    Args:
        why: what is known about it.
        refused: whether a server said that it will not do it.
    """

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


def is_passing(error: Exception) -> bool:
    """Whether an answer only says "not now": no leader yet, or a server that is starting."""
    code = getattr(error, "err_code", None)
    return isinstance(error, _PASSING) and code not in _FULL | {_NOT_STORED}


def in_words(error: BaseException) -> str:
    """What an error says, without the driver's ornaments."""
    if isinstance(error, nats.js.errors.APIError):
        return f"{error.description} (JetStream error {error.err_code})"
    if isinstance(error, (asyncio.TimeoutError, nats.errors.TimeoutError)):
        return "no answer came in time"
    if isinstance(error, nats.js.errors.NoStreamResponseError):
        return "no server answers for the stream"
    if isinstance(error, nats.errors.NoServersError):
        return "no server could be reached"
    return str(error).removeprefix("nats: ").strip("' ") or type(error).__name__


def translated(error: Exception, url: str) -> TidingsError:
    """Our error for one that nats-py raised, or for no answer.

    Args:
        error: what was raised.
        url: the store's, without secrets.
    """
    words = in_words(error)
    if isinstance(error, TidingsError):
        return error
    if isinstance(error, (Unreached, Broken)):
        if error.refused:
            return NotAllowed(
                f"{url}: {words}; ask whoever runs the NATS servers for the rights that "
                f"docs/how-to/nats.md lists"
            )
        return StoreUnavailable(f"{url} does not answer: {words}; see that its servers run")
    if isinstance(error, nats.js.errors.APIError):
        return _of_server(error, words, url)
    if isinstance(error, nats.errors.MaxPayloadError):
        return StoreUnavailable(
            f"{url}: an entry is larger than the servers' max_payload, which was lowered while the "
            f"store was open; open it again"
        )
    return StoreUnavailable(f"{url}: {words}")


def _of_server(error: nats.js.errors.APIError, words: str, url: str) -> TidingsError:
    code = error.err_code
    if code in _FULL or (code == _NOT_STORED and _says_full(words)):
        return StoreFull(
            f"{url} is full: {words}; make room on the servers' disks, raise the limits of the "
            f"stream or the account, or prune the store"
        )
    if code == _NOT_FOUND:
        return StoreDamaged(f"{url} is gone: its stream was deleted while the store was open")
    if code in _TOO_FEW_SERVERS:
        return InvalidSetting(f"{url} cannot be made: {words}; lower replicas= or add servers")
    if code == _SUBJECT_TAKEN:
        return StoreUnavailable(
            f"{url} cannot be made: {words}; another stream takes its subject, so narrow that "
            f"stream's subjects or choose another name"
        )
    if code == _OTHER_STREAM:
        return StoreUnavailable(f"{url}: another stream took its subject: {words}")
    if code == _SEALED:
        return StoreReadOnly(f"{url} takes no events: its stream is sealed")
    if code in _NOT_ENABLED:
        return StoreUnavailable(
            f"{url}: JetStream is off there: {words}; turn it on (`jetstream {{}}` in the servers' "
            f"configuration, and for the account), and look for a full disk, which turns it off"
        )
    return StoreUnavailable(f"{url}: {words}")


def _says_full(words: str) -> bool:
    return any(each in words for each in ("maximum", "no space", "insufficient", "quota"))
