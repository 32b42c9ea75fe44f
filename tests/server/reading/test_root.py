"""The way in, the page for people and the page of routes, as programs and browsers see them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest
from starlette.testclient import TestClient

from tidings import __version__
from tidings.server import APIServerConfig, create_app
from tidings.server.dashboard_files import DashboardFiles
from tidings.server.routes import root

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class _Links(HTMLParser):
    """Collects what a page loads, and the scripts and styles that stand in it."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self._within = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "style") and not given.get("src"):
            self._within = tag
        address = given.get("src") or (given.get("href") if tag == "link" else None)
        if address:
            self.loaded.append(address)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._within:
            self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within and data.strip():
            self.inline.append(data)


def links(page: str) -> _Links:
    """What a page loads."""
    parser = _Links()
    parser.feed(page)
    return parser


@pytest.mark.parametrize("accept", ["*/*", "application/json", "", "text/plain", "text/*"])
def test_programs_are_told_what_there_is(client: httpx.Client, accept: str) -> None:
    """The seed's JSON, for whoever does not name HTML."""
    response = client.get("/", headers={"accept": accept})
    assert response.status_code == 200
    told = response.json()
    assert told == {
        "name": "Tidings",
        "version": __version__,
        "description": told["description"],
        "endpoints": {"events": "/events", "health": "/health", "docs": "/docs",
                      "openapi": "/openapi.json"},
    }  # fmt: skip
    for path in told["endpoints"].values():
        assert client.get(path).status_code == 200
    assert "accept" in response.headers["vary"].lower()


def test_people_are_sent_to_their_page(client: httpx.Client) -> None:
    """A browser names HTML; the address is relative, so a proxy's prefix stays."""
    response = client.get("/", headers={"accept": BROWSER})
    assert response.status_code == 303
    assert response.headers["location"] == "ui/"
    response = client.get("/ui")
    assert (response.status_code, response.headers["location"]) == (307, "ui/")


def test_the_page_of_routes_asks_no_other_host(client: httpx.Client) -> None:
    """What it loads comes from here, nothing stands in it, and the browser holds it to that."""
    response = client.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    page = links(response.text)
    assert page.inline == []
    assert len(page.loaded) == 4
    for address in page.loaded:
        url = urljoin(str(response.url), address)
        assert urlsplit(url).netloc == urlsplit(client.base_url.join("/").__str__()).netloc
        loaded = client.get(url)
        assert loaded.status_code == 200
        assert len(loaded.content) > 50
    assert client.get("/openapi.json").json()["info"]["title"] == "Tidings"
    policy = response.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    assert "script-src" not in policy


def test_the_style_sheet_loads_nothing_else(client: httpx.Client) -> None:
    """Its pictures stand in it."""
    addresses = re.findall(r"url\(([^)]*)\)", client.get("/docs/swagger-ui.css").text)
    assert all(address.strip("\"'").startswith("data:") for address in addresses)


@pytest.mark.parametrize(
    "path", ["/docs/nothing.js", "/docs/..%2Fcore.py", "/docs/redoc.standalone.js"]
)
def test_only_what_the_page_needs_is_there(client: httpx.Client, path: str) -> None:
    """No other file of the package, or of the machine, is served."""
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "path",
    [
        "/ui/..%2Froot.py",
        "/ui/../routes/root.py",
        "/ui/assets/..%2F..%2Froutes/root.py",
        "/ui/%2Fetc/passwd",
        "/ui/nothing",
        "/ui/assets/",
        "/ui/assets/%00",
        f"/ui/{'long' * 100}",
    ],
)
def test_the_page_for_people_is_one_directory(client: httpx.Client, path: str) -> None:
    """Nothing outside of it is served."""
    response = client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_the_page_for_people_loads_nothing_foreign(client: httpx.Client) -> None:
    """Its scripts and styles come from here, and the browser holds it to that."""
    response = client.get("/ui/")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in response.headers["content-security-policy"]
    page = links(response.text)
    assert page.inline == []
    assert page.loaded
    for address in page.loaded:
        assert not urlsplit(address).netloc
        assert client.get(urljoin(str(response.url), address)).status_code == 200


