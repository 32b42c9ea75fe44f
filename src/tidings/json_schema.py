"""JSON Schema: is a schema one, and does a payload fit it?

The one place that knows the library `jsonschema` (the extra `schema`), which is loaded only where a
type has a schema. Keeps: a schema never reaches the network, and a payload that cannot be checked
counts as one that does not fit. It does not bound how long a check takes: a `pattern` that
backtracks without end holds up its emits, so who registers types must be trusted that far.
`format` is an annotation, as in JSON Schema 2020-12, and not checked. Which type has which schema
`catalog` knows.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from tidings.errors import InvalidSetting, MissingExtra, shorten

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

__all__ = ["PayloadSchema", "Violation", "ensure_schema"]

_SHOWN_MESSAGE = 200
"""Characters of the library's message that go on; it repeats what may be a whole payload."""


class Violation(NamedTuple):
    """Where a payload does not fit its schema.

    `field` is the place in the payload, such as `payload.items[3]`, `value` what is there, `rule`
    the end of the sentence that says what is wrong, and `broken` the place in the schema.
    """

    field: str
    value: Any
    rule: str
    broken: str


def ensure_schema(name: str, schema: object) -> None:
    """Refuse what is not a JSON Schema in the form of an object.

    Args:
        name: the event type it is for, as the error names it.
        schema: a JSON Schema of any draft the library knows; 2020-12 where it does not say.

    Raises:
        InvalidSetting: it is no object, or breaks the rules of its draft. Without the library only
            the former is looked at.
    """
    if not isinstance(schema, dict):
        raise InvalidSetting(f"the schema of type {shorten(name)} must be an object")
    if _library() is not None:
        _validator_class(name, schema)


class PayloadSchema:
    """The schema of one event type; the library is loaded when the first payload is looked at.

    Args:
        name: the event type, as messages name it.
        schema: its JSON Schema.

    >>> schema = PayloadSchema("job_done", {"properties": {"job_id": {"type": "integer"}}})
    >>> schema.violation({"job_id": 4711}) is None
    True
    >>> violation = schema.violation({"job_id": "x"})
    >>> violation.field, violation.rule
    ('payload.job_id', "does not fit the schema of type 'job_done': 'x' is not of type 'integer'")
    """

    def __init__(self, name: str, schema: dict[str, Any]) -> None:
        self._name = name
        self._schema = schema
        self._validator: Validator | None = None

    def violation(self, payload: Any) -> Violation | None:
        """Where the payload does not fit, at the place that tells most; none where it fits.

        Raises:
            MissingExtra: the library is not installed.
        """
        if _library() is None:
            raise MissingExtra("checking payloads against a JSON Schema", "schema")
        from jsonschema.exceptions import best_match
        from referencing.exceptions import Unresolvable

        try:
            found = best_match(self._ready().iter_errors(payload))
        except InvalidSetting as unusable:
            return self._unchecked(payload, str(unusable))
        except Unresolvable as unresolved:
            return self._unchecked(payload, f"it refers to {shorten(unresolved.ref)} outside of it")
        except RecursionError:
            return self._unchecked(payload, "it refers to itself without end, or is too deep")
        except Exception as error:  # noqa: BLE001 - a stranger's schema may trip the library anywhere
            return self._unchecked(payload, f"{type(error).__name__}, {shorten(str(error))}")
        return None if found is None else self._violation(found)

    def _ready(self) -> Validator:
        if self._validator is None:
            from referencing import Registry

            validator_class = _validator_class(self._name, self._schema)
            # The library's own registry would fetch references from the network; this is empty.
            self._validator = validator_class(self._schema, registry=Registry())
        return self._validator

    def _violation(self, error: ValidationError) -> Violation:
        detail = error.message
        if len(detail) > _SHOWN_MESSAGE:
            detail = f"{error.validator} must be {shorten(error.validator_value)}"
        return Violation(
            f"payload{error.json_path.removeprefix('$')}",
            error.instance,
            f"does not fit the schema of type {self._name!r}: {detail}",
            "/".join(map(str, error.absolute_schema_path)),
        )

    def _unchecked(self, payload: object, reason: str) -> Violation:
        rule = f"cannot be checked against the schema of type {self._name!r}: {reason}"
        return Violation("payload", payload, rule, reason)


@cache
def _library() -> ModuleType | None:
    try:
        import jsonschema
    except ImportError:
        return None
    return jsonschema


def _validator_class(name: str, schema: dict[str, Any]) -> type[Validator]:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator

    dialect = schema.get("$schema", "")
    known = _known_dialect(schema) if isinstance(dialect, str) else None
    if dialect != "" and known is None:
        raise InvalidSetting(
            f"the schema of type {shorten(name)} is in a dialect that is not known, "
            f"{shorten(dialect)}; leave $schema out for JSON Schema 2020-12"
        )
    validator_class = known or Draft202012Validator
    try:
        validator_class.check_schema(schema)
    except SchemaError as error:
        raise _no_schema(name, f"at {error.json_path}, {error.message[:_SHOWN_MESSAGE]}") from None
    except RecursionError:
        raise _no_schema(name, "it is nested too deeply") from None
    except OverflowError as error:  # a pattern such as `a{99999999999}`
        raise _no_schema(name, str(error)) from None
    return validator_class


def _known_dialect(schema: dict[str, Any]) -> type[Validator] | None:
    from jsonschema.validators import validator_for

    try:
        return validator_for(schema, default=None)  # type: ignore[arg-type]  # any default is taken
    except ValueError:  # no URI
        return None


def _no_schema(name: str, reason: str) -> InvalidSetting:
    return InvalidSetting(f"the schema of type {shorten(name)} is no JSON Schema: {reason}")
