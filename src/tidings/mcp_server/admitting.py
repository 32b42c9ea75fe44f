"""Whether the client of a call may do what it asks for, and what a model is told where it may not.

Keeps promise 6 over MCP. What a model can put right itself, such as the project, it is told; what
it cannot, such as what its key is for, it is told to leave to the user.
"""

from __future__ import annotations

from mcp.server.mcpserver.exceptions import ToolError

from tidings.errors import TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mcp.server.mcpserver import Context

    from tidings.mcp_server.access import Access
    from tidings.mcp_server.making import Ground

__all__ = ["admitted", "ensure_project"]


def admitted(ground: Ground, context: Context[Any, Any], scope: str) -> Access:
    """What the client of a call may do.

    Args:
        ground: the door it came in by.
        context: of the call.
        scope: what it must be allowed: `emit` or `read`.

    Raises:
        ToolError, TidingsError: it is not.
    """
    access = ground.access(context)
    try:
        access.require(scope)
    except TidingsError as error:
        raise ToolError(
            f"{error}. Nothing was done; this is for the user to settle, not to be tried again."
        ) from error
    return access


def ensure_project(access: Access, project: str) -> None:
    """Refuse an event for a project that the client may not emit for.

    Raises:
        ToolError, TidingsError: it may not.
    """
    if access.projects is not None and project not in access.projects:
        own = " or ".join(map(repr, sorted(access.projects))) or "none"
        raise ToolError(
            f"Your key is only for {own}, and this event is for project {project!r}. Nothing was "
            f"kept; call again with project={own}."
        )
    access.require_project(project)