def test_what_it_loads_is_packed_and_kept(client: httpx.Client) -> None:
    """Packed for who unpacks it; for good, as its name holds its hash; in parts; 304 if known."""
    page = client.get("/ui/")
    (path,) = (urljoin("/ui/", each) for each in links(page.text).loaded if each.endswith(".js"))
    plain = client.get(path, headers={"accept-encoding": "identity"})
    packed = client.get(path, headers={"accept-encoding": "br, gzip"})
    refused = client.get(path, headers={"accept-encoding": "gzip;q=0"})
    assert plain.content == packed.content == refused.content
    for response, coding in ((plain, None), (packed, "gzip"), (refused, None)):
        headers = response.headers
        assert headers.get("content-encoding") == coding
        assert headers["vary"] == "accept-encoding"
        assert headers["cache-control"].endswith("immutable")
        assert headers["content-type"].startswith("text/javascript")
        known = {"accept-encoding": coding or "identity", "if-none-match": headers["etag"]}
        assert client.get(path, headers=known).status_code == 304
    assert plain.headers["etag"] != packed.headers["etag"]
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    head = client.head(path, headers={"accept-encoding": "identity"})
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == plain.headers["content-length"]
    some = client.get(path, headers={"accept-encoding": "identity", "range": "bytes=5-9"})
    assert (some.status_code, some.content) == (206, plain.content[5:10])


def test_the_page_itself_is_asked_for_each_time(client: httpx.Client) -> None:
    """A new version is found at once; the same one is not sent again."""
    page = client.get("/ui/")
    assert page.headers["cache-control"] == "no-cache"
    known = client.get("/ui/", headers={"if-none-match": page.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")


def test_where_it_is_not_built_the_server_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """501, a page that names the command; once it is built it is there, and a newer one too."""
    built = tmp_path / "static"
    monkeypatch.setattr(root, "_FILES", DashboardFiles(str(built)))
    config = APIServerConfig(data_dir=str(tmp_path / "data"))
    with TestClient(create_app(config), base_url="http://localhost") as client:
        missing = client.get("/ui/")
        assert missing.status_code == 501
        assert "make dashboard" in missing.text
        assert client.get("/ui/assets/any.js").status_code == 404
        built.mkdir()
        tags = []
        for text in ("<p>one</p>", "<p>two</p>"):
            (built / "index.html").write_text(text)
            os.utime(built / "index.html", (0, 0))  # as where a package was made reproducibly
            page = client.get("/ui/")
            assert page.text == text
            tags.append(page.headers["etag"])
        assert tags[0] != tags[1]


# Behind a proxy -------------------------------------------------------------------------------


@pytest.fixture(params=["kept", "stripped"])
def prefixed(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Callable[[str], Any]]:
    """Asks as through a proxy that shows the server under `/bus`, and keeps or strips that."""
    config = APIServerConfig(data_dir=str(tmp_path), root_path="/bus")
    with TestClient(create_app(config), base_url="http://localhost", follow_redirects=False) as app:

        def get(address: str, **options: Any) -> Any:
            assert address.startswith("/bus/")
            path = address if request.param == "kept" else address.removeprefix("/bus")
            return app.get(path, **options)

        yield get


def test_links_hold_behind_a_prefix(prefixed: Callable[..., Any]) -> None:
    """Redirects, next links and the page of routes stay below the prefix."""
    assert prefixed("/bus/", headers={"accept": BROWSER}).headers["location"] == "/bus/ui/"
    assert prefixed("/bus/ui").headers["location"] == "/bus/ui/"
    page = prefixed("/bus/docs")
    for address in links(page.text).loaded:
        assert prefixed(urljoin("/bus/docs", address)).status_code == 200
    assert prefixed("/bus/docs/").headers["location"] == "../docs"
    assert {"url": "/bus"} in prefixed("/bus/openapi.json").json()["servers"]


def test_pages_go_on_behind_a_prefix(prefixed: Callable[..., Any]) -> None:
    """`next` names the prefix once, and the header resolves to the same."""
    link = prefixed("/bus/events/types?limit=2").json()["next"]
    assert link.startswith("/bus/events/types?limit=2&after=")
    assert len(prefixed(link).json()["types"]) == 2
    header = prefixed("/bus/events/types?limit=2").links["next"]["url"]
    assert urljoin("/bus/events/types?limit=2", header) == link
