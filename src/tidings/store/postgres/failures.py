"""The one place where errors of psycopg and PostgreSQL become ours.

Each message names the store and what to do next. The codes are those of
https://www.postgresql.org/docs/current/errcodes-appendix.html.
"""

from __future__ import annotations

import re

import psycopg

from tidings.errors import (
    InvalidQuery,
    NotAllowed,
    NotAStore,
    OutcomeUnknown,
    StoreDamaged,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnavailable,
    TidingsError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = [
    "Translated",
    "comes_back",
    "damaged",
    "not_kept_in_time",
    "passes",
    "translate",
    "unknown",
]

_ADVICE: dict[str, tuple[type[TidingsError], str]] = {
    # disk_full, insufficient_resources
    **dict.fromkeys(
        ("53100", "53000"),
        (StoreFull, "{url}: the server's disk is full ({said}); free space, then try again"),
    ),
    # too_many_connections
    "53300": (
        StoreUnavailable,
        "{url}: {said}; raise max_connections, lower ?pool= in the URLs, or use a pooler",
    ),
    # read_only_sql_transaction
    "25006": (
        StoreReadOnly,
        "{url} takes no writes ({said}); if it is a standby, name all hosts in the URL",
    ),
    # lock_not_available, deadlock_detected
    **dict.fromkeys(
        ("55P03", "40P01"),
        (
            StoreLocked,
            "{url} was locked by others for {deadline:g} s; try again, or raise TIDINGS_DEADLINE",
        ),
    ),
    # query_canceled: by a timeout, or by an administrator
    "57014": (
        StoreUnavailable,
        "{url}: {said}; raise the role's statement_timeout, or ask for less at a time",
    ),
    # idle_in_transaction_session_timeout, transaction_timeout, idle_session_timeout
    **dict.fromkeys(
        ("25P03", "25P04", "57P05"),
        (StoreUnavailable, "{url} ended the session ({said}); raise that timeout of the role"),
    ),
    # invalid_authorization_specification, invalid_password
    **dict.fromkeys(
        ("28000", "28P01"),
        (
            NotAllowed,
            "{url} does not let us in ({said}); check user and password (TIDINGS_URL, ~/.pgpass)",
        ),
    ),
    # insufficient_privilege
    "42501": (
        NotAllowed,
        "{url}: {said}; grant the role that, or CREATE SCHEMA … AUTHORIZATION it as administrator",
    ),
    # invalid_catalog_name
    "3D000": (StoreUnavailable, "{url}: {said}; create it with createdb, or correct TIDINGS_URL"),
    # undefined_table, invalid_schema_name, undefined_column
    **dict.fromkeys(
        ("42P01", "3F000", "42703"),
        (
            NotAStore,
            "{url}: {said}; the store was removed or changed by others while it was open",
        ),
    ),
    # data_corrupted, index_corrupted, character_not_in_repertoire, untranslatable_character
    **dict.fromkeys(
        ("XX001", "XX002", "22021", "22P05"),
        (
            StoreDamaged,
            "{url} is damaged ({said}); run `tidings check`, then restore a backup",
        ),
    ),
}
"""What each SQLSTATE means for us, and what to do about it."""

_OTHERWISE = (StoreUnavailable, "{url}: {said} (SQLSTATE {code})")

_COMES_BACK = ("57P01", "57P02", "57P03", "53300", "25P03", "25P04", "57P05")
"""The server is shutting down, has crashed, is starting, has no connection left, or ended a session
of which it was tired."""


_SAID = {
    re.compile(pattern): code
    for pattern, code in (
        ("password authentication failed|no password supplied", "28P01"),
        ('no pg_hba.conf entry|role ".*" does not exist|not permitted to log in', "28000"),
        ('database ".*" does not exist', "3D000"),
        ("permission denied for database", "42501"),
        ("too many clients|too many connections|connection slots", "53300"),
        ("starting up|shutting down|recovery mode|not accepting connections", "57P03"),
        ("session is read-only|in hot standby", "25006"),
    )
}
"""What a server says when it lets nobody in. libpq passes on the text alone; where it is in another
language, the advice is a general one."""


class Translated:
    """A context in which psycopg's errors leave as ours.

    Args:
        url: the store, without secrets, for the message.
        deadline: how long locks were waited for (seconds), for the message.
    """

    __slots__ = ("deadline", "url")

    def __init__(self, url: str, deadline: float) -> None:
        self.url = url
        self.deadline = deadline

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, psycopg.Error):
            raise translate(error, self.url, self.deadline) from error
        if isinstance(error, UnicodeEncodeError | OverflowError):
            # What is written was checked before; only what is looked for can be unsayable.
            raise InvalidQuery(f"no event can have what was asked for: {error}") from None


def comes_back(error: psycopg.Error) -> bool:
    """Whether the server, or another one in its place, may soon serve who tries again."""
    code = _code_of(error)
    if code is None:
        # No connection, or one that broke: nothing was said about why.
        return isinstance(error, psycopg.OperationalError)
    no_primary_yet = code == "25006" and error.sqlstate is None
    return code in _COMES_BACK or no_primary_yet


def passes(error: StoreUnavailable) -> bool:
    """Whether one of our errors is of the kind that passes; see `comes_back`."""
    return isinstance(error.__cause__, psycopg.Error) and comes_back(error.__cause__)


def damaged(url: str, how: str) -> StoreDamaged:
    """The error for contents that contradict themselves."""
    return StoreDamaged(f"{url} is damaged ({how}); run `tidings check`, then restore a backup")


def unknown(url: str, error: Exception) -> OutcomeUnknown:
    """The error for a commit of which nobody could say in time whether it was done."""
    return OutcomeUnknown(
        f"{url} broke off in the middle of a commit, and whether it was done could not be found "
        f"out in time ({_said(error)}); the same events (same ids) may be sent again"
    )


def not_kept_in_time(url: str, deadline: float, what: str) -> StoreLocked:
    """The error for something of this process that others used for the whole of the deadline."""
    return StoreLocked(f"{url}: {what} for {deadline:g} s; try again, or raise TIDINGS_DEADLINE")


def translate(error: psycopg.Error, url: str, deadline: float) -> TidingsError:
    """Our error for one of psycopg's."""
    code, said = _code_of(error), _said(error)
    if code is not None:
        kind, advice = _ADVICE.get(code, _OTHERWISE)
        return kind(advice.format(url=url, said=said, deadline=deadline, code=code))
    # What PostgreSQL did not send is of the network, or of psycopg itself.
    if isinstance(error, psycopg.DataError):
        return InvalidQuery(f"no event can have what was asked for: {said}")
    if isinstance(error, psycopg.OperationalError):
        return StoreUnavailable(f"{url} cannot be reached: {said}; is the server running?")
    return StoreUnavailable(f"{url}: {said}")


def _code_of(error: psycopg.Error) -> str | None:
    """The SQLSTATE, also of a server that refused to connect us."""
    if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
        text = str(error)
        return next((code for pattern, code in _SAID.items() if pattern.search(text)), None)
    return error.sqlstate


def _said(error: Exception) -> str:
    """What an error says, in one line; PostgreSQL says further lines in detail for its log."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return error.diag.message_primary
    return "; ".join(filter(None, map(str.strip, str(error).splitlines()))) or type(error).__name__
