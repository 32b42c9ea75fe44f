"""Schemas that loop, reach out or trip the library do no harm."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.catalog.schemas import GOOD, registered
from tidings.catalog import Catalog, SchemaWarning
from tidings.errors import (
    InvalidSetting,
    SchemaViolation,
    TidingsError,
)
from tidings.event import Event
from tidings.store.memory import MemoryStore

LOOP = {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}


KEYWORDS = (
    *("type", "properties", "items", "$ref", "$id", "pattern", "allOf", "enum", "$schema"),
    *("$defs", "minimum", "multipleOf", "$dynamicRef", "required"),
)


class TestHostileSchemas:
    """A schema reaches no network, and one that cannot be followed counts as broken."""

    @pytest.mark.parametrize(
        ("schema", "reason"),
        [
            (
                {"$ref": "http://localhost:1/x.json"},
                "refers to 'http://localhost:1/x.json' outside",
            ),
            ({"$ref": "https://example.org/x"}, "refers to 'https://example.org/x' outside of it"),
            ({"$ref": "file:///etc/hostname"}, "refers to 'file:///etc/hostname' outside of it"),
            ({"$id": "http://localhost:1/", "$ref": "x.json"}, "refers to .* outside of it"),
            ({"$ref": "#/$defs/none"}, "refers to '/\\$defs/none' outside of it"),
            ({"$ref": "#"}, "refers to itself without end"),
            ({"allOf": [{"$ref": "#"}]}, "refers to itself without end"),
            (LOOP, "refers to itself without end"),
            ({"$schema": "http://json-schema.org/draft-04/schema#", "$ref": "#"}, "without end"),
            ({"$id": "http://[", "$ref": "x"}, "ValueError, 'Invalid IPv6 URL'"),
            ({"properties": {"job_id": {"multipleOf": 0.1}}}, "OverflowError"),
        ],
        ids=range(11),
    )
    def test_cannot_be_followed(
        self, schema: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A payload that cannot be checked is one that does not fit; nothing is fetched or read."""
        opened: list[object] = []
        monkeypatch.setattr("socket.socket.connect", lambda *given: opened.append(given))
        monkeypatch.setattr("urllib.request.urlopen", lambda *given, **_: opened.append(given))
        event = Event("job_done", payload={"job_id": 10**400})
        catalog = registered(MemoryStore(), schema)
        with pytest.raises(SchemaViolation, match=reason) as caught:
            catalog.check(event, "strict")
        assert "cannot be checked against the schema of type 'job_done': " in caught.value.rule
        with pytest.warns(SchemaWarning, match=reason):
            catalog.check(event, "warn")
        assert opened == []

    def test_a_tree_may_refer_to_itself(self) -> None:
        """A schema that describes trees is no loop."""
        tree = {"type": "object", "properties": {"kids": {"items": {"$ref": "#"}}}}
        catalog = registered(MemoryStore(), tree)
        catalog.check(Event("job_done", payload={"kids": [{"kids": [{}]}]}), "strict")
        with pytest.raises(SchemaViolation, match=r"^payload\.kids\[0\]\.kids\[1\] 5 "):
            catalog.check(Event("job_done", payload={"kids": [{"kids": [{}, 5]}]}), "strict")

    def test_one_that_was_kept_without_the_library(self) -> None:
        """What a process without the library registered is judged where it is used."""
        store = MemoryStore()
        store.put("type/job_done", {"schema": {"type": "nope"}})
        with pytest.raises(SchemaViolation, match=r"cannot be checked .*'nope' is not valid"):
            Catalog(store).check(GOOD, "strict")

    @settings(max_examples=150, deadline=None)
    @given(
        schema=st.dictionaries(
            st.sampled_from(KEYWORDS),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats()
                | st.sampled_from(["#", "object", "a+", "(", "urn:x", "http://[", "#/allOf/0"]),
                lambda inner: (
                    st.lists(inner, max_size=3)
                    | st.dictionaries(
                        st.sampled_from(["$ref", "a", "type", "items"]), inner, max_size=2
                    )
                ),
                max_leaves=4,
            ),
            max_size=3,
        ),
        payload=st.sampled_from([{}, {"a": [1, "a"]}, 5, "aa", None, 0.3, [[1]], 10**400]),
    )
    def test_any(self, schema: dict[str, Any], payload: Any) -> None:
        """Any object is refused as a schema, or decides about any payload; nothing else comes."""
        catalog = Catalog(MemoryStore())
        try:
            catalog.register("job_done", schema=schema)
            catalog.check(Event("job_done", payload=payload), "strict")
        except TidingsError as error:
            assert isinstance(error, InvalidSetting | SchemaViolation)  # noqa: PT017 - or none is raised
