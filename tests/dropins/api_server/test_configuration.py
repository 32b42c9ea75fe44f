"""eventuali-api-server is told what to do as its documents show: options, variables, Python."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import eventuali_api_server
from eventuali_api_server import cli, config, main
from eventuali_api_server.config import APIServerConfig
from tidings.errors import InvalidSetting
from tidings.testing.elsewhere import PATIENCE

# As printed in seed 002.
SHELL = {
    "defaults": "eventuali-api-server\n",
    "options": "eventuali-api-server --host 0.0.0.0 --port 9000 --reload\n",
    "variables": """\
export HOST=0.0.0.0
export PORT=9000
export RELOAD=true
export LOG_LEVEL=debug
export DATA_DIR=/path/to/events
export CORS_ORIGINS="http://localhost:3000,https://app.example.com"
eventuali-api-server
""",
}
PYTHON = """\
from eventuali_api_server import APIServerConfig, set_config
config = APIServerConfig(
host="0.0.0.0",
port=8765,
data_dir="/custom/events/path",
cors_origins=["https://myapp.com"],
log_level="debug"
)
set_config(config)
"""

DEFAULTS = {
    "host": "127.0.0.1",
    "port": 8765,
    "reload": False,
    "log_level": "info",
    "data_dir": ".events",
    "database_timeout": 10.0,
    "cors_origins": [
        "http://localhost:3210",
        "http://127.0.0.1:3210",
        "http://localhost:3000",
        "http://127.0.0.1:3000",
    ],
    "cors_allow_credentials": True,
    "cors_allow_methods": ["GET", "POST", "PUT", "DELETE", "OPTIONS"],
    "cors_allow_headers": ["*"],
    "title": "Eventuali API Server",
    "description": "FastAPI server for Eventuali event sourcing system",
    "version": "0.1.0",
}

VARIABLES = {
    **dict.fromkeys(("HOST", "PORT", "RELOAD", "LOG_LEVEL", "DATA_DIR", "DATABASE_TIMEOUT"), ""),
    **dict.fromkeys(("CORS_ORIGINS", "CORS_ALLOW_CREDENTIALS", "API_TITLE", "API_VERSION"), ""),
    "API_DESCRIPTION": "",
}
"""All it reads; an empty one is as good as none."""

# What stands for the command: it prints what the command would serve with.
SHOWS = """\
#!/bin/sh
exec '{python}' -c 'import json, sys
from eventuali_api_server.cli import configured
print(json.dumps(vars(configured(sys.argv[1:]))))' "$@"
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of another test is set, and no variable of the machine."""
    monkeypatch.setattr(config, "_config", None)
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_defaults_are_those_of_that_server() -> None:
    """By field, in its order, so that they may be given by position too."""
    made = APIServerConfig()
    assert {name: getattr(made, name) for name in DEFAULTS} == DEFAULTS
    assert [each.name for each in fields(made)][: len(DEFAULTS)] == [*DEFAULTS]
    assert APIServerConfig(cors_origins=None).cors_origins == DEFAULTS["cors_origins"]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SHELL)
def test_a_shell_snippet_is_understood(name: str, tmp_path: Path) -> None:
    """Each as printed, with something in the command's place that shows what it was told."""
    shown = tmp_path / "bin" / "eventuali-api-server"
    shown.parent.mkdir()
    shown.write_text(SHOWS.format(python=sys.executable))
    shown.chmod(0o755)
    run = subprocess.run(
        ["/bin/sh", "-c", SHELL[name]],
        env={**os.environ, **VARIABLES, "PATH": f"{shown.parent}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=True, timeout=PATIENCE,
    )  # fmt: skip
    told: dict[str, Any] = json.loads(run.stdout)
    wanted = {**DEFAULTS, "data_dir": os.path.realpath(".events"), "insecure": False}
    if name != "defaults":
        wanted |= {"host": "0.0.0.0", "port": 9000, "reload": True, "insecure": True}  # noqa: S104
    if name == "variables":
        wanted |= {
            "log_level": "debug",
            "data_dir": "/path/to/events",
            "cors_origins": ["http://localhost:3000", "https://app.example.com"],
        }
    assert {each: told[each] for each in wanted} == wanted


def test_the_python_snippet_is_understood() -> None:
    """As printed; the app that was imported before it serves so."""
    app = eventuali_api_server.app
    names: dict[str, Any] = {}
    exec(PYTHON, names)  # noqa: S102 - the snippet itself
    told = eventuali_api_server.get_config()
    assert told is names["config"]
    assert (told.host, told.port, told.log_level) == ("0.0.0.0", 8765, "debug")  # noqa: S104
    assert told.cors_origins == ["https://myapp.com"]
    assert told.store_url == "sqlite:////custom/events/path/tidings.db"
    assert told.insecure is True
    assert app is main.app


def test_an_app_is_configured_when_it_starts(tmp_path: Path) -> None:
    """`set_config` counts for one that was imported, or made, before."""
    app = eventuali_api_server.create_app()
    eventuali_api_server.set_config(APIServerConfig(title="Ours", data_dir=str(tmp_path / "kept")))

    async def lived() -> str:
        async with app.router.lifespan_context(app):
            return app.title

    assert asyncio.run(lived()) == "Ours"
    assert (tmp_path / "kept" / "tidings.db").exists()


def test_every_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """By bare names, as there; `TIDINGS_…` ones are for `tidings serve`."""
    for name, value in {
        "HOST": "example.org", "PORT": "9001", "RELOAD": "True", "LOG_LEVEL": "DEBUG",
        "DATA_DIR": "d", "DATABASE_TIMEOUT": "20.0", "CORS_ORIGINS": " http://a , http://b ",
        "CORS_ALLOW_CREDENTIALS": "false", "API_TITLE": "T", "API_DESCRIPTION": "D",
        "API_VERSION": "1.0.0", "TIDINGS_PORT": "1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    told = APIServerConfig.from_env()
    assert vars(told) | {
        "host": "example.org", "port": 9001, "reload": True, "log_level": "debug",
        "data_dir": "d", "database_timeout": 20.0, "cors_origins": ["http://a", "http://b"],
        "cors_allow_credentials": False, "title": "T", "description": "D", "version": "1.0.0",
    } == vars(told)  # fmt: skip
    assert eventuali_api_server.get_config() == told
    assert eventuali_api_server.get_config() is eventuali_api_server.get_config()


def test_a_wrong_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In Python it is a ValueError, as there; for the command it is wrong usage."""
    monkeypatch.setenv("PORT", "many")
    with pytest.raises(InvalidSetting, match="PORT 'many' must be a whole number") as raised:
        APIServerConfig.from_env()
    assert isinstance(raised.value, ValueError)
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2
    assert "PORT 'many'" in capsys.readouterr().err


def test_options_win_over_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also `--no-reload`, and an empty list of origins means the default one."""
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.setenv("RELOAD", "true")
    monkeypatch.setenv("CORS_ORIGINS", "http://a")
    told = cli.configured(["--port", "9002", "--no-reload", "--cors-origins", " "])
    assert (told.port, told.reload) == (9002, False)
    assert told.cors_origins == DEFAULTS["cors_origins"]
    told = cli.configured(["--cors-origins", "http://b, http://c", "--database-timeout", "2.5"])
    assert (told.cors_origins, told.database_timeout) == (["http://b", "http://c"], 2.5)
    assert told.port == 9001


@pytest.mark.parametrize(
    "wrong", [["--log-level", "loud"], ["--port", "x"], ["--dat", "d"], ["more"]]
)
def test_wrong_options_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the usage and exit code 2, as there."""
    with pytest.raises(SystemExit) as ended:
        cli.main(wrong)
    assert ended.value.code == 2
    assert "usage: eventuali-api-server" in capsys.readouterr().err


def test_what_cannot_be_served_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and one line that says why."""
    (tmp_path / "file").write_text("")
    assert cli.main(["--data-dir", str(tmp_path / "file"), "--port", "0"]) == 1
    assert capsys.readouterr().err.startswith("eventuali-api-server: ")


def test_names_that_are_not_there_are_attribute_errors() -> None:
    """As for any module; the version is that of the release it stands for."""
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(eventuali_api_server, "no_such_name")  # noqa: B009 - mypy would refuse the lookup
    assert eventuali_api_server.__version__ == "0.2.2"
