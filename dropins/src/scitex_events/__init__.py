"""scitex-events by its own name: its verbs, its files, and Tidings behind them.

Every emit writes `~/.scitex/events/{type}_latest.json`, appends to `history.jsonl` there, and is
kept in the Tidings store (`TIDINGS_URL`). Where `SCITEX_API_KEY` is set it is forwarded as well.
Names, signatures, defaults and results are those of scitex-events; what they do is
`tidings.integrations.scitex_events`.

>>> from scitex_events import emit, latest
>>> event = emit("test_complete", project="figrecipe", payload={"exit_code": 0})
>>> latest("test_complete") == event.to_dict()
True
"""

from __future__ import annotations

from scitex_events._event import Event
from scitex_events._verbs import emit, get_type_info, history, latest, list_types

__version__ = "0.1.7"
"""The release of scitex-events whose names, defaults and results these are."""

__all__ = [
    "Event",
    "__version__",
    "emit",
    "get_type_info",
    "history",
    "latest",
    "list_types",
]
