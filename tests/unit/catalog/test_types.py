"""What is built in, and what is registered for every process of a store."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.unit.catalog.schemas import SCHEMA, registered
from tidings.bus import Bus
from tidings.catalog import BUILT_IN, Catalog
from tidings.errors import (
    InvalidEvent,
    InvalidSetting,
)
from tidings.event import Event
from tidings.store.base import Store

OF_SCITEX = {
    "test_complete": ["exit_code", "module", "log_tail"],
    "job_done": ["job_id", "host", "state"],
    "build_result": ["doc_type", "success", "errors"],
    "scholar_done": ["count", "failed", "project"],
    "stats_done": ["test_name", "p_value", "duration"],
}


class TestBuiltIn:
    """The types every catalog knows from the start."""

    @pytest.mark.parametrize("name", OF_SCITEX)
    def test_those_of_scitex(self, store: Store, name: str) -> None:
        """The five types of scitex-events, with its payload keys in its order."""
        info = Catalog(store).info(name)
        assert info["payload_keys"] == OF_SCITEX[name]
        assert info["description"]
        assert "aggregate_type" not in info

    def test_all(self, store: Store) -> None:
        """Life cycles of agents, workflows, systems and runs, kinds of envelope, and our own."""
        about = {name: info.get("aggregate_type") for name, info in BUILT_IN.items()}
        agent = ["agent.started", "agent.waiting", "agent.completed", "agent.failed", "handoff"]
        agent.append("agent.spawned")
        watched = ["missed", "stuck", "recovered", "full"]
        assert about == {
            **dict.fromkeys(OF_SCITEX),
            **dict.fromkeys(["created", "updated", "deleted"]),
            **dict.fromkeys(agent, "agent"),
            **dict.fromkeys(["tool.started", "tool.completed", "tool.failed"], "tool"),
            **dict.fromkeys(["model.started", "model.completed", "model.failed"], "model"),
            **dict.fromkeys(
                [f"workflow.{what}" for what in ("started", "prompted", "completed", "failed")],
                "workflow",
            ),
            **dict.fromkeys(["session.started", "session.ended"], "system"),
            **dict.fromkeys(["run.started", "run.signaled", "run.completed"], "run"),
            **dict.fromkeys(
                ["tidings.dead_letter", "tidings.subscription.skipped"], "subscription"
            ),
            **dict.fromkeys(["tidings.webhook.disabled", "tidings.webhook.skipped"], "webhook"),
            **dict.fromkeys(["tidings.notice.sent", "tidings.notice.failed"], "notice"),
            **dict.fromkeys([f"tidings.watch.{what}" for what in watched], "watch"),
        }
        assert Catalog(store).names() == sorted(about)

    @pytest.mark.parametrize("name", BUILT_IN)
    def test_each_says_what_it_is(self, name: str) -> None:
        """Each has a name that events can have, a description and a list of keys."""
        info = BUILT_IN[name]
        assert Event(name).type == name
        assert info["description"]
        assert all(key and isinstance(key, str) for key in info["payload_keys"])

    def test_is_not_for_changing(self, store: Store) -> None:
        """What is handed out is the caller's own."""
        catalog = Catalog(store)
        catalog.register("mine", payload_keys=["a"], schema={"properties": {}})
        for name in ("job_done", "mine"):
            before = deepcopy(catalog.info(name))
            changed = catalog.info(name)
            changed["payload_keys"].append("odd")
            changed["description"] = "odd"
            changed.get("schema", {})["odd"] = True
            catalog.names().clear()
            assert catalog.info(name) == before != changed


