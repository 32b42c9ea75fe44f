"""URLs as they are shown hold no secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings.errors import InvalidSetting
from tidings.masking import masked
from tidings.store import open_store


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:s3cret@db:5432/events", "postgresql://ann:***@db:5432/events"),
        ("postgresql://ann@db/events", "postgresql://ann@db/events"),
        ("postgresql:///events?user=a&password=s3cret", "postgresql:///events?user=a&password=***"),
        (
            "postgres://ann@db/e?pass%77ord=s3cret&pool=4",
            "postgres://ann@db/e?pass%77ord=***&pool=4",
        ),
        ("postgresql://ann:s@3c/r?et@db/events", "postgresql://ann:***@db/events"),
        ("nats://s3cret@one,two/EVENTS", "nats://***@one,two/EVENTS"),
        ("nats://ann:s3cret@one:4222/E?replica=/r", "nats://ann:***@one:4222/E?replica=/r"),
        ("https://ann:s3cret@host", "https://ann:***@host"),
        ("http://host:8765/tidings?key=s3cret#x", "http://host:8765/tidings?key=***#x"),
        ("nonsense://ann:s3cret@host", "nonsense://ann:***@host"),
    ],
)
def test_secrets_are_masked(url: str, shown: str) -> None:
    """A password, a token or a secret option is not in what is shown, and the rest is."""
    assert masked(url) == shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////home/ann@work/events.db",
        "shared:///scratch/a:b@c?replica=/tmp/r",
        "memory:",
        "nats://one,two,three/EVENTS",
        "postgresql://[::1]:5432,other:5433/events",
        "http://127.0.0.1:8765",
        "",
        "no URL at all: a@b",
    ],
)
def test_the_rest_is_shown_as_it_is(url: str) -> None:
    """What holds no secret is not changed."""
    assert masked(url) == url


@given(
    scheme=st.sampled_from(["postgresql", "nats", "tls", "http", "https", "postgres"]),
    password=st.text(min_size=1).map(lambda text: f"s3{text}cret"),
)
def test_no_password_gets_through(scheme: str, password: str) -> None:
    """However odd a password is, also one that is not encoded, no part of it is shown."""
    assert masked(f"{scheme}://ann:{password}@host/name") == f"{scheme}://ann:***@host/name"


@pytest.mark.parametrize(
    "url",
    ["htp://ann:s3cret@host", "http://ann:s3cret@host", "http://ann:s3/cret@host",
     "http://host?password=s3cret", "http://hoßt?password=s3cret"],
)  # fmt: skip
def test_errors_show_no_secret(url: str) -> None:
    """A URL that cannot be used is refused without showing its password."""
    with pytest.raises(InvalidSetting) as caught:
        open_store(url)
    assert "s3" not in str(caught.value)
    assert "cret" not in str(caught.value)
