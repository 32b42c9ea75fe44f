"""Who may read and write which ledger records.

Keeps promise 6: the ledger wants the scope `admin`, and the server's own records look as if they
were not there, whoever asks. Whoever may emit may mark what they emit to be forwarded, and take a
mark away; they cannot read them.
"""

from __future__ import annotations

from tidings.errors import shorten
from tidings.server.access import unauthorized
from tidings.server.keys import PRIVATE_PREFIXES
from tidings.server.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tidings.server.access import Caller

__all__ = [
    "ensure_admin",
    "ensure_may_delete",
    "ensure_may_read",
    "ensure_may_write",
    "is_private",
]

_CATALOG = "type/"
_MARKS = "forward/"
"""Marks name no key, and a process sends what they name to its own address only."""


def ensure_may_write(caller: Caller, key: object) -> None:
    """Refuse whoever may not write a record, and everybody the server's own.

    Raises:
        Problem: 401 or 403.
    """
    if isinstance(key, str) and key.startswith(_MARKS):
        caller.require("emit")
        return
    ensure_admin(caller)
    if isinstance(key, str) and is_private(key):
        raise Problem(
            403,
            "private-record",
            f"ledger key {shorten(key)} is the server's own; `tidings keys` and the like, on the "
            f"server's machine, write it",
        )


def ensure_may_read(caller: Caller, start: str) -> None:
    """Refuse whoever may not read the records whose keys start so.

    Raises:
        Problem: 401 or 403.
    """
    if not start.startswith(_CATALOG):
        ensure_admin(caller)
    elif not caller.scopes:
        raise unauthorized("a key is needed here: send it as `Authorization: Bearer tid_…`")


def ensure_may_delete(caller: Caller, key: str) -> None:
    """Refuse whoever may not delete a record; the server's own look as if they were not there.

    Raises:
        Problem: 401 or 403.
    """
    if key.startswith(_MARKS):
        caller.require("emit")
    else:
        ensure_admin(caller)


def ensure_admin(caller: Caller) -> None:
    """Refuse whoever is not an administrator of all projects.

    Raises:
        Problem: 401 or 403.
    """
    caller.require("admin")
    caller.require_all_projects()


def is_private(key: str) -> bool:
    """Whether a record is the server's own: a key, a session, a webhook's secret."""
    return key.startswith(PRIVATE_PREFIXES)
