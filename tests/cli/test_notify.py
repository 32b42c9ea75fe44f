"""`tidings notify`: notices made, shown, changed, tried out and deleted from the shell."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.cli.conftest import COMMAND, Shell, Terminal
from tests.delivery.notices.telling import Receiver
from tidings.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Told: TypeAlias = Callable[..., list[dict[str, Any]]]


ADDRESS = "json://ann:s3cret@127.0.0.1:1/s3cret"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who is told."""
    with Receiver() as started:
        yield started


@pytest.fixture
def told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    """Runs `tidings notify` on a store of its own; gives what it prints, decoded."""

    def run(*arguments: str) -> list[dict[str, Any]]:
        assert main(["notify", *arguments, "--url", f"sqlite:///{tmp_path}/events.db"]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_from_add_to_delete(told: Told, receiver: Receiver) -> None:
    """Each action shows what it did and never the address; the test arrives."""
    said = told("add", receiver.url, "--name", "me", "--type", "job_*", "--status", "failure",
                "--not-project", "toy", "--every", "10m")  # fmt: skip
    assert said[0]["filters"] == {
        "types": ["job_*"],
        "status": ["failure"],
        "exclude": {"project": ["toy"]},
    }
    assert (said[0]["every"], said[0]["group"], said[0]["paused"]) == (600, "arrays", False)
    said += told("add", ADDRESS, "--group", "all", "--quiet", "5m")
    assert [said[1][key] for key in ("name", "group", "quiet")] == ["json", "all", 300]
    said += told("list")
    assert [notice["name"] for notice in said[2:]] == ["json", "me"]
    said += told("change", "me", "--every", "0", "--type", "b")
    assert (said[-1]["every"], said[-1]["filters"]) == (0, {"types": ["b"]})
    said += told("pause", "me")
    assert said[-1]["paused"]
    said += told("resume", "me")
    said += told("show", "me")
    assert not said[-1]["paused"]
    assert told("test", "me") == [{"tested": "me"}]
    assert receiver.titles == ["A test of the notice me"]
    assert told("delete", "me") == [{"deleted": "me"}]
    assert [notice["name"] for notice in told("list")] == ["json"]
    assert "s3cret" not in str(said)


def test_on_a_terminal_words_are_shown(shell: Shell, seat: Callable[..., Terminal]) -> None:
    """A line of words for each notice, the address masked."""
    shell.json("notify", "add", ADDRESS, "--type", "job_done", "--every", "1h")
    shown = seat(*COMMAND, "notify", "list").until(b"sent").decode()
    assert "json  json://ann:***@127.0.0.1:1/…  type job_done  every 3600 s at most" in shown


def test_templates_from_text_and_file(
    told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After `@` a file is read; what a template may hold is checked at once."""
    file = tmp_path / "template.txt"
    file.write_text("{payload.exit_code}\n{more}")
    (notice,) = told("add", ADDRESS, "--template", f"@{file}", "--title", "{type}!")
    assert (notice["title"], notice["body"]) == ("{type}!", "{payload.exit_code}\n{more}")
    for wrong, complaint in (("{exit_code}", "{exit_code}"), ("@/nowhere", "cannot be read")):
        assert main(["notify", "add", ADDRESS, "--template", wrong, "--url", "memory:"]) == 2
        assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["notify"], "is missing"),
        (["notify", "ad"], "did you mean add?"),
        (["notify", "add"], "say where to"),
        (["notify", "add", ADDRESS, ADDRESS], "one word at most"),
        (["notify", "add", "s3cret://word"], "none that Apprise can send to"),
        (["notify", "add", "http://word"], "json:// posts to a web server"),
        (["notify", "remove", "me"], "did you mean delete?"),
        (["notify", "add", "s3cret"], "none that Apprise can send to"),
        (["notify", "add", ADDRESS, "--name", "a b"], "a b"),
        (["notify", "add", ADDRESS, "--every", "9y"], "span"),
        (["notify", "add", ADDRESS, "--group", "some"], "arrays, all, none"),
        (["notify", "list", "me"], "list takes no name"),
        (["notify", "list", "--status", "failure"], "for add and change"),
        (["notify", "show"], "say which notice"),
        (["notify", "change", "me"], "say what to change"),
        (["notify", "change", "me", "--name", "you"], "keeps its name"),
        (["notify", "add", ADDRESS, "--url", "http://127.0.0.1:1"], "is a server"),
    ],
)
def test_wrong_usage(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is wrong is said with exit code 2, and without the address."""
    given = arguments if "--url" in arguments else [*arguments, "--url", "memory:"]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert "s3cret@" not in said
    assert "/s3cret" not in said
    assert "://word" not in said


@pytest.mark.parametrize("action", ["show", "pause", "test", "delete"])
def test_a_notice_that_is_not_there(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1, and where to look."""
    assert main(["notify", action, "me", "--url", "memory:"]) == 1
    assert "there is no notice 'me'; `tidings notify list`" in capsys.readouterr().err


def test_a_test_that_does_not_arrive(
    told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and the reason, without the address."""
    told("add", ADDRESS, "--name", "me")
    assert main(["notify", "test", "me", "--url", f"sqlite:///{tmp_path}/events.db"]) == 1
    said = capsys.readouterr().err
    assert "the test was not sent: A Connection error" in said
    assert "s3cret" not in said


def test_without_apprise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line that installs it is said; what needs none of it works."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    assert main(["notify", "add", ADDRESS, "--url", "memory:"]) == 69
    assert "pip install 'tidings[notify]'" in capsys.readouterr().err
    assert main(["notify", "list", "--url", "memory:"]) == 0
