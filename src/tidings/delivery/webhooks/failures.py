"""What went wrong with an attempt, in words that can be listed.

Keeps promise 6: no message holds a URL, a header or a byte of an answer, for each may be secret, so
that messages of libraries are not passed on. It decides nothing; `sending` does.
"""

from __future__ import annotations

import ssl
from http import HTTPStatus
from os import strerror

import aiohttp

from tidings.delivery.webhooks.reaching import AddressNotAllowed

__all__ = ["about_exception", "about_status"]

_ADVICE = {
    301: "; redirects are not followed, so give the endpoint its new URL",
    410: "; the receiver wants no more messages",
}
_ADVICE |= dict.fromkeys((302, 303, 307, 308), _ADVICE[301])


def about_status(status: int) -> str:
    """Why an answer with a status is a failure.

    >>> about_status(503)
    'HTTPStatus: answered 503 Service Unavailable'
    """
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    return f"HTTPStatus: answered {status}{phrase}{_ADVICE.get(status, '')}"


def about_timeout(seconds: float, *, answering: bool) -> str:
    """Why an attempt ended that took too long."""
    missing = "the answer was not complete" if answering else "there was no answer"
    return f"Timeout: {missing} after {seconds:g} s"


def about_exception(error: Exception, *, answering: bool) -> str:
    """Why an attempt failed.

    Args:
        error: what was raised.
        answering: whether the status had been received.
    """
    if isinstance(error, aiohttp.ClientConnectorError):
        return _about_connecting(error)
    if isinstance(error, aiohttp.ClientPayloadError):
        return "Disconnected: the answer ended in the middle, or was malformed"
    if isinstance(error, aiohttp.ClientResponseError):
        return "MalformedAnswer: what was answered cannot be read as HTTP"
    if isinstance(error, aiohttp.InvalidURL):
        return "InvalidURL: the endpoint's URL cannot be sent to"
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        when = "in the middle of its answer" if answering else "before it answered"
        return f"Disconnected: the connection was closed {when}"
    return f"{type(error).__name__}: the message could not be sent"


def _about_connecting(error: aiohttp.ClientConnectorError) -> str:
    place, cause = f"{error.host}:{error.port}", error.os_error
    if isinstance(cause, AddressNotAllowed):
        return f"AddressNotAllowed: {cause}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"CertificateNotTrusted: {place} shows one that is not valid: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return f"TLSFailed: no secure connection to {place}: {cause.reason or 'it broke'}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"NameNotFound: {error.host} has no address: {cause.strerror or cause}"
    return f"CannotConnect: no connection to {place}: {_reason(cause)}"


def _reason(cause: OSError) -> str:
    return strerror(cause.errno).lower() if cause.errno else "none of its addresses answers"
