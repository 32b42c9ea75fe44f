"""What a client may do, as tools and resources ask it, and the doors clients come in by.

Keeps promise 6 over MCP. Who asks is decided by the server in front (`tidings.server.access`, whose
`Caller` fits `Access`); this room only asks. Over stdio whoever can start the process can read its
store anyway, so there a client may do everything. A request over HTTP of which nobody has said who
makes it may do nothing, whatever else is wrong.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Protocol

from tidings.errors import NotAllowed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tidings.store.query import Query

__all__ = ["EVERYTHING", "OWN_PROCESS", "SCOPE_KEY", "Access", "Door", "HttpDoor"]

SCOPE_KEY = "tidings.caller"
"""Where the ASGI scope of a request over HTTP holds who asks; as `tidings.server.access.CALLER`."""


class Access(Protocol):
    """What a client may do."""

    @property
    def projects(self) -> frozenset[str] | None:
        """The only projects they may emit for and see; none for all."""

    def require(self, scope: str, /) -> None:
        """Refuse unless they may `emit`, `read` or `admin`.

        Raises:
            TidingsError: they may not.
        """

    def require_project(self, project: str, /) -> None:
        """Refuse unless they may emit for this project.

        Raises:
            TidingsError: they may not.
        """

    def narrow(self, query: Query, /) -> Query:
        """The query, limited to what they may see.

        Raises:
            TidingsError: it asks only for what they may not.
        """


class _Everything:
    """A client that may do everything."""

    projects: frozenset[str] | None = None

    def require(self, _scope: str, /) -> None:
        """Let it."""

    def require_project(self, _project: str, /) -> None:
        """Let it."""

    def narrow(self, query: Query, /) -> Query:
        """The query as it is."""
        return query


EVERYTHING: Access = _Everything()
"""Who started the process."""


class Door(Protocol):
    """Where clients come in: it knows who they are, and how long they may listen."""

    @property
    def keeps_sessions(self) -> bool:
        """Whether a client stays on one connection, on which it can be told of things."""

    def access(self, request: Any, /) -> Access:
        """What the client of a request may do.

        Args:
            request: Starlette's, over HTTP; none over stdio.

        Raises:
            TidingsError: nobody knows who asks.
        """

    def place(self, access: Access, /) -> AbstractContextManager[object]:
        """A listener's place, held while it listens.

        Raises:
            TidingsError: there is none left.
        """

    async def still_admits(self, access: Access, /) -> bool:
        """Whether a client that listens could come in now."""


class _OwnProcess:
    """Stdio: the client is who started the process."""

    keeps_sessions = True

    def access(self, request: Any, /) -> Access:
        """Everything."""
        if request is not None:
            # This server was made for stdio, and somebody shows it over HTTP.
            raise _nobody()
        return EVERYTHING

    def place(self, _access: Access, /) -> AbstractContextManager[object]:
        """As many as it wants."""
        return nullcontext()

    async def still_admits(self, _access: Access, /) -> bool:
        """Always."""
        return True


OWN_PROCESS: Door = _OwnProcess()
"""The door of stdio."""


class HttpDoor:
    """HTTP: whoever stands before the app has said in the ASGI scope who asks."""

    keeps_sessions = False

    def access(self, request: Any, /) -> Access:
        """What stands in the scope of the request."""
        caller: Access | None = None if request is None else request.scope.get(SCOPE_KEY)
        if caller is None:
            raise _nobody()
        return caller

    def place(self, _access: Access, /) -> AbstractContextManager[object]:
        """As many as it wants."""
        return nullcontext()

    async def still_admits(self, _access: Access, /) -> bool:
        """Always."""
        return True


def _nobody() -> NotAllowed:
    return NotAllowed("it is not known who makes this request, so it may do nothing here")
