"""The mode of a request goes by its media type first."""

from __future__ import annotations

import pytest

from tidings.cloudevents.http import mode_of


@pytest.mark.parametrize(
    ("content_type", "specversion", "mode"),
    [
        ("application/cloudevents+json", None, "structured"),
        ("application/cloudevents+json; charset=utf-8", "1.0", "structured"),
        ("APPLICATION/CloudEvents+JSON", None, "structured"),
        ("application/cloudevents", None, "structured"),
        ("application/cloudevents-batch+json", None, "batch"),
        ("application/cloudevents-batch+json;x=y", "1.0", "batch"),
        ("application/json", "1.0", "binary"),
        ("application/x-ndjson", "1.0", "binary"),
        ("text/plain; a=application/cloudevents+json", "1.0", "binary"),
        (None, "1.0", "binary"),
        ("", "", "binary"),
        ("application/json", None, None),
        ("text/plain; a=application/cloudevents+json", None, None),
        (None, None, None),
    ],
)
def test_mode(content_type: str | None, specversion: str | None, mode: str | None) -> None:
    """Batch and structured by the media type, whatever headers stand beside it; else binary."""
    assert mode_of(content_type, specversion) == mode
