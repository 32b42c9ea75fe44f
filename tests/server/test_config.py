"""The configuration: defaults, the environment, and the peer's names."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import fields

import pytest

from tidings.errors import InvalidSetting
from tidings.server import config as module
from tidings.server.config import APIServerConfig, environment_of, get_config, set_config


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration of another test is set."""
    monkeypatch.setattr(module, "_config", None)


def test_the_fields_of_the_peer_come_first() -> None:
    """Who gave them by position or name to eventuali-api-server 0.2.2 can go on so."""
    names = [each.name for each in fields(APIServerConfig)]
    assert names[:13] == [
        "host", "port", "reload", "log_level", "data_dir", "database_timeout", "cors_origins",
        "cors_allow_credentials", "cors_allow_methods", "cors_allow_headers", "title",
        "description", "version",
    ]  # fmt: skip
    assert APIServerConfig(cors_origins=None).cors_origins == APIServerConfig().cors_origins  # type: ignore[arg-type]


def test_the_environment_is_read_by_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TIDINGS_PORT` counts and `PORT` does not, unless the drop-in asks for bare names."""
    monkeypatch.setenv("TIDINGS_PORT", "9000")
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("TIDINGS_CORS_ORIGINS", "http://a.example, http://b.example")
    monkeypatch.setenv("TIDINGS_RELOAD", "true")
    config = APIServerConfig.from_env()
    assert config.port == 9000
    assert config.cors_origins == ["http://a.example", "http://b.example"]
    assert config.reload is True
    assert APIServerConfig.from_env("").port == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "many"), ("PORT", "-1"), ("RELOAD", "perhaps"), ("RATE_LIMIT", "nan")],
)
def test_a_variable_that_is_not_usable_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The error says which variable and what it holds."""
    monkeypatch.setenv(f"TIDINGS_{name}", value)
    with pytest.raises(InvalidSetting, match=f"TIDINGS_{name} '{value}'"):
        APIServerConfig.from_env()


def test_a_configuration_travels_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is started anew reads what its parent was told."""
    told = APIServerConfig(
        port=9001, data_dir="somewhere", cors_origins=[], insecure=True, rate_limit=5.5
    )
    assert told.collects is False
    for name, value in environment_of(told).items():
        monkeypatch.setenv(name, value)
    read = APIServerConfig.from_env()
    assert read.store_url == told.store_url
    assert told.store_url == f"sqlite:///{os.path.join('somewhere', 'tidings.db')}"
    assert read.collects is False
    for each in fields(APIServerConfig):
        if each.name not in ("url", "data_dir", "collect_every"):
            assert getattr(read, each.name) == getattr(told, each.name), each.name


def test_what_was_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """`set_config` counts more than the environment."""
    monkeypatch.setenv("TIDINGS_PORT", "9000")
    assert get_config().port == 9000
    set_config(APIServerConfig(port=7))
    assert get_config().port == 7


def test_it_needs_nothing_of_the_extra() -> None:
    """The command line can read it where no extra is installed."""
    code = (
        "import sys; import tidings.server.config; "
        "assert not {'fastapi', 'pydantic', 'uvicorn', 'starlette'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
