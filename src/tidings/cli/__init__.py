"""The shell's way in: `tidings COMMAND …`.

`main` finds the command, reads its arguments, runs it and turns what went wrong into a line on the
standard error and an exit code (`exit_codes`). Commands are thin: they print what a bus returns.
Only the module of the command asked for is imported, so that a shell emit stays quick.
"""

from __future__ import annotations

import gc
import os
import sys

from tidings.cli.command import Command, Option, WrongUsage, nearest, parse
from tidings.cli.exit_codes import BUG, DONE, FILE, INTERRUPTED, USAGE, code_of
from tidings.cli.show import let_go_of_output, say
from tidings.errors import TidingsError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

MODULES = {
    "emit": "emit",
    "run": "run",
    "latest": "reading",
    "history": "reading",
    "types": "reading",
    "tail": "following",
    "wait": "following",
    "export": "moving",
    "import": "moving",
    "migrate": "migrate",
    "collect": "upkeep",
    "backup": "upkeep",
    "prune": "removing",
    "redact": "removing",
    "subscriptions": "subscriptions",
    "dead-letters": "dead_letters",
    "webhooks": "webhooks",
    "notify": "notify",
    "watch": "watch",
    "keys": "keys",
    "check": "upkeep",
    "serve": "serve",
    "mcp": "mcp",
    "hooks": "hooks",
    "ingest": "ingest",
    "worker": "worker",
    "demo": "demo",
    "doctor": "doctor",
    "completions": "completions",
    "help": "help",
}
"""The commands in the order the help shows them, and the module that holds each."""

_TOP = Command(
    "",
    "",
    ("[COMMAND]", "[ARGUMENT]..."),
    (Option(("--version",), "", "the version of Tidings"),),
    lambda _: DONE,
    ends_options=True,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: its name and arguments; left out, those of this process, which ends with it.

    Returns:
        The exit code; `tidings help exit-codes` lists them.

    >>> main(["emit", "job_done", "--url", "memory:", "--quiet"])
    0
    """
    if argv is None and sys.argv[1:2] in (["emit"], ["ingest"]):
        # It is over before there is garbage to collect; to look for some costs it a millisecond.
        gc.disable()
    code = _carried_out(list(sys.argv[1:] if argv is None else argv))
    if argv is None and "tidings.cli.worker" not in sys.modules:
        _finish_forwards()
        # All is flushed and closed. Taking the interpreter down would cost a shell emit as much
        # as starting it did. Only a worker's module may have something to do at the end.
        os._exit(code)
    return code


def _finish_forwards() -> None:
    """Wait a second at most for what is on its way to a cloud."""
    forward = sys.modules.get("tidings.forward")
    if forward is not None:
        forward.finish()


def _carried_out(arguments: list[str]) -> int:
    """Run a command, and turn what goes wrong with the output into an exit code."""
    try:
        _prepare_output()
        code = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        let_go_of_output()
        return DONE
    except OSError as error:
        let_go_of_output()
        say(f"a file or the output cannot be read or written: {error}")
        return FILE
    except Exception:  # noqa: BLE001 - the last place where an exit code can be chosen
        say("this is a bug in Tidings; please report it")
        sys.excepthook(*sys.exc_info())
        return BUG
    return code


def command_named(name: str) -> Command:
    """The command of this name.

    Raises:
        WrongUsage: there is none.
    """
    if name not in MODULES:
        raise WrongUsage(f"there is no command {name}{nearest(name, MODULES)}; see tidings --help")
    from importlib import import_module

    commands = import_module(f"tidings.cli.{MODULES[name]}").COMMANDS
    found: Command = next(command for command in commands if command.name == name)
    return found


def _run(arguments: list[str]) -> int:
    try:
        before, words = _split(arguments)
    except WrongUsage as error:
        say(f"{error}; see tidings --help")
        return USAGE
    if not words:
        return _without_command(before)
    try:
        command = command_named(words[0])
    except WrongUsage as error:
        say(str(error))
        return USAGE
    try:
        given = parse(command, [*before, *words[1:]])
        if given["help"]:
            from tidings.cli.help import help_of

            print(help_of(command))
            return DONE
        return command.run(given)
    except WrongUsage as error:
        say(f"{command.name}: {error}; see tidings {command.name} --help")
        return USAGE
    except TidingsError as error:
        say(f"{command.name}: {error}")
        return code_of(error)


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before the command's name, and the rest from there on."""
    if arguments and not arguments[0].startswith("-"):
        return [], arguments
    words = parse(_TOP, arguments).words
    return arguments[: len(arguments) - len(words)], words


def _without_command(arguments: list[str]) -> int:
    from tidings.cli.help import overview, version

    given = parse(_TOP, arguments)
    if given["version"]:
        print(version())
        return DONE
    if given["help"]:
        print(overview())
        return DONE
    say("a command is missing; see tidings --help")
    return USAGE


def _prepare_output() -> None:
    """Let no character be a reason to fail: JSON is UTF-8, a terminal shows what it can."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            terminal = stream.isatty()
            stream.reconfigure(encoding=None if terminal else "utf-8", errors="backslashreplace")
