"""URLs as they may be shown and logged: what is secret in them is masked.

Keeps promise 6 for stores that are opened with a password or token: every message, greeting and
description shows a URL through `masked`. Where in doubt it hides too much.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

__all__ = ["masked"]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_FILES = ("sqlite", "shared", "file")
_NAMED = ("postgresql", "postgres")
_OPTION = re.compile(r"([?&;])([^=&;#]*)=([^&;#]*)")
_SECRET = re.compile(r"pass|secret|token|key|cred|jwt|seed|auth", re.IGNORECASE)
_HIDDEN = "***"


def masked(url: str) -> str:
    """The URL without its password, its token, and the values of options that are secrets.

    >>> masked("postgresql://ann:s3cret@db.example.org/events?sslpassword=s3cret&pool=4")
    'postgresql://ann:***@db.example.org/events?sslpassword=***&pool=4'
    >>> masked("nats://t0ken@one,two/EVENTS")
    'nats://***@one,two/EVENTS'
    """
    found = _URL.fullmatch(url)
    if found is None:
        return url
    scheme, rest = found.groups()
    if scheme.lower() in _FILES:
        return url  # an @ is part of a path there
    return f"{scheme}://{_OPTION.sub(_without_value, _without_password(scheme.lower(), rest))}"


def _without_password(scheme: str, rest: str) -> str:
    """What follows the slashes; up to the last @, as a password not encoded may hold one itself."""
    user, at, place = rest.rpartition("@")
    if not at:
        return rest
    name, colon, _ = user.partition(":")
    if colon:
        return f"{name}:{_HIDDEN}@{place}"
    # Elsewhere than in PostgreSQL a lone user is a token.
    return f"{name if scheme in _NAMED else _HIDDEN}@{place}"


def _without_value(option: re.Match[str]) -> str:
    before, name, _ = option.groups()
    secret = _SECRET.search(unquote(name))
    return f"{before}{name}={_HIDDEN}" if secret else option[0]
