"""Ways in for what emits without knowing Tidings: hooks, traces, logging, pytest, scitex_events.

    claude_code/    the JSON of Claude Code's hooks becomes session, agent and tool events
    otlp/           OTLP traces as JSON; spans become started and completed events
    discretion      what of prompts and outputs is kept; `secrets_in_text` finds what never is
    log_handler     a `logging.Handler`; `log_records` says what it says
    pytest_plugin/  `test_complete` at the end of a pytest run
    scitex_events   what the drop-in of that name does: store, state files, what was there before

Each turns what it is given into events and hands them to a bus. Keeps promise 4 (a job is never
hurt): where an event cannot be made or kept, whoever emits without knowing does not fail for it.
"""

from __future__ import annotations

__all__: list[str] = []
