"""What may be asked of how summaries stand."""

from __future__ import annotations

from typing import Any

import pytest

from tidings.errors import InvalidQuery
from tidings.store.standing import Standing


@pytest.mark.parametrize(
    "given",
    [
        {"state": "stuck"},
        {"state": 1},
        {"quiet_since": "2026-01-01"},
        {"quiet_since": True},
        {"quiet_since": 1.5},
        {"quiet_since": 2**63},
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    """A state that nothing has, or an instant that no event has, is a mistake and no filter."""
    ((name, _),) = given.items()
    with pytest.raises(InvalidQuery, match=name):
        Standing(**given)
