"""What every answer carries: the request's id, and what keeps it safe to show."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.server.guard.admission import Server, scope_of
from tidings.server.problems import Problem


def test_a_request_id_is_kept_or_made(start: Callable[..., Server]) -> None:
    """A sane id of the client's names the request; else it gets one of its own."""
    server = start()
    given = server.ask((b"x-request-id", b"job-4711/3"))
    assert given.request_id == "job-4711/3"
    assert (b"x-request-id", b"job-4711/3") in given.headers
    first, second = server.ask(), server.ask()
    assert first.request_id != second.request_id
    assert (b"x-request-id", first.request_id.encode()) in first.headers


@pytest.mark.parametrize(
    "sent", [b"", b"a b", b"a\r\nset-cookie: x=1", b"a\x00", b"\xc3\xa4", b"x" * 129, b"a\n"]
)
def test_a_forged_request_id_is_replaced(start: Callable[..., Server], sent: bytes) -> None:
    """What could end a line of a log or an answer does not come back."""
    admission = start().ask((b"x-request-id", sent))
    assert admission.request_id.encode() != sent
    assert admission.request_id.isalnum() or "-" in admission.request_id
    assert dict(admission.headers)[b"x-request-id"] == admission.request_id.encode()


def test_a_refusal_has_the_headers_too(start: Callable[..., Server]) -> None:
    """The request keeps one id, and refusals are as safe to show as answers."""
    server = start()
    scope = scope_of((b"host", b"evil.example"), host=False)
    with pytest.raises(Problem):
        server.guard.admit(scope)
    headers = dict(server.guard.headers_for(scope))
    assert headers == dict(server.guard.headers_for(scope))
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"frame-ancestors 'none'" in headers[b"content-security-policy"]


def test_an_answer_runs_nothing_and_is_kept_nowhere(start: Callable[..., Server]) -> None:
    """What is not said otherwise by a page holds: no script, no frame, no cache."""
    headers = dict(start().ask().headers)
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-security-policy"] == b"default-src 'none'; frame-ancestors 'none'"


# Other sites' pages ------------------------------------------------------------------------------
