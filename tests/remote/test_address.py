"""What a URL of a remote store may say, and what the key may be; neither shows a secret."""

from __future__ import annotations

import pytest

from tidings.bus import Bus
from tidings.errors import InvalidSetting
from tidings.store import open_store

HIDDEN = "tid_0123456789abcdef"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("http://node7:8765", "http://node7:8765"),
        ("http://node7:8765/", "http://node7:8765"),
        ("http://Node7", "http://node7"),
        ("http://node7:80", "http://node7"),
        ("https://node7:443/tidings/", "https://node7/tidings"),
        ("https://node7:80", "https://node7:80"),
        ("http://[::1]:8765/a/b", "http://[::1]:8765/a/b"),
    ],
)
def test_a_url_is_kept_in_one_form(url: str, kept: str) -> None:
    """The same server has the same URL, however it was written; opening it asks nothing."""
    with open_store(url) as store:
        assert (store.url, repr(store)) == (kept, f"RemoteStore({kept!r})")
    with Bus(url) as bus:
        assert bus.url == kept


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///prefix",
        "https:node7",
        "http://node7:port",
        "http://node7:99999",
        "http://node7?durability=process",
        "http://node7#top",
        "http://no de7",
        "http://node7/a\nb",
        "http://nöde7",
    ],
)
def test_a_url_that_names_no_server_is_refused(url: str) -> None:
    """A URL without a host, or with what has no meaning here, is told."""
    with pytest.raises(InvalidSetting, match="store URL"):
        open_store(url)


@pytest.mark.parametrize("url", [f"http://{HIDDEN}@node7", f"https://x:{HIDDEN}@node7:8765/p"])
def test_a_key_in_the_url_is_refused_and_not_shown(url: str) -> None:
    """The error names the variable to use and does not repeat the secret."""
    with pytest.raises(InvalidSetting, match="TIDINGS_KEY") as caught:
        open_store(url)
    assert HIDDEN not in str(caught.value)


@pytest.mark.parametrize("key", ["a b", "a\nb", "schlüssel", "\x7f"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key with a line break would forge a header."""
    monkeypatch.setenv("TIDINGS_KEY", key)
    with pytest.raises(InvalidSetting, match="TIDINGS_KEY") as caught:
        open_store("http://node7")
    assert key not in str(caught.value)


def test_the_key_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the store's name nor its URL holds the key."""
    monkeypatch.setenv("TIDINGS_KEY", HIDDEN)
    with open_store("http://node7") as store:
        assert HIDDEN not in f"{store!r} {store.url}"
