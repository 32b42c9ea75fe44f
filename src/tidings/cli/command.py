"""What a command of the shell is, and how its arguments are read.

A command is a table. The same table reads the arguments, prints `--help` and fills the shells'
completions, so none of them can be behind. The reading is done by hand because importing `argparse`
alone takes as long as a whole shell emit (12 ms). Keeps promise 5: wrong usage says what was
wrong, where and what to do, and nothing is done.
"""

from __future__ import annotations

from tidings.errors import TidingsError, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn

__all__ = ["COMMON", "Command", "Given", "Option", "WrongUsage", "nearest", "parse"]


class WrongUsage(TidingsError):  # noqa: N818 - names say what is, as in `tidings.errors`
    """An argument of a command is wrong; nothing was done."""


class Option:
    """One option of a command.

    Args:
        names: its spellings, the last one long: `("-n", "--limit")`.
        value: what its value is called in the help; empty for a switch.
        help: what it does, as a phrase.
        read: turns the text given into a value; raises `ValueError` or a `TidingsError`.
        repeat: whether it may be given more than once; its values are then a list.
        choices: the values it may have; empty for any.
    """

    # A NamedTuple would cost every shell emit a millisecond to define.
    __slots__ = ("choices", "help", "names", "read", "repeat", "value")

    def __init__(
        self,
        names: tuple[str, ...],
        value: str = "",
        help: str = "",
        *,
        read: Callable[[str], Any] = str,
        repeat: bool = False,
        choices: tuple[str, ...] = (),
    ) -> None:
        self.names = names
        self.value = value
        self.help = help
        self.read = read
        self.repeat = repeat
        self.choices = choices

    @property
    def key(self) -> str:
        """The name under which its value is found: `limit` for `--limit`."""
        return self.names[-1].lstrip("-").replace("-", "_")

    @property
    def absent(self) -> Any:
        """Its value where it is not given."""
        if self.repeat:
            return []
        return None if self.value else False


class Command:
    """One command of the shell.

    Args:
        name: as it is typed.
        summary: what it does, in one line.
        words: its arguments beside the options, as the help shows them: `TYPE`, `[PATH]`, `[N]...`.
        options: what it knows beside `COMMON`.
        run: does it, and returns the exit code.
        details: what else its help says.
        ends_options: whether the first word ends the options, as the rest is another command's.
    """

    __slots__ = ("details", "ends_options", "name", "options", "run", "summary", "words")

    def __init__(
        self,
        name: str,
        summary: str,
        words: tuple[str, ...],
        options: tuple[Option, ...],
        run: Callable[[Given], int],
        *,
        details: str = "",
        ends_options: bool = False,
    ) -> None:
        self.name = name
        self.summary = summary
        self.words = words
        self.options = options
        self.run = run
        self.details = details
        self.ends_options = ends_options


class Given:
    """What was given to a command: `given["project"]`, and the words beside the options."""

    __slots__ = ("_values", "words")

    def __init__(self, options: Iterable[Option]) -> None:
        self.words: list[str] = []
        self._values: dict[str, Any] = {option.key: option.absent for option in options}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def word(self, index: int) -> str | None:
        """One of the words; none where so many were not given."""
        return self.words[index] if index < len(self.words) else None

    def take(self, option: Option, name: str, text: str) -> None:
        """Keep the value of an option.

        Raises:
            WrongUsage: the text is no such value.
        """
        value = _value(option, name, text) if option.value else True
        if option.repeat:
            self._values[option.key].append(value)
        else:
            self._values[option.key] = value


COMMON = (
    Option(("--url",), "URL", "the store; else TIDINGS_URL, else ~/.tidings/events.db"),
    Option(("--json",), "", "one JSON object a line, as where the output is no terminal"),
    Option(("--no-color",), "", "no colour; so does NO_COLOR, and TERM=dumb"),
    Option(("-h", "--help"), "", "what this command does and knows"),
)
"""The options of every command; they may stand before its name too."""


