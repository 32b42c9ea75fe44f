"""Changes of a `settings.json`: ours go in and out, and everything else stays as it is."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integrations.claude_code.conftest import Hooks
from tidings.errors import InvalidSetting
from tidings.integrations.claude_code.entries import (
    EVENTS,
    command_entry,
    http_entry,
    install,
    ours_in,
    uninstall,
)
from tidings.integrations.claude_code.settings_file import Text

PATH = "settings.json"


def entry(event: str) -> dict[str, Any]:
    """The entry of a hook."""
    return command_entry("'/opt/my tools/tidings'", ["--content=all"], event)


def put_in(text: str, *events: str) -> str:
    """The text with our hooks."""
    settings = Text(text, PATH)
    install(settings, entry, events or EVENTS)
    return settings.text


def taken_out(text: str) -> str:
    """The text without our hooks."""
    settings = Text(text, PATH)
    uninstall(settings)
    return settings.text


OTHERS = st.fixed_dictionaries(
    {"type": st.just("command"), "command": st.sampled_from(["ls", "tidings emit x", "ingest"])},
    optional={"timeout": st.integers(1, 9), "async": st.booleans()},
)
GROUPS = st.lists(
    st.fixed_dictionaries(
        {"hooks": st.lists(OTHERS, max_size=2)}, optional={"matcher": st.text(max_size=3)}
    ),
    min_size=1,
    max_size=3,
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
SETTINGS = st.builds(
    lambda rest, hooks: {**rest, **({"hooks": hooks} if hooks else {})},
    st.dictionaries(st.text().filter(lambda name: name != "hooks"), VALUES, max_size=4),
    st.dictionaries(st.sampled_from(["Stop", "PreToolUse", "FileChanged"]), GROUPS, max_size=3),
)
WRITTEN = st.sampled_from(
    [{"indent": 2}, {"indent": 4}, {"indent": "\t"}, {"indent": 0}, {}, {"separators": (",", ":")}]
)


@given(SETTINGS, WRITTEN, st.booleans(), st.sampled_from(["\n", "\r\n", ""]), st.booleans())
def test_in_and_out_again_leaves_every_character(
    value: dict[str, Any], written: dict[str, Any], ascii: bool, end: str, marked: bool
) -> None:
    """However the file is written; in between it says what it said, and our hooks."""
    text = json.dumps(value, ensure_ascii=ascii, **written) + end
    if end == "\r\n":
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    text = ("\ufeff" if marked else "") + text
    between = put_in(text)
    assert taken_out(between) == text
    assert put_in(between) == between
    found = json.loads(between.removeprefix("\ufeff"))
    assert set(ours_in(found)) == set(EVENTS)
    for event, groups in value.get("hooks", {}).items():
        assert found["hooks"][event][: len(groups)] == groups
    assert {**found, "hooks": None} == {**value, "hooks": None}


def test_other_options_take_the_place_of_the_old_ones() -> None:
    """Installed again, with other events and other options, each hook is there once."""
    before = put_in('{\n  "model": "opus"\n}\n')
    settings = Text(before, PATH)
    install(settings, lambda event: command_entry("tidings", [], event), ["Stop", "SessionEnd"])
    assert json.loads(settings.text)["hooks"] == {
        "SessionEnd": [command_entry("tidings", [], "SessionEnd")],
        "Stop": [command_entry("tidings", [], "Stop")],
    }


def test_only_ours_are_taken_out() -> None:
    """Also where somebody put a hook of their own beside ours, or after it, or ours twice."""
    mine = {"type": "command", "command": "mine.sh"}
    ours = entry("Stop")["hooks"][0]
    away = http_entry("http://127.0.0.1:8765/", "content=off", with_key=True)
    value = {"hooks": {"Stop": [{"matcher": "", "hooks": [mine, ours]}, entry("Stop"), away],
                       "PreToolUse": [entry("PreToolUse"), {"hooks": [mine]}]}}  # fmt: skip
    left = json.loads(taken_out(json.dumps(value)))
    assert left == {"hooks": {"Stop": [{"matcher": "", "hooks": [mine]}],
                              "PreToolUse": [{"hooks": [mine]}]}}  # fmt: skip


def test_all_but_the_last_are_asynchronous() -> None:
    """Claude Code waits for none of them but for that of the session's end, which it would end."""
    for event in EVENTS:
        (handler,) = entry(event)["hooks"]
        assert handler.get("async", False) is (event != "SessionEnd")


@pytest.mark.parametrize(
    "text",
    [
        "", "nonsense", "[]", '{"a": 1,}', '{"hooks": []}', '{"hooks": {"Stop": {}}}',
        '{"hooks": {}, "hooks": {}}', '{"hooks": {"Stop": [], "Stop": []}}', "// {}", "[" * 100_000,
    ],
)  # fmt: skip
def test_what_cannot_be_changed_is_refused(text: str) -> None:
    """The error says which file, and that nothing was changed."""
    with pytest.raises(InvalidSetting, match=r"settings\.json.*nothing was changed"):
        put_in(text)


# The command --------------------------------------------------------------------------------------


