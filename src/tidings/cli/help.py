"""`tidings help`, `--help` and `--version`: what the commands' tables say, laid out."""

from __future__ import annotations

from tidings.cli import MODULES, command_named
from tidings.cli.command import COMMON, Command, WrongUsage, nearest
from tidings.cli.exit_codes import DONE, EXIT_CODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.cli.command import Given, Option

__all__ = ["COMMANDS", "help_of", "overview", "version"]

_COLUMN = 28
_MORE = """\
tidings COMMAND --help says more about a command; tidings help exit-codes and tidings help settings
say what their names say."""
_TOPICS = ("exit-codes", "settings")


def help_of(command: Command) -> str:
    """What `--help` prints for a command."""
    usage = " ".join(("tidings", command.name, "[OPTION]...", *command.words))
    parts = [f"usage: {usage}", f"{command.summary[0].upper()}{command.summary[1:]}."]
    if command.details:
        parts.append(command.details)
    if command.options:
        parts.append(f"options:\n{_option_lines(command.options)}")
    parts.append(f"options of every command:\n{_option_lines(COMMON)}")
    return "\n\n".join(parts)


def overview() -> str:
    """What `tidings --help` prints."""
    lines = [f"  {name:<{_COLUMN - 2}}{command_named(name).summary}" for name in MODULES]
    return "\n\n".join(
        (
            "usage: tidings COMMAND [OPTION]... [ARGUMENT]...",
            "One event bus, from a shell line to a cluster.",
            "commands:\n" + "\n".join(lines),
            f"options of every command:\n{_option_lines(COMMON)}",
            _MORE,
        )
    )


def version() -> str:
    """The version that is installed, as `--version` prints it."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return f"tidings {installed('tidings')}"
    except PackageNotFoundError:
        return "tidings, run from its sources"


def _help(given: Given) -> int:
    topic = given.word(0)
    if topic is None:
        print(overview())
    elif topic == "exit-codes":
        print("\n".join(f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES))
    elif topic == "settings":
        from tidings import settings

        print((settings.__doc__ or "").partition("\n\n")[2].rpartition("\n\n")[0])
    elif topic in MODULES:
        print(help_of(command_named(topic)))
    else:
        raise WrongUsage(f"there is no help on {topic}{nearest(topic, (*MODULES, *_TOPICS))}")
    return DONE


def _option_lines(options: Iterable[Option]) -> str:
    return "\n".join(map(_option_line, options))


def _option_line(option: Option) -> str:
    names = ", ".join(option.names)
    left = f"  {names} {option.value}".rstrip()
    again = " (may be repeated)" if option.repeat else ""
    gap = " " * (_COLUMN - len(left)) if len(left) < _COLUMN - 1 else "\n" + " " * _COLUMN
    return f"{left}{gap}{option.help}{again}"


COMMANDS = (
    Command(
        "help",
        "say more about a command, the exit codes or the settings",
        ("[COMMAND | exit-codes | settings]",),
        (),
        _help,
    ),
)
