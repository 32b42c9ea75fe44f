"""Subjects: an aggregate as one text, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.subject import read_subject, write_subject

PART = st.text(st.sampled_from("ab/%25F2é ") | st.characters(codec="utf-8"), min_size=1)


@given(aggregate_type=PART, aggregate_id=PART)
def test_comes_back(aggregate_type: str, aggregate_id: str) -> None:
    """Any aggregate comes back, slashes and percent signs included."""
    assert read_subject(write_subject(aggregate_type, aggregate_id)) == (
        aggregate_type,
        aggregate_id,
    )


@given(subject=st.text(st.sampled_from("ab/%25F2é ")))
def test_is_written_in_one_way(subject: str) -> None:
    """What reads as an aggregate is what that aggregate is written as, so no text is changed."""
    found = read_subject(subject)
    assert found is None or write_subject(*found) == subject


@pytest.mark.parametrize(
    ("aggregate", "subject"),
    [
        (("adapter", "adapter-1"), "adapter/adapter-1"),
        (("a", "b/c"), "a/b/c"),
        (("a/b", "c"), "a%2Fb/c"),
        (("50%", "c"), "50%25/c"),
        (("%2F", "%2F"), "%252F/%2F"),
        (("a", "/"), "a//"),
    ],
)
def test_is_written_as(aggregate: tuple[str, str], subject: str) -> None:
    """The first slash divides; only before it is anything escaped."""
    assert write_subject(*aggregate) == subject
    assert read_subject(subject) == aggregate


@pytest.mark.parametrize(
    "subject",
    ["", "a", "/", "/a", "a/", "a%20b/c", "a%2fb/c", "a%/c", "x" * 256 + "/a", "a/" + "x" * 256],
    ids=range(10),
)
def test_names_no_aggregate(subject: str) -> None:
    """No slash, an empty or too long side, or a percent sign that says something else."""
    assert read_subject(subject) is None


def test_lengths() -> None:
    """Each side may be as long as an event's field, however it is written."""
    assert read_subject(write_subject("/" * 255, "x" * 255)) == ("/" * 255, "x" * 255)
