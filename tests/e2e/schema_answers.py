"""Makes up values that follow a JSON Schema, as a model under constraint does; no meaning in them."""

WORDS = ("refund", "late", "order", "blue", "café", "two", "Zürich", "asks", "again", "“quoted”", "a\\b",
         "line\nbreak", "tab\there", "東京", "🙂", "soon", "wants", "the", "same", "price")


def _text(schema, rng):
    least, most = schema.get("minLength", 0), schema.get("maxLength", 60)
    text = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 4)))
    while len(text) < least:
        text += " " + rng.choice(WORDS)
    return text[:most]


def _number(schema, rng):
    least, most = schema.get("minimum", 0), schema.get("maximum", 1)
    return round(rng.uniform(least, most), 3)


def _list(schema, rng, root):
    least = schema.get("minItems", 0)
    wanted = rng.randint(least, max(least, min(schema.get("maxItems", 3), least + 3)))
    values = []
    for _ in range(wanted * 20):
        if len(values) == wanted:
            break
        value = answer(schema["items"], rng, root)
        if not schema.get("uniqueItems") or value not in values:
            values.append(value)
    return values


def answer(schema, rng, root=None):
    """A value that follows the schema. rng: random.Random, so that the same question gets the same answer."""
    root = root or schema
    if "$ref" in schema:
        target = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return answer(target, rng, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return rng.choice(schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return answer(rng.choice(schema[word]), rng, root)
    kind = schema["type"]
    if isinstance(kind, list):
        kind = rng.choice(kind)
    if kind == "object":
        return {name: answer(member, rng, root) for name, member in schema.get("properties", {}).items()}
    if kind == "array":
        return _list(schema, rng, root)
    if kind == "string":
        return _text(schema, rng)
    if kind == "integer":
        return rng.randint(schema.get("minimum", 0), schema.get("maximum", 100))
    if kind == "number":
        return _number(schema, rng)
    if kind == "boolean":
        return rng.random() < 0.5
    assert kind == "null", f"a type that no answer is made for: {kind}"
    return None


def spoil_enumerations(value, schema, number=0):
    """The value with a word of no list wherever the schema allows only those of one."""
    if "enum" in schema and all(isinstance(choice, str) for choice in schema["enum"]):
        return f"florb{number}"
    if isinstance(value, dict):
        members = schema.get("properties", {})
        return {name: spoil_enumerations(member, members.get(name, {})) for name, member in value.items()}
    if isinstance(value, list):
        return [spoil_enumerations(item, schema.get("items", {}), i) for i, item in enumerate(value)]
    return value
