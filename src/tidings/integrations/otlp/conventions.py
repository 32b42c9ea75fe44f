"""What spans and their attributes mean: a table, each row with the convention it comes from.

The conventions for generative AI are still in development and rename what they have; older names
stay here, because instrumentations go on sending them. A row is added, never changed: what was
mapped once must be mapped so again when it is sent again. Only data and look-ups.

Sources: OpenTelemetry semantic conventions 1.26 to 1.41 and then open-telemetry/
semantic-conventions-genai (`gen_ai`); OpenInference (`openinference`); OpenLLMetry (`traceloop`);
the traces of Claude Code 2 (`claude_code`); general conventions (`otel`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = [
    "CONTENT",
    "MEANINGS",
    "NAMES",
    "Meaning",
    "Name",
    "content_of",
    "kind_of",
    "names_of",
]


class Meaning(NamedTuple):
    """A value that says what a span stands for.

    Attributes:
        attribute: the attribute that has it.
        value: the value, in lower case.
        kind: `agent`, `tool`, `model`, `workflow` or `span`.
        convention: where the row comes from.
        since: the version of that convention which brought it; empty where it has no versions.
    """

    attribute: str
    value: str
    kind: str
    convention: str
    since: str


class Name(NamedTuple):
    """An attribute that is told under a name of ours.

    Attributes:
        key: our name, in the payload.
        attribute: the attribute.
        convention: where the row comes from.
        since: the version of that convention which brought it; empty where it has no versions.
    """

    key: str
    attribute: str
    convention: str
    since: str


class Content(NamedTuple):
    """An attribute that holds what people, models or tools say.

    Attributes:
        level: what must be asked for to keep it: `prompts` or `all`.
        key: our name for it, in the payload.
        attribute: the attribute.
        convention: where the row comes from.
        since: the version of that convention which brought it; empty where it has no versions.
    """

    level: str
    key: str
    attribute: str
    convention: str
    since: str


MEANINGS = (
    Meaning("gen_ai.operation.name", "chat", "model", "gen_ai", "1.28.0"),
    Meaning("gen_ai.operation.name", "text_completion", "model", "gen_ai", "1.28.0"),
    Meaning("gen_ai.operation.name", "embeddings", "model", "gen_ai", "1.29.0"),
    Meaning("gen_ai.operation.name", "generate_content", "model", "gen_ai", "1.33.0"),
    Meaning("gen_ai.operation.name", "invoke_agent", "agent", "gen_ai", "1.33.0"),
    Meaning("gen_ai.operation.name", "execute_tool", "tool", "gen_ai", "1.31.0"),
    Meaning("gen_ai.operation.name", "invoke_workflow", "workflow", "gen_ai", "1.41.0"),
    # It makes an agent, which does not run yet.
    Meaning("gen_ai.operation.name", "create_agent", "span", "gen_ai", "1.31.0"),
    Meaning("gen_ai.operation.name", "retrieval", "span", "gen_ai", "1.40.0"),
    Meaning("gen_ai.operation.name", "plan", "span", "gen_ai", "genai-2026"),
    Meaning("openinference.span.kind", "agent", "agent", "openinference", ""),
    Meaning("openinference.span.kind", "tool", "tool", "openinference", ""),
    Meaning("openinference.span.kind", "llm", "model", "openinference", ""),
    Meaning("openinference.span.kind", "embedding", "model", "openinference", ""),
    Meaning("traceloop.span.kind", "agent", "agent", "traceloop", ""),
    Meaning("traceloop.span.kind", "tool", "tool", "traceloop", ""),
    Meaning("traceloop.span.kind", "workflow", "workflow", "traceloop", ""),
    Meaning("traceloop.span.kind", "task", "span", "traceloop", ""),
    Meaning("span.type", "llm_request", "model", "claude_code", ""),
    Meaning("span.type", "tool", "tool", "claude_code", ""),
    Meaning("span.type", "interaction", "span", "claude_code", ""),
)
"""The first row that a span has decides."""

NAMES = (
    Name("operation", "gen_ai.operation.name", "gen_ai", "1.28.0"),
    Name("agent_name", "gen_ai.agent.name", "gen_ai", "1.31.0"),
    Name("agent_name", "agent.name", "openinference", ""),
    Name("agent_id", "gen_ai.agent.id", "gen_ai", "1.31.0"),
    Name("tool_name", "gen_ai.tool.name", "gen_ai", "1.31.0"),
    Name("tool_name", "tool.name", "openinference", ""),
    Name("tool_name", "tool_name", "claude_code", ""),
    Name("tool_call_id", "gen_ai.tool.call.id", "gen_ai", "1.31.0"),
    Name("tool_call_id", "tool_call.id", "openinference", ""),
    Name("tool_call_id", "tool_use_id", "claude_code", ""),
    Name("workflow_name", "gen_ai.workflow.name", "gen_ai", "1.41.0"),
    Name("workflow_name", "traceloop.workflow.name", "traceloop", ""),
    Name("provider", "gen_ai.provider.name", "gen_ai", "1.37.0"),
    Name("provider", "gen_ai.system", "gen_ai", "1.26.0"),
    Name("provider", "llm.provider", "openinference", ""),
    Name("model", "gen_ai.response.model", "gen_ai", "1.26.0"),
    Name("model", "gen_ai.request.model", "gen_ai", "1.26.0"),
    Name("model", "llm.model_name", "openinference", ""),
    Name("input_tokens", "gen_ai.usage.input_tokens", "gen_ai", "1.28.0"),
    Name("input_tokens", "gen_ai.usage.prompt_tokens", "gen_ai", "1.26.0"),
    Name("input_tokens", "llm.token_count.prompt", "openinference", ""),
    Name("input_tokens", "input_tokens", "claude_code", ""),
    Name("output_tokens", "gen_ai.usage.output_tokens", "gen_ai", "1.28.0"),
    Name("output_tokens", "gen_ai.usage.completion_tokens", "gen_ai", "1.26.0"),
    Name("output_tokens", "llm.token_count.completion", "openinference", ""),
    Name("output_tokens", "output_tokens", "claude_code", ""),
    Name("conversation_id", "gen_ai.conversation.id", "gen_ai", "1.34.0"),
    Name("session_id", "session.id", "otel", "1.26.0"),
    Name("error_type", "error.type", "otel", "1.23.0"),
    Name("exit_code", "process.exit.code", "otel", "1.28.0"),
    Name("status_code", "http.response.status_code", "otel", "1.23.0"),
)
"""Of the rows of one key the first that a span has counts."""

CONTENT = (
    Content("prompts", "prompt", "gen_ai.prompt", "gen_ai", "1.26.0"),
    Content("prompts", "input", "gen_ai.input.messages", "gen_ai", "1.37.0"),
    Content("prompts", "system_instructions", "gen_ai.system_instructions", "gen_ai", "1.37.0"),
    Content("prompts", "prompt", "user_prompt", "claude_code", ""),
    Content("all", "completion", "gen_ai.completion", "gen_ai", "1.26.0"),
    Content("all", "output", "gen_ai.output.messages", "gen_ai", "1.37.0"),
    Content("all", "tool_definitions", "gen_ai.tool.definitions", "gen_ai", "1.38.0"),
    Content("all", "input", "gen_ai.tool.call.arguments", "gen_ai", "1.38.0"),
    Content("all", "output", "gen_ai.tool.call.result", "gen_ai", "1.38.0"),
    Content("all", "query", "gen_ai.retrieval.query.text", "gen_ai", "1.40.0"),
    Content("all", "documents", "gen_ai.retrieval.documents", "gen_ai", "1.40.0"),
    Content("all", "input", "input.value", "openinference", ""),
    Content("all", "output", "output.value", "openinference", ""),
    Content("all", "input", "traceloop.entity.input", "traceloop", ""),
    Content("all", "output", "traceloop.entity.output", "traceloop", ""),
)
"""Where the conventions put what people, models and tools say."""

_CONTENT_WORDS = frozenset(
    (
        *("answer", "arg", "argument", "body", "choice", "command", "completion", "content"),
        *("definition", "document", "input", "instruction", "message", "output", "parameter"),
        *("payload", "prompt", "query", "question", "reply", "result", "statement", "stderr"),
        *("stdin", "stdout", "text", "thinking", "transcript"),
    )
)
"""An attribute is content, too, where one of its words is here: frameworks invent their names."""

_LABEL_WORDS = frozenset(
    ("count", "format", "id", "ids", "index", "length", "name", "role", "size", "type", "version")
)
"""… unless it ends in one of these, and so tells about content only."""

_PLAIN = frozenset(
    (
        "exception.message",
        *(row.attribute for row in MEANINGS),
        *(row.attribute for row in NAMES),
    )
)
"""What is no content, whatever its words."""

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

_BY_SIGN = {(row.attribute, row.value): row.kind for row in reversed(MEANINGS)}
_SIGNS = tuple(dict.fromkeys(row.attribute for row in MEANINGS))
_LEVELS = {row.attribute: row.level for row in CONTENT}


def kind_of(attributes: Mapping[str, Any]) -> str:
    """What a span stands for: `agent`, `tool`, `model`, `workflow`, or just `span`.

    >>> kind_of({"gen_ai.operation.name": "invoke_agent"}), kind_of({"http.route": "/"})
    ('agent', 'span')
    """
    for attribute in _SIGNS:
        value = attributes.get(attribute)
        if isinstance(value, str):
            kind = _BY_SIGN.get((attribute, value.lower()))
            if kind is not None:
                return kind
    return "span"


def names_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What the attributes say that has a name of ours, by that name.

    >>> names_of({"gen_ai.system": "anthropic", "gen_ai.usage.input_tokens": 12})
    {'provider': 'anthropic', 'input_tokens': 12}
    """
    found: dict[str, Any] = {}
    for row in NAMES:
        value = attributes.get(row.attribute)
        if isinstance(value, str | int | float) and value != "":
            found.setdefault(row.key, value)
    return found


def content_of(attribute: str, value: object) -> str:
    """Whether an attribute holds what people, models or tools say.

    Returns:
        What must be asked for to keep it, `prompts` or `all`; empty where it is no content, as
        numbers and truth values never are.

    >>> content_of("gen_ai.input.messages", "[…]"), content_of("gen_ai.usage.input_tokens", 12)
    ('prompts', '')
    >>> content_of("acme.lastReply", "Hi"), content_of("gen_ai.response.id", "r-1")
    ('all', '')
    """
    if value is None or isinstance(value, bool | int | float) or attribute in _PLAIN:
        return ""
    level = _LEVELS.get(attribute)
    return _level_by_words(attribute) if level is None else level


def _level_by_words(attribute: str) -> str:
    words = [word.lower() for word in _WORD.findall(attribute)]
    if not words or words[-1] in _LABEL_WORDS:
        return ""
    singular = (word.removesuffix("s") for word in words)
    return "" if _CONTENT_WORDS.isdisjoint(singular) else "all"
