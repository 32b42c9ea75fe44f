"""The bounded tail of a command's output."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidings.cli.run.output_tail import OutputTail

lines = st.lists(st.text(st.characters(exclude_categories=("C", "Zl", "Zp"))), max_size=30)


@given(lines, st.integers(1, 5), st.lists(st.integers(1, 40), min_size=1, max_size=9))
def test_keeps_the_last_lines_however_they_come(
    texts: list[str], count: int, cuts: list[int]
) -> None:
    """Plain lines are kept as they are, however the output is cut into chunks."""
    data = "".join(f"{text}\n" for text in texts).encode()
    tail = OutputTail(count, 100_000)
    place = 0
    while place < len(data):
        size = cuts[place % len(cuts)]
        tail.feed(data[place : place + size])
        place += size
    assert tail.text() == "\n".join(texts[-count:])


@given(st.lists(st.binary(max_size=300), max_size=30), st.integers(1, 50), st.integers(1, 99))
def test_stays_bounded(chunks: list[bytes], count: int, size: int) -> None:
    """Whatever is put out, the text has at most so many lines and bytes, and no escape sequence."""
    tail = OutputTail(count, size)
    for chunk in chunks:
        tail.feed(chunk)
    text = tail.text()
    assert len(text.encode()) <= size
    assert text.count("\n") < count
    assert "\x1b[m" not in text


def test_of_a_progress_bar_the_last_state_is_kept() -> None:
    """Megabytes of redrawing leave room for the lines before."""
    tail = OutputTail(20, 1000)
    tail.feed(b"begin\r\n")
    for number in range(100_000):
        tail.feed(b"\r%6d %s" % (number, b"#" * 40))
    tail.feed(b"\nend\n")
    assert tail.text() == f"begin\n 99999 {'#' * 40}\nend"


def test_a_character_cut_in_two_is_left_out() -> None:
    """Where the tail begins in the middle of a character, that is no sign of damage."""
    tail = OutputTail(20, 10)
    tail.feed("日本語日本語日本語".encode())
    assert "\ufffd" not in tail.text()
    assert tail.text().endswith("本語")
