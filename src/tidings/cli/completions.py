"""`tidings completions`: what the shells need to complete commands and options.

The scripts are made from the commands' own tables, so they know what the commands know.
"""

from __future__ import annotations

from tidings.cli import MODULES, command_named
from tidings.cli.command import COMMON, Command, Option, WrongUsage, nearest
from tidings.cli.exit_codes import DONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.cli.command import Given

__all__ = ["COMMANDS"]

_BASH = """\
_tidings() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} command= each
    for each in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case $each in -*) ;; *) command=$each; break ;; esac
    done
    if [[ -n $command && $word != -* ]]; then
        COMPREPLY=()
        return
    fi
    local words
    case $command in
{cases}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _tidings tidings
"""

_ZSH = """\
#compdef tidings
_tidings() {{
    local -a commands
    commands=(
{commands}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    shift words
    (( CURRENT-- ))
    case $words[1] in
{cases}
    esac
}}
compdef _tidings tidings
"""


def _completions(given: Given) -> int:
    name = given.words[0]
    if name not in _SCRIPTS:
        known = ", ".join(_SCRIPTS)
        raise WrongUsage(f"no completions for {name}, only for {known}{nearest(name, _SCRIPTS)}")
    print(_SCRIPTS[name](), end="")
    return DONE


def _commands() -> list[Command]:
    return list(map(command_named, MODULES))


def _bash() -> str:
    names = " ".join((*MODULES, *_names(COMMON), "--version"))
    cases = [f'        "") words="{names}" ;;']
    for command in _commands():
        known = " ".join(_names((*command.options, *COMMON)))
        cases.append(f'        {command.name}) words="{known}" ;;')
    return _BASH.format(cases="\n".join(cases))


def _zsh() -> str:
    commands = [f"        {_quoted(f'{each.name}:{each.summary}')}" for each in _commands()]
    cases = []
    for command in _commands():
        options = (*command.options, *COMMON)
        specs = [spec for option in options for spec in _zsh_specs(option)]
        arguments = " \\\n            ".join(("_arguments", *specs, "'*:file:_files'"))
        cases.append(f"        {command.name}) {arguments} ;;")
    return _ZSH.format(commands="\n".join(commands), cases="\n".join(cases))


def _zsh_specs(option: Option) -> list[str]:
    help_text = option.help.replace("[", "(").replace("]", ")").replace(":", ",")
    value = f":{option.value.lower()}:" if option.value else ""
    again = "*" if option.repeat else ""
    return [_quoted(f"{again}{name}[{help_text}]{value}") for name in option.names]


def _fish() -> str:
    lines = ["complete -c tidings -e"]
    first = "__fish_use_subcommand"
    for command in _commands():
        lines.append(_fish_line(first, f"-f -a {command.name}", command.summary))
        within = f"__fish_seen_subcommand_from {command.name}"
        lines += [_fish_option(within, option) for option in (*command.options, *COMMON)]
    lines.append(_fish_line(first, "-l version", "the version of Tidings"))
    return "\n".join(lines) + "\n"


def _fish_option(condition: str, option: Option) -> str:
    flags = [
        f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
    ]
    value = " -r" if option.value else ""
    return _fish_line(condition, f"{' '.join(flags)}{value}", option.help)


def _fish_line(condition: str, what: str, help_text: str) -> str:
    return f"complete -c tidings -n {_fish_quoted(condition)} {what} -d {_fish_quoted(help_text)}"


def _names(options: Iterable[Option]) -> list[str]:
    return [name for option in options for name in option.names]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS = {"bash": _bash, "zsh": _zsh, "fish": _fish}

COMMANDS = (
    Command(
        "completions",
        "print what bash, zsh or fish needs to complete commands and options",
        ("SHELL",),
        (),
        _completions,
        details="""\
  bash:  tidings completions bash > ~/.local/share/bash-completion/completions/tidings
  zsh:   tidings completions zsh  > a file named _tidings in a directory of $fpath
  fish:  tidings completions fish > ~/.config/fish/completions/tidings.fish""",
    ),
)
