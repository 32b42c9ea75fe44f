"""What tests of webhooks share."""

from __future__ import annotations

import pytest

from tests.delivery.webhooks.receivers import PATIENCE


@pytest.fixture(autouse=True)
def _patient_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an engine writes at its end is waited for, however slow the machine is."""
    monkeypatch.setattr("tidings.delivery.webhooks.serving._LAST_SECONDS", PATIENCE)


@pytest.fixture
def patient_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that are kept as long as any test may take, however slow the machine is."""
    monkeypatch.setattr("tidings.delivery.webhooks.reaching._IDLE_SECONDS", PATIENCE)
