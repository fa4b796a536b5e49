"""Derive the JSON Schema 2020-12 of each event's data from the event bodies.

Only keywords that draft 07 has too, with the same meaning, are used, so that AsyncAPI tools can read the
schemas. A schema does not know the record: it cannot check a time against the Kafka timestamp, the
configured currency, or whether a date exists. In everything else it agrees with `decode`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from streamer.events.counting_rules import SECOND, CountingRules
from streamer.events.event_bodies import NOT_BLANK, SCALES, EventBody, field_schemas, words_schema
from streamer.events.kinds import KINDS

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
UNKNOWN_VALUE: Final[Schema] = {"type": ["string", "null"], "not": {"type": "string", "pattern": NOT_BLANK}}
"""Schema of an unknown value: null, or a text of blanks."""


def event_schema(topic: str, rules: CountingRules) -> Schema:
    """Return the schema of the data of one of TOPICS: a fact or a tombstone. The rules set the longest wait.

    >>> schema = event_schema("call-completed", CountingRules())
    >>> schema["anyOf"][0]["required"]
    ['queue', 'contact_id', 'ended_at', 'outcome']
    >>> schema["anyOf"][0]["properties"]["wait_s"]["anyOf"][0]["maximum"] // 86_400  # days
    35.0
    """
    kind = KINDS[topic]
    body = kind.body
    return {
        "$schema": DIALECT,
        "title": topic,
        "description": f"{body.__doc__} Times are RFC 3339 with a zone, or epoch seconds; unknown fields are "
        "ignored, null and absent mean unknown.",
        "type": "object",
        "anyOf": [_fact_schema(body, rules), _tombstone_schema(body)],
        "examples": [dict(example) for example in kind.examples],
    }


def _fact_schema(body: type[EventBody], rules: CountingRules) -> Schema:
    schemas = {
        name: (_with_rule_limits(schema, extra, rules), extra)
        for name, (schema, extra) in field_schemas(body).items()
    }
    schemas["deleted"] = ({"description": "a fact is not deleted", "const": False}, {})
    conditions = [
        _conditional_schema(name, schema, extra)
        for name, (schema, extra) in schemas.items()
        if _is_conditional(extra)
    ]
    conditions += [
        _required_unless_schema(name, schema, *extra["needed_unless"])
        for name, (schema, extra) in schemas.items()
        if "needed_unless" in extra
    ]
    if "scale" in schemas:
        conditions += [_single_scale_schema(question) for question in SCALES]
    schema: Schema = {
        "title": "fact",
        "properties": {name: _property_schema(schema, extra) for name, (schema, extra) in schemas.items()},
        "required": [name for name, (_, extra) in schemas.items() if "needed" in extra],
    }
    return schema | ({"allOf": conditions} if conditions else {})


def _with_rule_limits(schema: Schema, extra: Mapping[str, Any], rules: CountingRules) -> Schema:
    return schema | {"maximum": rules.horizon_ms / SECOND} if "horizon" in extra else schema


def _property_schema(schema: Schema, extra: Mapping[str, Any]) -> Schema:
    if _is_conditional(extra):
        return {"description": schema["description"]}
    return schema if "needed" in extra else _or_unknown(schema, extra)


def _or_unknown(schema: Schema, extra: Mapping[str, Any]) -> Schema:
    description = {name: value for name, value in schema.items() if name == "description"}
    constraints = {name: value for name, value in schema.items() if name not in description}
    if not constraints:
        return description
    return {**description, "anyOf": [constraints, UNKNOWN_VALUE if "blank" in extra else {"type": "null"}]}


def _is_conditional(extra: Mapping[str, Any]) -> bool:
    return "unless" in extra or "beside" in extra


def _conditional_schema(name: str, schema: Schema, extra: Mapping[str, Any]) -> Schema:
    """Return the schema of a field that is read only where another is unknown, or only where it is known."""
    bare = {key: value for key, value in schema.items() if key != "description"}
    then = {"properties": {name: _or_unknown(bare, extra)}}
    if "unless" in extra:
        return {"if": {"properties": {extra["unless"]: {"type": "null"}}}, "then": then}
    other = extra["beside"]
    return {"if": {"required": [other], "properties": {other: {"not": {"type": "null"}}}}, "then": then}


def _required_unless_schema(name: str, schema: Schema, other: str, word: str) -> Schema:
    """Return the schema of a field that is required unless another one has this word."""
    bare = {key: value for key, value in schema.items() if key != "description"}
    condition = {"required": [other], "properties": {other: words_schema((word,))}}
    return {"if": condition, "else": {"required": [name], "properties": {name: bare}}}


def _single_scale_schema(question: str) -> Schema:
    """Return the condition for one scale, written as text, for all questions answered."""
    low, high = SCALES[question]
    condition = {
        "required": ["scale", "answers"],
        "properties": {
            "scale": {"type": "string", "pattern": NOT_BLANK},
            "answers": {"required": [question]},
        },
    }
    return {"if": condition, "then": {"properties": {"scale": {"const": f"{low}-{high}"}}}}


def _tombstone_schema(body: type[EventBody]) -> Schema:
    schemas = field_schemas(EventBody) | field_schemas(body)
    schemas["version"], schemas["updated_at"] = (
        field_schemas(EventBody)["version"],
        field_schemas(EventBody)["updated_at"],
    )
    return {
        "title": "tombstone",
        "description": "takes back the fact of this id, unless a higher version says otherwise",
        "properties": {"deleted": {"const": True}, **_moment_property(body, schemas)},
        "required": ["deleted"],
        "allOf": [_first_known_schema(body.ids, schemas), _first_known_schema(body.versions, schemas)],
    }


def _moment_property(
    body: type[EventBody], schemas: Mapping[str, tuple[Schema, Mapping[str, Any]]]
) -> Schema:
    """Return the property by which a tombstone names a moment; none where it takes back all."""
    if body.moment is None:
        return {}
    schema, extra = schemas[body.moment]
    described = schema | {"description": "takes back only what began then; absent: all of this id"}
    return {body.moment: _or_unknown(described, extra)}


def _first_known_schema(
    names: Sequence[str], schemas: Mapping[str, tuple[Schema, Mapping[str, Any]]]
) -> Schema:
    """Return the schema for: one of these fields is known and read, those before it are unknown."""
    choices: list[Schema] = []
    for name_index, name in enumerate(names):
        schema, _ = schemas[name]
        unknown = {
            other: UNKNOWN_VALUE if "blank" in schemas[other][1] else {"type": "null"}
            for other in names[:name_index]
        }
        choices.append({"required": [name], "properties": {**unknown, name: schema}})
    return choices[0] if len(choices) == 1 else {"anyOf": choices}
