"""Lines cut from chunks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidings.server.ingest.lines import Lines

LONGEST = 5


@given(st.lists(st.sampled_from([b"a", b"bb", b"\n", b"\n\n", b"c\nd", b"eeee", b""])))
def test_as_if_it_were_one_piece(chunks: list[bytes]) -> None:
    """Wherever chunks end, the lines are those of the whole, those that are too long left out."""
    lines = Lines(LONGEST)
    found = [line for chunk in chunks for line in lines.of(chunk)] + lines.last()
    expected = b"".join(chunks).split(b"\n")
    if not expected[-1]:
        del expected[-1]
    assert found == [line if len(line) <= LONGEST else None for line in expected]
