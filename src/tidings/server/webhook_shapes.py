"""The shapes of what is asked of `/webhooks` and of what it answers.

Only data, for the OpenAPI document and the routes; what may be in them is decided by
`tidings.delivery.webhooks`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AttemptItem",
    "AttemptsResponse",
    "DeletedWebhook",
    "MadeWebhook",
    "NewWebhook",
    "Replay",
    "ReplayResponse",
    "Resumption",
    "Rotation",
    "TestItem",
    "WebhookChange",
    "WebhookItem",
    "WebhooksResponse",
]


class WebhookItem(BaseModel):
    """A webhook, and how it fares."""

    id: str = Field(description="Its id")
    url: str = Field(description="Where events are sent, secrets in it masked")
    description: str = Field(description="What people call it")
    state: Literal["active", "paused", "disabled"] = Field(description="Whether it is sent events")
    disabled: str | None = Field(description="Why it was stopped by itself: gone, failing")
    filters: dict[str, Any] = Field(description="Which events; see `NewWebhook`")
    body: Literal["cloudevents", "plain"] = Field(description="The form of a body")
    headers: dict[str, str] = Field(description="Further headers, their values masked")
    allow_private: bool = Field(description="Whether it may lie in a private network")
    concurrency: int = Field(description="So many requests may be under way at once")
    created_at: str = Field(description="When it was made")
    position: int = Field(description="How far in the log it has come")
    lag: int = Field(description="How many positions it is behind")
    waiting: int = Field(description="How many events failed and wait to be sent again")
    next_attempt_at: str | None = Field(description="When the first of them is sent again")
    failing_since: str | None = Field(description="Since when nothing succeeded")
    dead_letters: int = Field(description="How many events were given up")
    old_secret_until: str | None = Field(description="How long the old secret signs too")


class MadeWebhook(WebhookItem):
    """A webhook with its new secret."""

    secret: str = Field(description="What messages are signed with; shown this once")


class WebhooksResponse(BaseModel):
    """A page of webhooks."""

    webhooks: list[WebhookItem] = Field(description="The webhooks, the oldest first")
    next: str | None = Field(None, description="The link to the next page; null at the end")


class DeletedWebhook(BaseModel):
    """What was deleted."""

    deleted: str = Field(description="Its id")


class TestItem(BaseModel):
    """How one attempt went."""

    at: str = Field(description="When it began")
    ok: bool = Field(description="Whether the receiver took it")
    status: int | None = Field(description="The status of the answer; null without one")
    seconds: float = Field(description="How long it took")
    error: str | None = Field(description="What went wrong")
    answer: str = Field(description="How the answer begins")


class AttemptItem(TestItem):
    """An attempt to send an event."""

    trigger: str = Field(description="delivery, retry, replay or test")
    event_id: str = Field(description="The event's id")
    position: int | None = Field(description="The event's place in the store")
    type: str = Field(description="The event's type")


class AttemptsResponse(BaseModel):
    """A page of attempts."""

    attempts: list[AttemptItem] = Field(description="The attempts, the newest first")
    next: str | None = Field(None, description="The link to the next page; null at the end")


class ReplayResponse(BaseModel):
    """What is sent again."""

    id: str = Field(description="The webhook's id")
    events: int = Field(description="How many events")
    dry_run: bool = Field(description="Whether they were only counted")


_FORBID = ConfigDict(extra="forbid")


class _Wishes(BaseModel):
    model_config = _FORBID

    description: str = Field("", description="What people call it", max_length=1000)
    body: Literal["cloudevents", "plain"] = Field("cloudevents", description="The form of a body")
    concurrency: int = Field(4, description="So many requests at once", ge=1, le=100)
    allow_private: bool = Field(
        False,
        description="Whether it may lie in a private network; cannot be set to true over HTTP",
    )


class NewWebhook(_Wishes):
    """A webhook to make."""

    url: str = Field(description="Where to send", min_length=1, max_length=2000)
    filters: dict[str, Any] = Field(
        default_factory=dict,
        description="Which events, all that are given must hold: `types` (`job.*`), `project`, "
        "`status`, `source`, `ids`, `aggregate_type`, `aggregate_id`, `correlation_id`, "
        "`causation_id`, `user_id`, `since`, `until`, `payload` (an object of equal values), "
        "`contains`, and `exclude` with an object of the same",
    )
    headers: dict[str, str] = Field(
        default_factory=dict, description="Further headers of each request; never shown again"
    )
    secret: str | None = Field(
        None, description="A secret of your own: `whsec_` and base64 of 24 to 64 bytes"
    )
    start: Literal["beginning", "now"] | int = Field(
        "now", description="Where to start: with the events there are, now, or past a position"
    )


class WebhookChange(_Wishes):
    """What shall be otherwise; what is not named stays (RFC 7396)."""

    url: str = Field("", description="Where to send from now on", min_length=1, max_length=2000)
    filters: dict[str, Any] | None = Field(
        None, description="The filters that change; null for one takes it away, for all takes all"
    )
    headers: dict[str, str | None] | None = Field(
        None, description="The headers that change; null for one takes it away, for all takes all"
    )


class Rotation(BaseModel):
    """How a secret is replaced."""

    model_config = _FORBID

    keep: float = Field(
        86_400.0, description="How long the old one signs too (seconds)", ge=0, le=366 * 86_400
    )
    secret: str | None = Field(None, description="A secret of your own; else a random one")


class Resumption(BaseModel):
    """How a webhook goes on."""

    model_config = _FORBID

    skip: bool = Field(False, description="Whether what came meanwhile is left out")


class Replay(BaseModel):
    """What to send again: one of `event`, `since` and `failed`."""

    model_config = _FORBID

    event: str | int | None = Field(None, description="An event, by its id or its position")
    since: str | int | None = Field(
        None, description="All kept since this moment (ISO 8601, or microseconds since 1970)"
    )
    failed: bool = Field(False, description="All that were given up")
    dry_run: bool = Field(False, description="Whether only to count")
