"""What an endpoint's configuration may be.

Keeps promise 5 for webhooks: what makes no sense gets a clear error and changes nothing. What a URL
may be is said in `addresses`, what headers in `message`, what a secret in `signing`.
"""

from __future__ import annotations

from tidings.delivery.webhooks.addresses import allowed_networks, check_url
from tidings.delivery.webhooks.endpoint import BODIES, Endpoint
from tidings.errors import InvalidQuery, InvalidSetting, shorten
from tidings.fields import decode_json, encode_json
from tidings.store.query import Filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["checked", "checked_filters"]

_MOST_CONCURRENCY = 100

_MOST_DESCRIPTION = 1000

_WINDOW = ("after", "before", "limit", "backwards")
_CONDITIONS = {name for name in (*Filter.__slots__, "exclude") if name[0] != "_"}


def checked(given: Endpoint) -> Endpoint:
    """The endpoint, if all of it makes sense.

    Raises:
        InvalidSetting: something does not.
    """
    endpoint: Any = given  # what people gave may be anything
    private = endpoint.allow_private
    if not isinstance(private, bool):
        raise InvalidSetting(f"allow_private {shorten(private)} must be true or false")
    networks = allowed_networks()
    check_url(endpoint.url, allow_private=private, networks=networks)
    if endpoint.body not in BODIES:
        raise InvalidSetting(f"body {shorten(endpoint.body)} must be {' or '.join(BODIES)}")
    most = endpoint.concurrency
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= _MOST_CONCURRENCY:
        raise InvalidSetting(
            f"concurrency {shorten(most)} must be a whole number from 1 to {_MOST_CONCURRENCY}"
        )
    text = endpoint.description
    if not isinstance(text, str) or len(text) > _MOST_DESCRIPTION:
        raise InvalidSetting(
            f"a description must be text of at most {_MOST_DESCRIPTION:,} characters"
        )
    return given


def checked_filters(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Filters as JSON values, if a query can be made of them.

    Raises:
        InvalidQuery: it cannot.
    """
    for name in filters:
        if name in _WINDOW:
            raise InvalidQuery(f"filters: {name} makes no sense for a webhook")
        if name not in _CONDITIONS:
            known = ", ".join(sorted(_CONDITIONS))
            raise InvalidQuery(f"filters have no {shorten(name)}; there are {known}")
    try:
        kept: dict[str, Any] = decode_json(encode_json(dict(filters)))
        Endpoint("", "", kept, "", "", (), {}, False, 1, 0, False, "", 0).query()
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, InvalidQuery):
            raise
        raise InvalidQuery(f"filters {shorten(filters)} must be conditions: {error}") from None
    return kept
