"""The outcome of an event whose producer named none."""

from __future__ import annotations

from typing import Any

import pytest

from tidings.outcome import infer_status


@pytest.mark.parametrize(
    ("event_type", "payload", "status"),
    [
        ("agent.failed", {}, "failure"),
        ("run_failed", {}, "failure"),
        ("parse.error", {}, "failure"),
        ("stderror", {}, "failure"),
        ("agent.completed", {}, "success"),
        ("test_completed", None, "success"),
        ("agent.started", {}, ""),
        ("job_done", {}, ""),
        ("failed.tests", {}, ""),
        ("error.seen", {}, ""),
        ("completed.x", {}, ""),
        ("agent.FAILED", {}, ""),
        ("", {}, ""),
        # What the payload says about success counts where it is false, as JSON has it.
        ("job_done", {"success": False}, "failure"),
        ("agent.completed", {"success": False}, "failure"),
        ("agent.completed", {"success": True}, "success"),
        ("job_done", {"success": True}, ""),
        ("agent.failed", {"success": True}, "failure"),
        ("job_done", {"success": 0}, ""),
        ("job_done", {"success": None}, ""),
        ("job_done", {"success": "false"}, ""),
        ("job_done", {"result": {"success": False}}, ""),
        ("job_done", [{"success": False}], ""),
        ("job_done", "success", ""),
        (None, None, ""),
    ],
)
def test_infer_status(event_type: Any, payload: Any, status: str) -> None:
    """A type that ends in failed or error, or `success: false`, fails; completed succeeds."""
    assert infer_status(event_type, payload) == status
