"""One page of something long: how many it holds at most, and the link to the next.

A page goes on from a position (keyset paging), so the tenth thousandth costs what the first does
and nothing is missed or repeated while others write. It reads no store.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from tidings.errors import InvalidQuery, shorten
from tidings.server.parameters import MOST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.requests import Request

    from tidings.store.query import Query

__all__ = ["asked", "ensure_known", "limit_of", "link_header", "next_link", "once"]


def asked(request: Request) -> list[tuple[str, str]]:
    """The names and values of a request's query, in order."""
    return request.query_params.multi_items()


def ensure_known(params: Sequence[tuple[str, str]], known: Collection[str]) -> None:
    """Refuse a parameter that the route does not know: mistyped, it must not give everything.

    Raises:
        InvalidQuery: there is one.
    """
    for name, _ in params:
        if name not in known:
            what = f"known here are {', '.join(known)}" if known else "none is known here"
            raise InvalidQuery(f"the parameter {shorten(name)} is not known; {what}")


def once(params: Sequence[tuple[str, str]], name: str) -> str | None:
    """The value of a parameter that may stand once.

    Raises:
        InvalidQuery: it stands more than once.
    """
    values = [value for given, value in params if given == name]
    if len(values) > 1:
        raise InvalidQuery(f"{name} stands {len(values)} times; give it once")
    return values[0] if values else None


def limit_of(query: Query, default: int) -> int:
    """How much a page may hold.

    Raises:
        InvalidQuery: what is asked for is nothing, or too much.
    """
    limit = default if query.limit is None else query.limit
    if not 1 <= limit <= MOST:
        raise InvalidQuery(f"limit {limit} must be from 1 to {MOST}; follow `next` for more")
    return limit


def next_link(
    request: Request, position: int | str | None, *, backwards: bool, offset: int = 0
) -> str | None:
    """Where the page after this one is, as a reference to be resolved against the URL asked for.

    Args:
        request: what this page answered.
        position: up to where it looked, a position or else a name; none at the end.
        backwards: whether it gave the newest first.
        offset: how many are still to be left out.

    Returns:
        A path with a query, the prefix of a proxy included; none at the end.
    """
    if position is None:
        return None
    bound = "before" if backwards else "after"
    params = [(name, value) for name, value in asked(request) if name not in (bound, "offset")]
    params += [("offset", str(offset))] if offset else []
    root, path = request.scope.get("root_path", ""), request.scope["path"]
    prefix = "" if path.startswith(f"{root}/") else root
    return f"{quote(prefix + path)}?{urlencode([*params, (bound, str(position))])}"


def link_header(link: str | None) -> dict[str, str]:
    """The header that says so too. Source: RFC 8288.

    It holds the query alone, which also resolves behind a proxy whose prefix nobody told us of.
    """
    return {} if link is None else {"link": f'<?{link.partition("?")[2]}>; rel="next"'}
