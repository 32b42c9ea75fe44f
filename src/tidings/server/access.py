"""Who asks, and what they may do: the caller of a request, and what routes demand of one.

Keeps promise 6 (nobody gets in) on every route. How a caller is recognised is `guard`'s work.
"""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request  # noqa: TC002 - FastAPI reads the annotation of `needs`

from tidings.errors import shorten
from tidings.server.keys import SCOPES
from tidings.server.problems import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tidings.server.keys import Key
    from tidings.store.query import Query

__all__ = ["ANYONE", "CALLER", "NOBODY", "Caller", "caller_with", "needs", "unauthorized"]

CALLER = "tidings.caller"
"""Where the ASGI scope of an admitted request holds its caller."""


class Caller(NamedTuple):
    """Who makes a request.

    Attributes:
        name: of the key; empty without one.
        scopes: what they may do: `emit`, `read`, `admin`.
        projects: the only projects they may emit for and see; none for all.
        key_id: of the key; empty without one.
        address: where they are, if they have no key and are not on this machine; else empty.
        session: the id of the session that stands for the key; empty without one.
    """

    name: str
    scopes: frozenset[str]
    projects: frozenset[str] | None
    key_id: str
    address: str = ""
    session: str = ""

    def may(self, scope: str) -> bool:
        """Whether they may do this; with the empty scope, everybody may."""
        return not scope or scope in self.scopes or "admin" in self.scopes

    def require(self, scope: str) -> None:
        """Refuse unless they may do this.

        Raises:
            Problem: 401 without a key, 403 with one that does not allow it.
        """
        if self.may(scope):
            return
        if not self.key_id:
            raise unauthorized("a key is needed here: send it as `Authorization: Bearer tid_…`")
        raise Problem(
            403,
            "scope-missing",
            f"the key {shorten(self.name or self.key_id)} does not allow {scope}; use one made "
            f"with --scope {scope}",
            scope=scope,
        )

    def permits(self, project: str) -> bool:
        """Whether the key is for this project (the empty string: events without one)."""
        return self.projects is None or project in self.projects

    def require_project(self, project: str) -> None:
        """Refuse unless the key is for this project.

        Raises:
            Problem: 403.
        """
        if not self.permits(project):
            raise self._other_project(f"project {shorten(project)}")

    def require_all_projects(self) -> None:
        """Refuse a key that is bound to projects, where an answer cannot be narrowed to them.

        Raises:
            Problem: 403.
        """
        if self.projects is not None:
            raise self._other_project("all projects, as this route is")

    def narrow(self, query: Query) -> Query:
        """The query, limited to the key's projects.

        Raises:
            Problem: 403 where it asks for other projects only.
        """
        if self.projects is None:
            return query
        wanted = self.projects.intersection(query.project) if query.project else self.projects
        if not wanted:
            raise self._other_project(f"project {', '.join(map(shorten, query.project)) or 'any'}")
        return query.replace(project=sorted(wanted))

    def _other_project(self, what: str) -> Problem:
        own = ", ".join(map(shorten, sorted(self.projects or ()))) or "none"
        return Problem(
            403,
            "project-forbidden",
            f"the key {shorten(self.name or self.key_id)} is not for {what}, only for {own}",
            projects=sorted(self.projects or ()),
        )


ANYONE = Caller("", frozenset(SCOPES), None, "")
"""Everybody, where no key is needed."""

NOBODY = Caller("", frozenset(), frozenset(), "")
"""Who gave no key where keys are needed; may have what is open to all, such as `/health`."""


def caller_with(key: Key) -> Caller:
    """Who holds this key."""
    return Caller(key.name, key.scopes, key.projects, key.id)


def needs(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency of FastAPI that gives the caller, or refuses them.

    Args:
        scope: what they must be allowed: `emit`, `read`, `admin`; empty for nothing.
    """

    # A coroutine, though it waits for nothing: FastAPI would run a plain function in a thread.
    async def admitted(request: Request) -> Caller:
        caller: Caller = request.scope[CALLER]
        caller.require(scope)
        return caller

    return admitted


def unauthorized(detail: str) -> Problem:
    """Nobody knows who asks. Source: RFC 9110, section 15.5.2; RFC 6750, section 3."""
    challenge = ("www-authenticate", 'Bearer realm="tidings"')
    return Problem(401, "unauthorized", detail, headers=(challenge,))
