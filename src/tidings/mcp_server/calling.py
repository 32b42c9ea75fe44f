"""How a tool is called: its arguments in two forms, its errors told, its answer short.

Arguments come flat, as the schema shows, or, for the tools of eventuali-mcp-server, all in one
object `request`, as the code of that server takes them. An argument of none counts as left out, for
models like to send those; one that is not known is refused, because a filter that was mistyped must
not give everything. Tools raise what the bus raises; it becomes a tool error here. It knows no
tool.
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from json import loads
from typing import Any

from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import ValidationError

from tidings.errors import TidingsError, shorten
from tidings.fields import encode_json
from tidings.mcp_server.schemas import plain
from tidings.mcp_server.telling import BUG, refused, told, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.mcpserver import Context

__all__ = ["EMITS", "READS", "OurTool", "tool"]

EMITS = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False
)
"""It adds to the store and changes nothing that is there; called twice, it adds twice."""

READS = ToolAnnotations(
    read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
"""It changes nothing."""

_REQUEST = "request"


class OurTool(Tool):
    """A tool whose errors tell a model what to do.

    Attributes:
        takes_request: whether its arguments may also come in one object `request`.
    """

    takes_request: bool = False

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: FBT001, FBT002 - as the SDK has it
    ) -> Any:
        """Call the function behind it.

        Args:
            arguments: as the client sent them.
            context: of the call.
            convert_result: whether to give what goes to the client.

        Raises:
            ToolError: whatever went wrong, in words for a model.
        """
        try:
            result = await super().run(self._flat(arguments), context, convert_result)
        except UnexpectedToolError as error:
            raise self._told(error, context) from error.__cause__
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                raise ToolError(refused(self.name, cause, self._takes())) from cause
            if isinstance(cause, ToolError):
                raise ToolError(f"{self.name}: {cause}") from cause  # without the SDK's preamble
            raise
        if isinstance(result, CallToolResult) and result.structured_content is not None:
            # The SDK's own text is indented, which costs a model a third more to read.
            text = encode_json(result.structured_content)
            result.content = [TextContent(type="text", text=text)]
        return result

    def _told(self, error: UnexpectedToolError, context: Context[Any, Any]) -> ToolError:
        cause = error.__cause__
        if not isinstance(cause, TidingsError):
            return UnexpectedToolError(f"{self.name}: {BUG}")
        emitting = self.annotations is not None and not self.annotations.read_only_hint
        return ToolError(f"{self.name}: {told(cause, emitting=emitting, near=_is_near(context))}")

    def _flat(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name, whichever form they came in."""
        known = self.parameters["properties"]
        given = {name: value for name, value in arguments.items() if value is not None}
        if self.takes_request and _REQUEST in given:
            inner = _object_of(given.pop(_REQUEST))
            if given:
                names = ", ".join(map(shorten, given))
                raise ToolError(
                    f"{self.name} was given request and {names} beside it; give each argument by "
                    f"its own name, without request. Nothing was done."
                )
            # What that server's models do not know they leave out, and so is it here.
            return {k: v for k, v in inner.items() if k in known and v is not None}
        if not known.keys() >= given.keys():
            raise ToolError(unknown(self.name, given.keys() - known.keys(), self._takes()))
        return given

    def _takes(self) -> list[str]:
        needed = self.parameters.get("required", ())
        return [f"{n} (needed)" if n in needed else n for n in self.parameters["properties"]]


def tool(
    function: Callable[..., Any],
    title: str,
    annotations: ToolAnnotations,
    *,
    takes_request: bool = False,
) -> OurTool:
    """The tool that calls a function.

    Args:
        function: a coroutine function; its name, docstring and annotations are what models see.
        title: its name for people.
        annotations: what it does to the store.
        takes_request: see `OurTool`.
    """
    derived = Tool.from_function(
        function,
        title=title,
        description=inspect.getdoc(function),
        annotations=annotations,
        structured_output=True,
    )
    fields = {name: getattr(derived, name) for name in Tool.model_fields}
    made = OurTool(**{**fields, "parameters": plain(derived.parameters)})
    made.takes_request = takes_request
    if not takes_request:
        made.parameters["additionalProperties"] = False
    return made


def _is_near(context: Context[Any, Any]) -> bool:
    """Whether the client is on this machine: over stdio, or in this process itself."""
    try:
        return context.request_context.request is None
    except ValueError:
        return True


def _object_of(request: object) -> dict[str, Any]:
    if isinstance(request, str):
        # Some clients send objects as JSON in a string; the SDK takes those of flat arguments too.
        with suppress(ValueError, RecursionError):
            request = loads(request)
    if not isinstance(request, dict):
        raise ToolError(f"request {shorten(request)} should be an object. Nothing was done.")
    return request
