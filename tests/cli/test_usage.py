"""What all commands share: arguments, help, exit codes, completions."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.cli import MODULES, command_named, main
from tidings.cli.command import Command, Option, WrongUsage, parse
from tidings.cli.exit_codes import EXIT_CODES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shell

TAIL = Command(
    "tail",
    "show",
    ("[FIRST]", "[SECOND]"),
    (
        Option(("-f", "--follow")),
        Option(("-n", "--lines"), "N", read=int),
        Option(("--type",), "TYPE", repeat=True),
        Option(("--form",), "FORM", choices=("ndjson", "cloudevents")),
    ),
    lambda _: 0,
)


class TestParse:
    """The one reader of arguments."""

    def test_reads_every_way_to_write_an_option(self) -> None:
        """Short, joined, long, assigned and repeated options mean the same."""
        for words in (["-f", "-n", "20"], ["-fn20"], ["--follow", "--lines=20"], ["-n20", "-f"]):
            given = parse(TAIL, words)
            assert (given["follow"], given["lines"], given["type"]) == (True, 20, [])
        given = parse(TAIL, ["--type", "a", "word", "--type=b", "--", "--form"])
        assert given["type"] == ["a", "b"]
        assert given.words == ["word", "--form"]
        assert parse(TAIL, ["-"]).words == ["-"]

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--folow"], "there is no option --folow; did you mean --follow?"),
            (["-fx"], "there is no option -x in -fx"),
            (["-n"], "-n needs a value: -n N"),
            (["-n", "many"], "-n 'many' "),
            (["--lines="], "--lines '' "),
            (["--form", "ndjsn"], "did you mean ndjson?"),
            (["a", "b", "c"], "'c' is one word too many"),
        ],
    )
    def test_says_what_is_wrong(self, words: list[str], said: str) -> None:
        """Each mistake is named, with what may have been meant."""
        with pytest.raises(WrongUsage) as wrong:
            parse(TAIL, words)
        assert said in str(wrong.value)

    def test_leaves_the_rest_to_a_command_that_ends_options(self) -> None:
        """After the first word nothing is ours any more."""
        words = ("COMMAND", "[ARGUMENT]...")
        run = Command("run", "", words, TAIL.options, TAIL.run, ends_options=True)
        assert parse(run, ["-f", "ls", "-f", "--", "x"]).words == ["ls", "-f", "--", "x"]
        assert parse(run, ["--", "-f"]).words == ["-f"]

    @given(
        st.lists(st.sampled_from(["-f", "-n", "--", "-", "--type=", "x", "--json", "-h", "--é"]))
    )
    def test_never_fails_otherwise(self, words: list[str]) -> None:
        """Whatever is typed is read or refused as wrong usage."""
        with suppress(WrongUsage):
            assert isinstance(parse(TAIL, words).words, list)


@pytest.mark.parametrize("name", MODULES)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help names every option and word, and exits with 0 whatever else is given."""
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    command = command_named(name)
    assert f"usage: tidings {name}" in shown
    for option in command.options:
        assert option.help in shown
        assert all(spelling in shown for spelling in option.names)
    assert max(map(len, shown.splitlines())) <= 110
    assert main(["help", name]) == 0
    assert capsys.readouterr().out == shown


def test_help_lists_commands_exit_codes_and_settings(shell: Shell) -> None:
    """The overview names every command, the topics what the code knows."""
    overview = shell("--help").stdout.decode()
    assert all(f"  {name} " in overview for name in MODULES)
    codes = shell("help", "exit-codes").stdout.decode()
    assert all(f"{code:>5}  {meaning}" in codes for code, meaning in EXIT_CODES)
    assert "TIDINGS_DEADLINE" in shell("help", "settings").stdout.decode()
    assert shell("--version").stdout.startswith(b"tidings")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), b"a command is missing"),
        (("emti",), b"there is no command emti; did you mean emit?"),
        (("--verson",), b"there is no option --verson; did you mean --version?"),
        (("help", "emti"), b"there is no help on emti"),
        (("completions", "tcsh"), b"no completions for tcsh"),
    ],
)
def test_refuses_what_it_does_not_know(
    shell: Shell, arguments: tuple[str, ...], said: bytes
) -> None:
    """Unknown commands, options and topics exit with 2."""
    done = shell(*arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr


def test_common_options_may_stand_before_the_command(shell: Shell, tmp_path: Path) -> None:
    """`tidings --url URL emit` is `tidings emit --url URL`."""
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    assert shell("--url", url, "--json", "emit", "x").returncode == 0
    assert shell.json("history", "--url", url)[0]["type"] == "x"
    assert shell.events() == []


class TestCompletions:
    """What the shells complete."""

    def complete(self, script: bytes, *words: str) -> list[str]:
        """What bash offers for the last word."""
        driver = (
            f"{script.decode()}\nCOMP_WORDS=({' '.join(map(repr, words))}); "
            f"COMP_CWORD={len(words) - 1}; _tidings; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        )
        done = subprocess.run(
            ["bash", "--norc", "-c", driver], capture_output=True, check=True, text=True
        )
        return done.stdout.split()

    def test_bash_completes_commands_and_options(self, shell: Shell) -> None:
        """A real bash completes from the script."""
        script = shell("completions", "bash").stdout
        assert self.complete(script, "tidings", "hist") == ["history"]
        assert set(MODULES) <= {*self.complete(script, "tidings", "")}
        assert self.complete(script, "tidings", "emit", "--exp") == ["--expected-version"]
        assert self.complete(script, "tidings", "--json", "tail", "--fol") == ["--follow"]
        assert self.complete(script, "tidings", "export", "") == []

    @pytest.mark.parametrize("name", ["zsh", "fish"])
    def test_other_shells_know_every_option(self, shell: Shell, name: str) -> None:
        """The scripts for zsh and fish name every command and long option."""
        script = shell("completions", name).stdout.decode()
        for command in map(command_named, MODULES):
            assert command.name in script
            for option in command.options:
                assert option.names[-1].removeprefix("--") in script


def test_a_bug_is_told_from_an_answer(shell: Shell) -> None:
    """An error that nobody foresaw exits with 70 and shows where it arose, not with 1."""
    code = (
        "from tidings.bus import Bus; from tidings.cli import main\n"
        "Bus.read = lambda *_, **__: 1 / 0\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "history"],
        env=shell.environment, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 70
    assert b"ZeroDivisionError" in done.stderr


def test_module_and_function_are_the_command(shell: Shell) -> None:
    """`python -m tidings` and `main()` run what `tidings` runs; `main` with arguments returns."""
    code = "from tidings.cli import main; raise SystemExit(main(['emit', 'x', '--quiet']) + 40)"
    done = subprocess.run([sys.executable, "-c", code], env=shell.environment, check=False)
    assert done.returncode == 40
    assert len(shell.events()) == 1
