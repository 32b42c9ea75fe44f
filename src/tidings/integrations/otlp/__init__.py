"""OTLP traces as JSON: spans become started, and completed or failed, events.

    values        the values of OTLP/JSON, as JSON values
    spans         the spans of an export request, as they were sent
    conventions   what spans and attributes mean: a table, each row with where it comes from
    saying        what the events say, and what of it is left out
    mapping       the events of a span: their types, ids, causes and workflow

It keeps nothing and answers nobody: `server/routes/otlp.py` does, and knows HTTP.
"""

from __future__ import annotations

from tidings.integrations.otlp.mapping import SOURCE, Mapping
from tidings.integrations.otlp.spans import spans_of

__all__ = ["SOURCE", "Mapping", "spans_of"]
