"""Sending a message through Apprise: in bounded time, and without a word of what is secret.

Apprise bounds some of what it does and not all, so each message is sent in a thread of its own that
is waited for only so long; one that hangs is left behind, keeps no process from ending, and is
waited for before this service is tried again. What went wrong Apprise says in its log only. It is
read from there, and what was secret in the address is taken out; the log itself goes no further.
"""

from __future__ import annotations

import logging
import re
from threading import Thread, current_thread
from typing import NamedTuple
from urllib.parse import unquote

from tidings.errors import InvalidSetting, MissingExtra

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["SECONDS", "Message", "Service", "check_installed", "shown_address"]

SECONDS = 30.0
"""So long one message may take (seconds)."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+._-]*(?=://)")
_BETWEEN = re.compile(r"[/@:?&=#,;+\s]+")
_LEAST_SECRET = 4
_MOST_ERROR = 300

_LOG = "apprise"


class Message(NamedTuple):
    """What people are told.

    Attributes:
        title: one line.
        text: plain text; the service's own form is made of it by Apprise.
        kind: `success`, `failure` or `info`.
    """

    title: str
    text: str
    kind: str


class Service:
    """Somebody's address at one service.

    Args:
        url: as Apprise knows it; a secret.
        seconds: so long one message may take.
    """

    def __init__(self, url: str, seconds: float = SECONDS) -> None:
        self._url = url
        self._seconds = seconds
        self._sending: Thread | None = None

    def send(self, message: Message) -> str:
        """Send a message.

        Returns:
            What went wrong; empty where it was sent, as far as the service says.
        """
        if self._sending is not None and self._sending.is_alive():
            return "the last attempt still hangs"
        errors: list[str] = []
        sent: list[bool] = []

        def attempt() -> None:
            with _overheard() as overheard:
                try:
                    sent.append(_sent(self._url, message))
                except Exception as error:  # noqa: BLE001 - Apprise has 130 plugins; any may raise anything
                    overheard.append(f"{type(error).__name__}: {error}")
                errors.extend(overheard)

        self._sending = Thread(target=attempt, name="tidings-notice", daemon=True)
        self._sending.start()
        self._sending.join(self._seconds)
        if self._sending.is_alive():
            return f"the service did not answer in {self._seconds:g} s"
        if any(sent):
            return ""
        return _without_secrets(" ".join(errors), self._url) or "Apprise could not send it"


def check_installed(what: str) -> None:
    """Make sure that there is something to send with.

    Raises:
        MissingExtra: Apprise is not installed.
    """
    from importlib.util import find_spec

    if find_spec("apprise") is None:
        raise MissingExtra(what, "notify")


_FOR_HTTP = " (json:// posts to a web server, `tidings webhooks` sends events as they are)"


def shown_address(url: str) -> str:
    """An address as it may be shown: the service, and the start of where it is, secrets masked.

    Raises:
        MissingExtra: Apprise is not installed.
        InvalidSetting: Apprise cannot send to it.
    """
    check_installed("a notice")
    with _overheard():
        service = _instance(url)
    if service is None:
        scheme = _SCHEME.match(url)
        known = "" if scheme is None else f" {scheme[0]}://…"
        hint = _FOR_HTTP if scheme is not None and scheme[0].lower() in ("http", "https") else ""
        raise InvalidSetting(
            f"the address{known} is none that Apprise can send to{hint}; its services and how "
            f"their addresses are written: https://appriseit.com/services/"
        )
    from tidings.masking import masked

    # In a path and after a question mark anything may be a secret, whatever the service is.
    place, _, rest = masked(str(service.url(privacy=True))).partition("://")
    first, slash, after = rest.partition("?")[0].partition("/")
    return f"{place}://{first}{slash}{'…' if after else ''}"


def _instance(url: str) -> Any:
    import apprise

    asset = apprise.AppriseAsset(
        app_id="Tidings", app_desc="Tidings", async_mode=False, secure_logging=True
    )
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is not None and "overflow=" not in url.lower():
        # The services refuse what is too long for them, and then nobody would be told anything.
        service.overflow_mode = apprise.OverflowMode.TRUNCATE
    return service


def _sent(url: str, message: Message) -> bool:
    import apprise

    service = _instance(url)
    if service is None:
        raise InvalidSetting("Apprise can no longer send to this address")
    # An `Apprise` would hand it to a pool of threads, which a process waits for at its end.
    return bool(
        service.notify(
            title=message.title,
            body=message.text,
            notify_type=apprise.NotifyType(message.kind),
            body_format=apprise.NotifyFormat.TEXT,
        )
    )


class _overheard(logging.Handler):  # noqa: N801 - it reads as what it is: with _overheard() as errors
    """What Apprise logs in this thread meanwhile, kept from everybody else's log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._errors: list[str] = []
        self._thread = current_thread()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line of the log."""
        if current_thread() is self._thread:
            self._errors.append(record.getMessage())

    def __enter__(self) -> list[str]:
        log = logging.getLogger(_LOG)
        log.propagate = False  # for good: at its lower levels it tells whole addresses
        log.addHandler(self)
        return self._errors

    def __exit__(self, *_: object) -> None:
        logging.getLogger(_LOG).removeHandler(self)


def _without_secrets(text: str, url: str) -> str:
    """The text with every part of an address taken out, but for what may be shown of it."""
    shown = set(_BETWEEN.split(shown_address(url)))
    hidden = {unquote(part) for part in _BETWEEN.split(url)} | set(_BETWEEN.split(url))
    for part in sorted(hidden - shown, key=len, reverse=True):
        if len(part) >= _LEAST_SECRET:
            text = text.replace(part, "***")
    return text if len(text) <= _MOST_ERROR else f"{text[: _MOST_ERROR - 1]}…"
