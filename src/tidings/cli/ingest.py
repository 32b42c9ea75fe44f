"""`tidings ingest claude-code`: what a hook of Claude Code is told, from the standard input.

Keeps: *it prints nothing and exits with 0, whatever it is given and whatever has failed*, because
Claude Code shows models what hooks print, and takes some exit codes for orders. What it could not
keep is noted in `hooks.log` in the home of Tidings. It is on the fast path, and waits for a store
a quarter of a second, unless TIDINGS_DEADLINE says how long; then the event is in the spool.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from tidings import settings
from tidings.cli.command import COMMON, Command, Option, WrongUsage, parse
from tidings.cli.exit_codes import DONE
from tidings.cli.patience import Unanswered, in_time
from tidings.errors import InvalidEvent, TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from tidings.cli.command import Given
    from tidings.event import Event

__all__ = ["COMMANDS", "LOG", "OPTIONS"]

LOG = "hooks.log"
"""The file in the home of Tidings that says what could not be kept."""

_LOG_BYTES = 64 * 1024
_MOST = 16 * 1024 * 1024
"""The longest text that is read (bytes); of a longer one nothing is kept."""

_READING = 30.0
"""How long the standard input may take to come (seconds)."""
_WAITING = 0.25
"""The longest that a store is waited for where TIDINGS_DEADLINE does not say (seconds)."""
_SPARE = 0.75
"""What is allowed beyond that to a store or a spool that does not answer at all (seconds)."""

_FORMS = ("claude-code",)

OPTIONS = (
    Option(("--project",), "NAME", "what the events belong to; else the directory's name"),
    Option(
        ("--content",),
        "WHAT",
        "what is kept of texts: off, prompts or all; else TIDINGS_AGENT_CONTENT",
        choices=("off", "prompts", "all"),
    ),
    Option(
        ("--redact",), "REGEX", "cut out of texts what matches, beside known secrets", repeat=True
    ),
)


def _ingest(given: Given) -> int:
    if given.words[0] not in _FORMS:
        raise WrongUsage(f"there is no {given.words[0]}, only {', '.join(_FORMS)}")
    if "--help" in given.words:
        from tidings.cli.help import help_of

        print(help_of(COMMANDS[0]))
        return DONE
    streams = sys.stdout, sys.stderr
    nowhere = _nowhere()
    sys.stdout = sys.stderr = nowhere  # also of warnings, and of what logging has no handler for
    try:
        _take(given)
    except Exception as error:  # noqa: BLE001 - an agent must not end, or be told, because of a hook
        _note(_reason(error))
    finally:
        sys.stdout, sys.stderr = streams
        if nowhere is not None:
            nowhere.close()
    return DONE


def _take(given: Given) -> None:
    """Keep what the standard input says; of many hooks, those that can be kept.

    Raises:
        TidingsError: nothing of it can be kept.
    """
    from tidings.bus import Bus
    from tidings.integrations.claude_code.hook import Hook, hooks_in
    from tidings.integrations.claude_code.taking import take
    from tidings.integrations.discretion import Discretion

    body = in_time(_read, _READING)
    chosen = _chosen(given)
    discretion = Discretion.of_settings(chosen["content"], chosen["redact"])
    project = _project() if chosen["project"] is None else chosen["project"]
    seconds = settings.deadline() if os.environ.get("TIDINGS_DEADLINE") else _WAITING
    bus = Bus(chosen["url"], deadline=seconds)
    for each in hooks_in(body):
        made: list[Event] = []
        try:
            hook = Hook(each)
            in_time(partial(take, bus, hook, discretion, project, made), 2 * seconds + _SPARE)
        except Unanswered as error:
            _wait(made, error)
        except InvalidEvent as error:
            _note(_reason(error))
    in_time(bus.close, _SPARE)


def _chosen(given: Given) -> dict[str, Any]:
    """The options, wherever they stand: behind the form they are read here, not to fail aloud."""
    behind = parse(_BEHIND, given.words[1:])
    options = (*OPTIONS, *COMMON)
    return {each.key: given[each.key] or behind[each.key] for each in options}


def _read() -> bytes:
    if sys.stdin is None:
        raise WrongUsage("the standard input is closed; it must hold what the hook was given")
    body = sys.stdin.buffer.read(_MOST + 1)
    if len(body) <= _MOST:
        return body
    while sys.stdin.buffer.read(_MOST):
        pass  # read to its end, so that whoever writes it does not meet a broken pipe
    raise WrongUsage(f"the hook was given more than {_MOST:,} bytes, of which nothing is kept")


def _project() -> str | None:
    """The name of the directory that Claude Code was started in, which it tells its hooks."""
    return os.path.basename((os.environ.get("CLAUDE_PROJECT_DIR") or "").rstrip("/\\")) or None


def _wait(made: list[Event], why: Unanswered) -> None:
    """Put events into the spool that a store may yet keep: under their ids they are kept once.

    Raises:
        TidingsError: there is nothing to be put there, or it cannot be.
    """
    from tidings.spool import Spool

    if not made:
        raise why
    spool = Spool(settings.spool_directory())
    for event in list(made):
        in_time(partial(spool.put, event), _SPARE)


def _reason(error: Exception) -> str:
    """Why something was not kept, without any of it: a log is read by more people than a store."""
    if isinstance(error, InvalidEvent):
        return f"{error.field} {error.rule}"
    if isinstance(error, TidingsError):
        return str(error)
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = "" if at is None else f" in {at.tb_frame.f_code.co_filename}, line {at.tb_lineno}"
    return f"a bug in Tidings, please report it: {type(error).__name__}{place}"


def _nowhere() -> TextIO | None:
    try:
        return open(os.devnull, "w", encoding="utf-8")
    except OSError:
        return None


def _note(text: str) -> None:
    """Say in the log what was not kept; where even that cannot be said, nobody is told."""
    from tidings.cli.show import printable
    from tidings.timestamps import format_instant, now_instant

    path = os.path.join(settings.home(), LOG)
    line = f"{format_instant(now_instant())} {printable(text)[:500]}\n"
    try:
        os.makedirs(settings.home(), mode=0o700, exist_ok=True)
        if os.path.exists(path) and os.path.getsize(path) > _LOG_BYTES:
            os.replace(path, f"{path}.1")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(line.encode("utf-8", "backslashreplace"))
    except OSError:
        return


_BEHIND = Command("ingest", "", ("[WORD]...",), OPTIONS, lambda _: DONE)
"""Reads what stands behind the form, where nothing may be wrong aloud."""

COMMANDS = (
    Command(
        "ingest",
        "keep what an AI agent's hook is told, from the standard input",
        ("claude-code", "[OPTION]..."),
        OPTIONS,
        _ingest,
        details="""\
  tidings ingest claude-code --content prompts < hook.json

It is what `tidings hooks claude-code install` has Claude Code run. It prints nothing and exits with
0, whatever happens; what could not be kept is noted in ~/.tidings/hooks.log.""",
        ends_options=True,
    ),
)
