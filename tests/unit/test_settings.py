"""Settings: what the environment says, and what it must not say."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tidings import filesystems, settings
from tidings.errors import InvalidSetting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SETTERS: dict[str, tuple[Callable[[], object], object]] = {
    "TIDINGS_DEADLINE": (settings.deadline, 1.0),
    "TIDINGS_MAX_PAYLOAD": (settings.max_payload, 1_048_576),
    "TIDINGS_SCHEMA_CHECK": (settings.schema_check, "warn"),
    "TIDINGS_STATE_DIR": (settings.state_directory, None),
}


def test_everything_lies_in_the_home_directory(own_home: Path) -> None:
    """Without any setting, stores and spool lie in ~/.tidings."""
    assert settings.home() == f"{own_home}/.tidings"
    assert settings.default_url() == f"sqlite:///{own_home}/.tidings/events.db"
    assert settings.spool_directory() == f"{own_home}/.tidings/spool"


def test_home_moves_what_lies_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`TIDINGS_HOME` moves store and spool with it."""
    monkeypatch.setenv("TIDINGS_HOME", "/data/tidings")
    assert settings.home() == "/data/tidings"
    assert settings.default_url() == "sqlite:////data/tidings/events.db"
    assert settings.spool_directory() == "/data/tidings/spool"


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        ("ext4", "sqlite:////data/nowhere/tidings/events.db"),
        ("nfs4", "shared:////data/nowhere/tidings/shared"),
        ("lustre", "shared:////data/nowhere/tidings/shared"),
    ],
)
def test_a_home_on_a_network_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, url: str
) -> None:
    """Where the home is shared between machines, the default store is made for that."""
    table = tmp_path / "mounts"
    table.write_text(f"disk / ext4 rw 0 0\nserver:/data /data/nowhere {kind} rw 0 0\n")
    told = partial(filesystems.network_file_system, mounts=str(table))
    monkeypatch.setattr(filesystems, "network_file_system", told)
    monkeypatch.setattr(settings, "_default_urls", {})
    monkeypatch.setenv("TIDINGS_HOME", "/data/nowhere/tidings")
    assert settings.default_url() == url
    monkeypatch.setenv("TIDINGS_URL", "memory:")
    assert settings.default_url() == "memory:"


def test_each_can_be_set_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting of its own comes before the home directory."""
    monkeypatch.setenv("TIDINGS_HOME", "/data/tidings")
    monkeypatch.setenv("TIDINGS_URL", "memory:")
    monkeypatch.setenv("TIDINGS_SPOOL", "/var/spool/tidings")
    monkeypatch.setenv("TIDINGS_STATE_DIR", "/data/state")
    assert settings.default_url() == "memory:"
    assert settings.spool_directory() == "/var/spool/tidings"
    assert settings.state_directory() == "/data/state"


@pytest.mark.parametrize("variable", SETTERS)
def test_empty_is_unset(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable means the default, as a missing one does."""
    read, default = SETTERS[variable]
    monkeypatch.delenv(variable, raising=False)
    assert read() == default
    monkeypatch.setenv(variable, "")
    assert read() == default


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("TIDINGS_DEADLINE", "0", 0.0),
        ("TIDINGS_DEADLINE", "2.5", 2.5),
        ("TIDINGS_DEADLINE", "3600", 3600.0),
        ("TIDINGS_MAX_PAYLOAD", "1", 1),
        ("TIDINGS_MAX_PAYLOAD", "1073741824", 1 << 30),
        ("TIDINGS_SCHEMA_CHECK", "off", "off"),
        ("TIDINGS_SCHEMA_CHECK", "strict", "strict"),
    ],
)
def test_good_values(
    variable: str, text: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What makes sense is taken, bounds included."""
    monkeypatch.setenv(variable, text)
    assert SETTERS[variable][0]() == value


@pytest.mark.parametrize(
    ("variable", "text", "rule"),
    [
        ("TIDINGS_DEADLINE", "soon", "must be seconds from 0 to 3600"),
        ("TIDINGS_DEADLINE", "-1", "must be seconds from 0 to 3600"),
        ("TIDINGS_DEADLINE", "3601", "must be seconds from 0 to 3600"),
        ("TIDINGS_DEADLINE", "nan", "must be seconds from 0 to 3600"),
        ("TIDINGS_DEADLINE", "inf", "must be seconds from 0 to 3600"),
        ("TIDINGS_MAX_PAYLOAD", "0", "must be bytes from 1 to 1073741824"),
        ("TIDINGS_MAX_PAYLOAD", "1073741825", "must be bytes from 1 to 1073741824"),
        ("TIDINGS_MAX_PAYLOAD", "1MB", "must be bytes from 1 to 1073741824"),
        ("TIDINGS_MAX_PAYLOAD", "-5", "must be bytes from 1 to 1073741824"),
        ("TIDINGS_MAX_PAYLOAD", "1.5", "must be bytes from 1 to 1073741824"),
        ("TIDINGS_MAX_PAYLOAD", "9" * 5000, "must be bytes from 1 to 1073741824"),
        ("TIDINGS_SCHEMA_CHECK", "yes", "must be off, warn or strict"),
    ],
)
def test_bad_values(variable: str, text: str, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes no sense is refused with the variable, the value and the rule."""
    monkeypatch.setenv(variable, text)
    with pytest.raises(InvalidSetting) as refused:
        SETTERS[variable][0]()
    assert str(refused.value).startswith(f"{variable} '{text[:50]}")
    assert str(refused.value).endswith(rule)


def test_all_are_told_in_the_docstring() -> None:
    """Every variable that is read stands in the module's list."""
    with open(settings.__file__) as file:
        code = file.read().split('"""', 2)[2]
    read = {word.strip('"') for word in code.split('"') if word.startswith("TIDINGS_")}
    read = {word for word in read if word.isupper() and " " not in word}
    assert read
    assert all(f"    {variable} " in (settings.__doc__ or "") for variable in read)


def test_they_are_read_when_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of the environment counts at once."""
    before = settings.home()
    monkeypatch.setenv("HOME", os.path.join(before, "elsewhere"))
    assert settings.home() == os.path.join(before, "elsewhere", ".tidings")