def parse(command: Command, arguments: list[str]) -> Given:
    """Read a command's arguments.

    Args:
        command: whose they are.
        arguments: as the shell gave them, the command's name left out.

    Raises:
        WrongUsage: an option is not known, a value is missing or wrong, or there are too few or too
            many words. With `--help` the words are not counted.

    >>> tail = Command("tail", "", ("[N]",), (Option(("-f", "--follow")),), lambda given: 0)
    >>> given = parse(tail, ["-f", "3", "--url=memory:"])
    >>> given["follow"], given["url"], given.words
    (True, 'memory:', ['3'])
    """
    options = (*command.options, *COMMON)
    named = {name: option for option in options for name in option.names}
    given = Given(options)
    waiting = arguments[::-1]
    while waiting:
        argument = waiting.pop()
        if argument == "--":
            given.words += waiting[::-1]
            break
        if argument == "-" or not argument.startswith("-"):
            given.words.append(argument)
            if command.ends_options:
                given.words += waiting[::-1]
                break
        elif argument.startswith("--"):
            _take_long(named, given, argument, waiting)
        else:
            _take_short(named, given, argument, waiting)
    if not given["help"]:
        _check_words(command, given.words)
    return given


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of an error message that suggests what may have been meant; often empty.

    >>> nearest("--projct", ["--project", "--status"])
    '; did you mean --project?'
    >>> nearest("remove", ["resume", "delete"])
    '; did you mean delete?'
    """
    from difflib import get_close_matches

    known = list(known)
    same = [name for names in _SAME if word in names for name in names if name in known]
    close = same or get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


_SAME = (
    ("delete", "revoke", "discard", "remove", "rm", "del"),
    ("add", "create", "new", "make"),
    ("change", "edit", "update", "set"),
    ("list", "ls"),
    ("show", "get", "info", "status"),
    ("pause", "stop", "disable"),
    ("resume", "start", "enable"),
    ("replay", "retry"),
)
"""What people call the same thing elsewhere; letters alone would lead from `remove` to `resume`."""


def _take_long(named: dict[str, Option], given: Given, argument: str, waiting: list[str]) -> None:
    name, assigned, text = argument.partition("=")
    option = named.get(name) or _unknown(name, named)
    if not assigned and option.value:
        text = _next(option, name, waiting)
    elif assigned and not option.value:
        raise WrongUsage(f"{name} takes no value, but {shorten(text)} was given")
    given.take(option, name, text)


def _take_short(named: dict[str, Option], given: Given, argument: str, waiting: list[str]) -> None:
    # Switches may share a dash, and the last one may have its value attached: -fn20.
    for index, letter in enumerate(argument[1:], start=2):
        name = f"-{letter}"
        option = named.get(name) or _unknown(name, named, argument)
        if option.value:
            given.take(option, name, argument[index:] or _next(option, name, waiting))
            return
        given.take(option, name, "")


def _next(option: Option, name: str, waiting: list[str]) -> str:
    if not waiting:
        raise WrongUsage(f"{name} needs a value: {name} {option.value}")
    if waiting[-1].startswith("--"):
        raise WrongUsage(
            f"{name} needs a value before {waiting[-1]}; {name}=VALUE gives one that starts so"
        )
    return waiting.pop()


def _value(option: Option, name: str, text: str) -> Any:
    if option.choices and text not in option.choices:
        wanted = ", ".join(option.choices)
        raise WrongUsage(
            f"{name} {shorten(text)} must be one of {wanted}{nearest(text, option.choices)}"
        )
    try:
        return option.read(text)
    except (ValueError, TidingsError) as error:
        raise WrongUsage(f"{name} {shorten(text)} {error}") from None


def _unknown(name: str, named: Iterable[str], within: str = "") -> NoReturn:
    place = f" in {within}" if within and within != name else ""
    hint = "" if len(name) == 2 else nearest(name, named)
    raise WrongUsage(f"there is no option {name}{place}{hint}")


def _check_words(command: Command, words: list[str]) -> None:
    needed = [word for word in command.words if not word.startswith("[")]
    if len(words) < len(needed):
        raise WrongUsage(f"{needed[len(words)]} is missing")
    unbounded = any(word.rstrip("]").endswith("...") for word in command.words)
    if len(words) > len(command.words) and not unbounded:
        from tidings.masking import masked

        shown = shorten(masked(words[len(command.words)]))  # of a store, it may hold a password
        raise WrongUsage(f"{shown} is one word too many")
