"""An endpoint: an address that is sent events, which ones, in which form and signed with what.

Only the value. Records of endpoints are kept by `endpoints`; what is sent is made by `message`.
"""

from __future__ import annotations

from typing import NamedTuple

from tidings.store.query import Filter, Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["BODIES", "Endpoint", "Secret"]

BODIES = ("cloudevents", "plain")
"""The forms of a body: a CloudEvent in JSON, or the six fields of the seeds' events."""


class Secret(NamedTuple):
    """What messages to an endpoint are signed with.

    Attributes:
        text: `whsec_` and base64, as Standard Webhooks writes it.
        until: from when on it no longer signs (microseconds since 1970), because it was rotated;
            none for the one in force.
    """

    text: str
    until: int | None = None


class Endpoint(NamedTuple):
    """An address that is sent events.

    Attributes:
        id: names it; `wh_` and 16 hex digits.
        url: where to POST.
        filters: which events, as keyword arguments for `Query` (JSON values; `exclude` is an object
            of such arguments for a `Filter`).
        description: what people call it; may be empty.
        body: one of `BODIES`.
        secrets: what messages are signed with, the one in force first.
        headers: further headers of each request, such as `authorization`; they are as secret.
        allow_private: whether it may lie in a private network.
        concurrency: so many requests to it may be under way at once; order within an aggregate is
            kept all the same.
        from_position: it is sent the events past this position.
        paused: whether a person stopped it; it goes on from where it was.
        disabled: why it was stopped by itself (`gone`, `failing`); empty where it was not.
        created_at: when it was made (microseconds since 1970).
    """

    id: str
    url: str
    filters: dict[str, Any]
    description: str
    body: str
    secrets: tuple[Secret, ...]
    headers: dict[str, str]
    allow_private: bool
    concurrency: int
    from_position: int
    paused: bool
    disabled: str
    created_at: int

    @property
    def subscription(self) -> str:
        """Its name among subscriptions and dead letters."""
        return f"webhook:{self.id}"

    @property
    def active(self) -> bool:
        """Whether it is sent events now."""
        return not self.paused and not self.disabled

    def query(self) -> Query:
        """Which events it is sent, `tidings.*` types left out unless it names them."""
        filters = dict(self.filters)
        exclude = filters.pop("exclude", None)
        from tidings.bus import followed

        return followed(Query(exclude=None if exclude is None else Filter(**exclude), **filters))

    def to_value(self) -> dict[str, Any]:
        """As a JSON value, secrets included; `Endpoint.of` reads it."""
        return {**self._asdict(), "secrets": [list(secret) for secret in self.secrets]}

    @classmethod
    def of(cls, value: dict[str, Any]) -> Endpoint:
        """What `to_value` wrote."""
        return cls(**{**value, "secrets": tuple(Secret(*secret) for secret in value["secrets"])})