class TestRegister:
    """What one process registers, every other process of the store knows."""

    def test_is_known(self, store: Store) -> None:
        """Name, description, keys and schema come back, also from another catalog."""
        here = Catalog(store)
        here.register("sim.done", "A simulation ended", ("steps", "é"), SCHEMA)
        for catalog in (here, Catalog(store)):
            assert catalog.info("sim.done") == {
                "description": "A simulation ended",
                "payload_keys": ["steps", "é"],
                "schema": SCHEMA,
            }
            assert catalog.names() == sorted([*BUILT_IN, "sim.done"])

    def test_is_known_elsewhere(self, tmp_path: Path) -> None:
        """Another process knows it, and this one what that one registers, though both are open."""
        url = f"sqlite:///{tmp_path / 'events.db'}"
        script = f"""
from tidings.catalog import Catalog
from tidings.store import open_store
catalog = Catalog(open_store({url!r}))
assert catalog.info("here") == {{"description": "", "payload_keys": ["a"]}}
assert "here" in catalog.names()
catalog.register("there", "Registered there")
"""
        with Bus(url) as bus:
            bus.register_type("here", payload_keys=["a"])
            assert bus.get_type_info("there") == {}
            subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
            assert bus.get_type_info("there")["description"] == "Registered there"
            assert "there" in bus.list_types()

    def test_replaces(self, store: Store) -> None:
        """A type that is registered again is replaced, not merged."""
        catalog = Catalog(store)
        catalog.register("mine", "First", ["a"], SCHEMA)
        catalog.register("mine", payload_keys=["b"])
        assert catalog.info("mine") == {"description": "", "payload_keys": ["b"]}

    def test_lies_over_a_built_in_type(self, store: Store) -> None:
        """A built-in type keeps what is not given."""
        info = registered(store, SCHEMA).info("job_done")
        assert info == {**BUILT_IN["job_done"], "schema": SCHEMA}
        Catalog(store).register("agent.failed", "Ours", ["why"])
        assert Catalog(store).info("agent.failed") == {
            "description": "Ours",
            "payload_keys": ["why"],
            "aggregate_type": "agent",
        }

    def test_keeps_a_copy(self, store: Store) -> None:
        """Changing what was given, or the payload's schema, afterwards changes nothing."""
        schema: dict[str, Any] = {"required": ["a"]}
        catalog = registered(store, schema)
        schema["required"].append("b")
        catalog.check(Event("job_done", payload={"a": 1}), "strict")
        assert catalog.info("job_done")["schema"] == {"required": ["a"]}

    def test_needs_no_registration(self, store: Store) -> None:
        """A type that nobody registered may be emitted, and is then not listed."""
        with Bus(store) as bus:
            assert bus.emit("never.registered").position == 1
            assert "never.registered" not in bus.list_types()

    @pytest.mark.parametrize("name", ["unknown", "", "a\nb", "\ud800", "x" * 300, "type/job_done"])
    def test_unknown(self, store: Store, name: str) -> None:
        """A type that is not known is an empty dict, however odd its name."""
        assert Catalog(store).info(name) == {}

    @pytest.mark.parametrize("name", ["x" * 250, "a/b", "a*", "é", "tidings.odd", "type/"])
    def test_names(self, store: Store, name: str) -> None:
        """Every event type of up to 250 characters may be registered."""
        catalog = Catalog(store)
        catalog.register(name, "Odd")
        assert catalog.info(name)["description"] == "Odd"
        assert name in catalog.names()

    @pytest.mark.parametrize("name", ["", "a\nb", "\ud800", "x" * 251, "x" * 256, None, 5, ["a"]])
    def test_what_is_no_name(self, store: Store, name: Any) -> None:
        """Anything else is refused, and nothing is kept."""
        with pytest.raises(InvalidEvent, match=r"^type ") as caught:
            Catalog(store).register(name)
        assert caught.value.field == "type"
        assert store.keys("") == []

    @pytest.mark.parametrize(
        ("more", "message"),
        [
            ({"description": 5}, "^the description of type 'mine' must be a string$"),
            (
                {"description": "\ud800"},
                "^what is said of type 'mine' cannot be kept: .*surrogates",
            ),
            ({"payload_keys": "abc"}, "^the payload keys of type 'mine' must be a list of strings"),
            ({"payload_keys": ["a", 5]}, "^the payload keys of type 'mine' must be a list"),
            ({"payload_keys": 5}, "^the payload keys of type 'mine' must be a list"),
            ({"schema": []}, "^the schema of type 'mine' must be an object$"),
            ({"schema": True}, "^the schema of type 'mine' must be an object$"),
            ({"schema": "{}"}, "^the schema of type 'mine' must be an object$"),
            ({"schema": {"type": "nope"}}, r"is no JSON Schema: at \$\.type, 'nope' is not valid"),
            ({"schema": {"required": "a"}}, r"at \$\.required, 'a' is not of type 'array'"),
            ({"schema": {"pattern": "("}}, r"at \$\.pattern, '\(' is not a 'regex'"),
            ({"schema": {"pattern": "a{99999999999}"}}, "the repetition number is too large$"),
            ({"schema": {"pattern": "(" * 3000 + ")" * 3000}}, "it is nested too deeply$"),
            ({"schema": {"$ref": 5}}, "5 is not of type 'string'"),
            ({"schema": {"$schema": "urn:x"}}, "dialect that is not known, 'urn:x'; leave"),
            ({"schema": {"$schema": "http://["}}, "dialect that is not known, 'http://\\['; leave"),
            ({"schema": {"$schema": 5}}, "dialect that is not known, 5; leave"),
            ({"schema": {"default": float("nan")}}, "cannot be kept: .* must be a JSON value"),
            ({"schema": {"enum": ["x" * 2_000_000]}}, "cannot be kept: .* bytes as JSON"),
        ],
        ids=range(19),
    )
    def test_what_cannot_be_kept(self, store: Store, more: dict[str, Any], message: str) -> None:
        """An argument that makes no sense is refused with its reason, and nothing is kept."""
        with pytest.raises(InvalidSetting, match=message):
            Catalog(store).register("mine", **more)
        assert store.keys("") == []
