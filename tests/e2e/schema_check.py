"""
A checker of values against the parts of JSON Schema that /openapi.json and requests to models use. An unknown
keyword is an error.
"""

import re

KNOWN = {"type", "properties", "required", "items", "enum", "format", "minimum", "maximum", "description", "$ref",
         "oneOf", "anyOf", "const", "title", "additionalProperties", "minLength", "maxLength", "pattern", "minItems",
         "maxItems", "uniqueItems"}
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def _is(value, name):
    if name in ("integer", "number"):
        return not isinstance(value, bool) and isinstance(value, (int,) if name == "integer" else (int, float))
    kinds = {"string": str, "boolean": bool, "array": list, "object": dict, "null": type(None)}
    return isinstance(value, kinds[name])


def check(value, schema, document, where="$"):
    """Raises AssertionError naming the place where the value does not follow the schema."""
    assert not set(schema) - KNOWN, f"{where}: unknown keywords {set(schema) - KNOWN}"
    if "$ref" in schema:
        return check(value, resolve(schema["$ref"], document), document, where)
    if "oneOf" in schema:
        failures = []
        for choice in schema["oneOf"]:
            try:
                check(value, choice, document, where)
            except AssertionError as error:
                failures.append(str(error))
        assert len(failures) == len(schema["oneOf"]) - 1, f"{where}: fits not exactly one schema: {failures}"
        return None
    if "anyOf" in schema:
        check_any(value, schema["anyOf"], document, where)
    if "const" in schema:
        assert value == schema["const"], f"{where}: {value!r} is not {schema['const']!r}"
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        assert any(_is(value, name) for name in types), f"{where}: {value!r} is not of type {types}"
    if "enum" in schema:
        assert value in schema["enum"], f"{where}: {value!r} is none of {schema['enum']}"
    if "minimum" in schema and _is(value, "number"):
        assert schema["minimum"] <= value <= schema["maximum"], f"{where}: {value} is out of range"
    if schema.get("format") == "date-time" and isinstance(value, str):
        assert TIME.match(value), f"{where}: {value!r} is not a time"
    if isinstance(value, dict):
        for name in schema.get("required", []):
            assert name in value, f"{where}: {name} is missing in {sorted(value)}"
        for name, member in schema.get("properties", {}).items():
            if name in value:
                check(value[name], member, document, f"{where}.{name}")
        if schema.get("additionalProperties") is False:
            more = set(value) - set(schema["properties"])
            assert not more, f"{where}: members that are not allowed: {sorted(more)}"
    if isinstance(value, str):
        assert schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)), \
            f"{where}: {len(value)} characters"
    if isinstance(value, list):
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)), \
            f"{where}: {len(value)} items"
        assert not schema.get("uniqueItems") or all(value.count(item) == 1 for item in value), \
            f"{where}: an item twice"
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            check(item, schema["items"], document, f"{where}[{index}]")
    return None


def check_any(value, choices, document, where):
    failures = []
    for choice in choices:
        try:
            return check(value, choice, document, where)
        except AssertionError as error:
            failures.append(str(error))
    raise AssertionError(f"{where}: fits no schema: {failures}")


def resolve(ref, document):
    """The schema that "#/components/schemas/Name" points to."""
    value = document
    for part in ref.removeprefix("#/").split("/"):
        value = value[part]
    return value
