"""The outcome of an event whose producer named none."""

from __future__ import annotations

__all__ = ["infer_status"]


def infer_status(event_type: object, payload: object) -> str:
    """The outcome of an event whose producer named none.

    Args:
        event_type: a type that ends in `failed` or `error` is a failure, one that ends in
            `completed` a success.
        payload: `success: false` in it is a failure.

    Returns:
        `success`, `failure` or, where nothing says so, the empty string.

    >>> infer_status("agent.failed", {}), infer_status("agent.started", {})
    ('failure', '')
    """
    text = str(event_type)
    if text.endswith(("failed", "error")):
        return "failure"
    if isinstance(payload, dict) and payload.get("success") is False:
        return "failure"
    return "success" if text.endswith("completed") else ""