def settings_of(hooks: Hooks) -> Path:
    """The user's settings."""
    return Path(hooks.environment["HOME"]) / ".claude" / "settings.json"


def test_install_show_uninstall(hooks: Hooks) -> None:
    """What is installed is what Claude Code needs to run; it runs, and its failures are shown."""
    assert hooks.run("hooks", "claude-code", "show").returncode == 1
    done = json.loads(hooks.run("hooks", "claude-code", "install").stdout)
    assert done == {"path": str(settings_of(hooks)), "changed": True, "hooks": list(EVENTS)}
    again = json.loads(hooks.run("hooks", "claude-code", "install").stdout)
    assert again["changed"] is False
    written = json.loads(settings_of(hooks).read_text())
    (group,) = written["hooks"]["Stop"]
    (handler,) = group["hooks"]
    ran = hooks.run_shell(handler["command"], b"garbage")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    shown = json.loads(hooks.run("hooks", "claude-code", "show").stdout)
    assert shown["hooks"].keys() == set(EVENTS)
    assert "must be JSON" in shown["failures"][0]
    ran = hooks.run_shell(handler["command"], b'{"hook_event_name": "Stop", "session_id": "s"}')
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
    with hooks.bus as bus:
        assert [event.type for event in bus.read()] == ["agent.completed"]
    assert json.loads(hooks.run("hooks", "claude-code", "uninstall").stdout)["changed"] is True
    assert settings_of(hooks).read_text() == "{}\n"
    assert json.loads(hooks.run("hooks", "claude-code", "uninstall").stdout)["changed"] is False


def test_a_link_stays_a_link_and_rights_stay(hooks: Hooks, tmp_path: Path) -> None:
    """Settings often lie in a repository, and may be for their owner only."""
    real = tmp_path / "dotfiles.json"
    real.write_text('{"model":"opus"}')
    real.chmod(0o640)
    path = settings_of(hooks)
    path.parent.mkdir()
    path.symlink_to(real)
    assert hooks.run("hooks", "claude-code", "install").returncode == 0
    assert path.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert json.loads(real.read_text())["model"] == "opus"
    assert os.listdir(tmp_path) != []
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_projects_have_settings_too(hooks: Hooks) -> None:
    """A project's are shared, so they name no path of this machine."""
    for option, name in (
        ("--project-settings", "settings.json"),
        ("--local", "settings.local.json"),
    ):
        where = ("hooks", "claude-code", "install", option, "--event", "Stop", "--project", "fig")
        assert hooks.run(*where).returncode == 0
        found = json.loads((Path(hooks.environment["HOME"]) / ".claude" / name).read_text())
        (group,) = found["hooks"].pop("Stop")
        assert found == {"hooks": {}}
        command = group["hooks"][0]["command"]
        assert command.endswith("ingest claude-code --project=fig || true")
        assert command.startswith("tidings ") is (option == "--project-settings")


def test_hooks_of_a_server(hooks: Hooks) -> None:
    """They are sent to its route; the start of a session, which only a command can be told, too."""
    options = ("--http", "http://127.0.0.1:8765/", "--with-key", "--content", "prompts")
    assert hooks.run("hooks", "claude-code", "install", *options).returncode == 0
    found = json.loads(settings_of(hooks).read_text())["hooks"]
    assert found["Stop"] == [{"hooks": [{
        "type": "http", "url": "http://127.0.0.1:8765/ingest/claude-code?content=prompts",
        "timeout": 5, "headers": {"Authorization": "Bearer $TIDINGS_KEY"},
        "allowedEnvVars": ["TIDINGS_KEY"],
    }]}]  # fmt: skip
    (start,) = found["SessionStart"][0]["hooks"]
    assert "--url http://127.0.0.1:8765/ --content=prompts || true" in start["command"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("codex", "install"), "there is no codex"),
        (("claude-code", "instal"), "did you mean install?"),
        (("claude-code", "install", "--event", "WorktreeCreate"), "makes or removes the worktree"),
        (("claude-code", "install", "--event", "x y"), "must be the name of a hook"),
        (("claude-code", "install", "--redact", "("), "no regular expression"),
        (("claude-code", "install", "--http", "ftp://x"), "must be the URL of a server"),
        (("claude-code", "install", "--local", "--project-settings"), "give one of them"),
        (("claude-code", "uninstall", "--event", "Stop"), "--event is not for uninstall"),
    ],
)
def test_wrong_usage_changes_nothing(hooks: Hooks, arguments: tuple[str, ...], said: str) -> None:
    """It says what was wrong."""
    done = hooks.run("hooks", *arguments)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert not settings_of(hooks).exists()


def test_a_file_that_is_no_json_stays_as_it_is(hooks: Hooks) -> None:
    """To the byte."""
    settings_of(hooks).parent.mkdir()
    settings_of(hooks).write_bytes(b"{ // mine\n}\xff")
    for action in ("install", "uninstall", "show"):
        done = hooks.run("hooks", "claude-code", action)
        assert (done.returncode, b"nothing was changed" in done.stderr) == (2, True)
    assert settings_of(hooks).read_bytes() == b"{ // mine\n}\xff"
