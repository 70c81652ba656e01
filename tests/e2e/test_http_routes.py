"""Every route of /openapi.json, each answer against its schema; and what each does."""

import json

import pytest

from conftest import message
from schema_check import check, resolve

PATHS = {
    "/": {"get"}, "/health": {"get"}, "/live": {"get"}, "/ready": {"get"}, "/metrics": {"get"},
    "/openapi.json": {"get"}, "/v1/messages": {"post"}, "/v1/messages/{message_id}": {"get", "delete"},
    "/v1/users/{user_id}/threads/{thread_id}/messages": {"get"},
    "/v1/users/{user_id}/threads/{thread_id}/window": {"get"}, "/v1/users/{user_id}/search": {"get"},
    "/v1/context": {"post"}, "/v1/users/{user_id}/preferences": {"get", "patch"},
    "/v1/users/{user_id}/preferences/signals": {"get"}, "/v1/users/{user_id}/preferences/apply": {"post"},
    "/v1/users/{user_id}/export": {"get"}, "/v1/users/{user_id}": {"delete"}, "/v1/agents": {"get", "post"},
    "/v1/keys": {"get", "post"}, "/v1/keys/{key_id}": {"delete"},
    "/v1/agents/{agent_id}": {"get", "delete"}, "/v1/multi-agent/stats": {"get"}, "/v1/queue": {"get"},
    "/v1/queue/retry": {"post"}, "/v1/queue/purge": {"post"}, "/v1/cache/stats": {"get"},
    "/v1/cache/invalidate": {"post"}, "/v1/tiers/migrate": {"post"},
    "/v1/tiers/runs": {"get"}, "/v1/tiers/undo": {"post"}, "/v1/workers/health": {"get"},
    "/v1/enrichment/metrics": {"get"}, "/v1/metrics": {"get"}, "/v1/models": {"get"}, "/v1/status": {"get"},
    "/v1/usage": {"get"}, "/v1/users": {"get"}, "/v1/users/{user_id}/threads": {"get"},
    "/dashboard.js": {"get"}, "/dashboard.css": {"get"}, "/dashboard.svg": {"get"},
}

KEY = "0123456789abcdef"


@pytest.fixture
def server(make_server):
    """With keys: where one is made in the middle, requests would need one from then on."""
    running = make_server(config=f"server: {{api_keys: [{KEY}]}}\n", headers={"Authorization": f"Bearer {KEY}"})
    running.key_id = running.http.post("/v1/keys", BODIES["createKey"]).json["key_id"]
    return running


# Body and query of one good request for each operation that needs them.
BODIES = {
    "ingestMessages": message("Where is my order A-1042?"),
    "assembleContext": {"user_id": "u1", "thread_id": "t1", "query": "Where is my order?"},
    "patchPreferences": {"language": "de", "interests": ["chess"]},
    "registerAgent": {"agent_id": "a1", "name": "First"},
    "createKey": {"name": "web", "scopes": ["read"]},
    "invalidateCache": {"user_id": "u1"},
    "migrateTiers": {"dry_run": True},
    "undoTiers": {"dry_run": True},
    "applySignals": {},
}
QUERIES = {"search": {"q": "order"}}


@pytest.fixture
def document(server):
    return server.http.get("/openapi.json").json


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def concrete_path(server, path):
    return path.format(user_id="u1", thread_id="t1", message_id="m1", agent_id="a1", key_id=server.key_id)


def call(server, path, method, operation):
    path = concrete_path(server, path)
    body = BODIES.get(operation["operationId"])
    return server.http.request(method.upper(), path, body, query=QUERIES.get(operation["operationId"]))


def built(server):
    """Whether the dashboard is in this program."""
    return "not built" not in server.http.get("/").json


def check_answer(response, operation, document):
    answers = operation["responses"]
    answer = answers.get(str(response.status), answers["default"])
    if "content" not in answer:
        assert response.body == b""
        return
    assert response.headers["content-type"] in answer["content"]
    schema = answer["content"][response.headers["content-type"]]["schema"]
    if "json" in response.headers["content-type"]:
        assert response.body.endswith(b"\n"), "a shell's prompt begins on a line of its own"
    if "ndjson" in response.headers["content-type"]:
        for line in response.json.splitlines():
            check(json.loads(line), schema, document)
    else:
        check(response.json, schema, document)


def test_the_description_names_every_route_and_no_other(document):
    assert {path: set(methods) for path, methods in document["paths"].items()} == PATHS
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert document["openapi"].startswith("3.1")


def test_the_description_is_consistent(document):
    text = json.dumps(document)
    for ref in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        resolve(ref, document)
    for path, _, operation in operations(document):
        named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


def test_every_route_answers_by_its_schema(server, document):
    server.http.post("/v1/messages", message("Where is my order A-1042?", message_id="m1"))
    server.http.post("/v1/agents", {"agent_id": "a1", "name": "First"})
    server.http.post("/v1/messages", message("Where was my order?", message_id="m0", created_at="2025-01-01T10:00:00Z"))
    server.drain()
    assert server.http.post("/v1/tiers/migrate", {}).json["run"], "there is something to undo"
    # What removes comes last, so that the others find something.
    todo = sorted(operations(document), key=lambda item: (item[1] == "delete", item[0] == "/v1/users/{user_id}"))
    for path, method, operation in todo:
        response = call(server, path, method, operation)
        where = f"{method} {path}: {response}"
        if path.startswith("/dashboard.") and not built(server):
            assert response.status == 404, where
            continue
        assert response.status in {int(code) for code in operation["responses"] if code != "default"}, where
        assert response.status < 300, where
        try:
            check_answer(response, operation, document)
        except AssertionError as error:
            raise AssertionError(f"{method} {path}: {error}") from None


def test_every_route_refuses_by_the_schema_of_problems(server, document):
    for path, method, _ in operations(document):
        concrete = concrete_path(server, path)
        response = server.http.request(method.upper(), concrete, {} if method in ("post", "patch") else None,
                                       query={"no_such_parameter": "1"})
        assert response.status == 400, f"{method} {path}: {response}"
        assert response.headers["content-type"] == "application/problem+json"
        check(response.json, {"$ref": "#/components/schemas/Problem"}, document)
        assert response.json["field"] == "no_such_parameter"


def test_every_query_parameter_is_known_to_its_route(server, document):
    """A described parameter is read: a wrong value of its type is refused by name."""
    wrong = {"integer": "x", "number": "x", "boolean": "x", "array": ",", "string": None}
    for path, method, operation in operations(document):
        concrete = concrete_path(server, path)
        for parameter in operation["parameters"]:
            value = wrong[parameter["schema"]["type"]]
            if parameter["schema"].get("format") == "date-time" or "enum" in parameter["schema"]:
                value = "x"
            if parameter["in"] != "query" or value is None:
                continue
            response = server.http.request(method.upper(), concrete, query={parameter["name"]: value})
            assert (response.status, response.json["field"]) == (400, parameter["name"])


def test_every_body_field_is_known_to_its_route(server, document):
    """A described member is read: a wrong type is refused by its name."""
    for path, method, operation in operations(document):
        if "requestBody" not in operation:
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        concrete = concrete_path(server, path)
        good = BODIES.get(operation["operationId"], {})
        for name in schema["properties"]:
            body = {**good, name: {"a": 1} if schema["properties"][name]["type"][0] != "object" and
                    schema["properties"][name]["type"] != "object" else 7}
            response = server.http.request(method.upper(), concrete, body)
            assert response.status == 400, f"{method} {path} {name}: {response}"
            assert response.json["field"] == name, f"{method} {path} {name}: {response}"
        response = server.http.request(method.upper(), concrete, {**good, "no_such_field": 1})
        assert (response.status, response.json["field"]) == (400, "no_such_field"), f"{method} {path}: {response}"


def test_message_life(server):
    stored = server.http.post("/v1/messages", message(
        "Grüße aus Köln 👋", message_id="m-1", created_at="2026-01-31T12:00:00Z", metadata={"channel": "mail"}))
    assert stored.status == 201
    assert stored.headers["location"] == "/v1/messages/m-1"
    assert stored.json["raw_text"] == "Grüße aus Köln 👋"
    assert stored.json["created_at"] == "2026-01-31T12:00:00.000000Z"
    repeat = server.http.post("/v1/messages", message(
        "Grüße aus Köln 👋", message_id="m-1", created_at="2026-01-31T12:00:00Z", metadata={"channel": "mail"}))
    assert repeat.status == 200
    other = server.http.post("/v1/messages", message("Something else", message_id="m-1"))
    assert other.status == 409
    server.drain()
    read = server.http.get("/v1/messages/m-1")
    assert read.status == 200
    assert read.json["enrichment_state"] == "enriched"
    assert read.json["metadata"]["extra"] == {"channel": "mail"}
    assert server.http.delete("/v1/messages/m-1").status == 204
    assert server.http.get("/v1/messages/m-1").status == 404
    assert server.http.delete("/v1/messages/m-1").status == 404


def test_pages_of_a_thread(server):
    for number in range(7):
        assert server.http.post("/v1/messages", message(f"Line {number}", message_id=f"m{number}")).status == 201
    texts, before = [], None
    while True:
        query = {"limit": 3, **({"before": before} if before else {})}
        page = server.http.get("/v1/users/u1/threads/t1/messages", query=query).json
        texts += [m["raw_text"] for m in page["messages"]]
        before = page.get("next")
        if not before:
            break
    assert texts == [f"Line {number}" for number in reversed(range(7))]
    window = server.http.get("/v1/users/u1/threads/t1/window", query={"max_messages": 2}).json
    assert [m["raw_text"] for m in window["messages"]] == ["Line 5", "Line 6"]
    assert server.http.get("/v1/users/u1/threads/none/messages").json == {"messages": []}


def test_search_takes_lists_both_ways(server):
    server.http.post("/v1/messages", message("My refund for order A-1042 never arrived"))
    server.http.post("/v1/messages", message("I cannot log in with my password"))
    server.drain()
    found = [{hit["message"]["message_id"] for hit in server.http.get("/v1/users/u1/search?" + query).json["hits"]}
             for query in ("topics=refund,login", "topics=refund&topics=login")]
    assert found[0] == found[1]
    assert len(found[0]) == 2
    hits = server.http.get("/v1/users/u1/search", query={"q": "refund"}).json["hits"]
    assert "refund" in hits[0]["message"]["raw_text"]
    assert server.http.get("/v1/users/u1/search").status == 400
    assert "why" not in hits[0]
    hits = server.http.get("/v1/users/u1/search", query={"q": "refund", "explain": "true"}).json["hits"]
    assert hits[0]["why"][0]["feature"] == "words" and 0 < hits[0]["why"][0]["share"] <= 1
    assert server.http.get("/v1/users/u1/search", query={"q": "refund", "explain": "perhaps"}).status == 400
    since = server.http.get("/v1/users/u1/search", query={"q": "refund", "since": "2100-01-01T00:00:00Z"})
    assert since.json["hits"] == []


def test_cache_invalidation_takes_exactly_one_kind(server):
    server.http.post("/v1/messages", message("hello there, my parcel is late"))
    server.http.get("/v1/users/u1/threads/t1/messages")
    assert server.http.post("/v1/cache/invalidate", {"user_id": "u1", "thread_id": "t1"}).json == {"invalidated": 1}
    for body in ({}, {"all": False}, {"topic": "billing", "user_id": "u1"}, {"thread_id": "t1", "topic": "billing"}):
        assert server.http.post("/v1/cache/invalidate", body).status == 400
    for body in ({"all": True}, {"topic": "billing"}, {"max_age_seconds": 3600}):
        assert server.http.post("/v1/cache/invalidate", body).status == 200


def test_the_page_needs_nothing_from_elsewhere(server):
    """test_dashboard.py has more where the dashboard is built."""
    response = server.http.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "http://" not in response.json and "https://" not in response.json and "<script>" not in response.json
    assert ("<script" in response.json) == built(server)


def test_users_and_threads_are_listed(server):
    for user, thread in (("ann", "t1"), ("ann", "t2"), ("anna", "t1"), ("bob", "t1")):
        server.http.post("/v1/messages", message("Where is my parcel?", user_id=user, thread_id=thread,
                                                 created_at=f"2026-01-0{thread[1]}T12:00:00Z"))
    first = server.http.get("/v1/users", query={"limit": 2}).json
    assert first == {"next": "anna", "users": [
        {"user_id": "ann", "messages": 2, "threads": 2, "last_message_at": "2026-01-02T12:00:00.000000Z"},
        {"user_id": "anna", "messages": 1, "threads": 1, "last_message_at": "2026-01-01T12:00:00.000000Z"}]}
    rest = server.http.get("/v1/users", query={"limit": 2, "after": first["next"]}).json
    assert [user["user_id"] for user in rest["users"]] == ["bob"] and "next" not in rest
    begun = server.http.get("/v1/users", query={"prefix": "ann", "after": "ann"}).json
    assert [user["user_id"] for user in begun["users"]] == ["anna"]
    threads = server.http.get("/v1/users/ann/threads", query={"limit": 1}).json
    assert threads == {"next": "t2", "threads": [
        {"thread_id": "t2", "messages": 1, "last_message_at": "2026-01-02T12:00:00.000000Z"}]}
    rest = server.http.get("/v1/users/ann/threads", query={"limit": 1, "after": "t2"}).json
    assert [thread["thread_id"] for thread in rest["threads"]] == ["t1"]
    assert server.http.get("/v1/users/nobody/threads").json == {"threads": []}
    for path, field in (("/v1/users?limit=0", "limit"), ("/v1/users?limit=1001", "limit"), ("/v1/users?prefix=a%2Fb", "prefix"),
                        ("/v1/users?after=%2F", "after"), ("/v1/users/ann/threads?after=a+b", "after"),
                        ("/v1/users/a%20b/threads", "user_id"), ("/v1/users/ann/threads?prefix=t", "prefix")):
        refused = server.http.get(path)
        assert (refused.status, refused.json["field"]) == (400, field), path


def test_metrics_text(server):
    server.http.post("/v1/messages", message("Where is my parcel?"))
    response = server.http.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "mindcore_messages_ingested_total 1" in response.json


def test_export_and_erasure(server):
    for number in range(3):
        server.http.post("/v1/messages", message(f"The invoice {number} is wrong"))
    server.drain()
    lines = [json.loads(line) for line in server.http.get("/v1/users/u1/export").json.splitlines()]
    assert sum(line["type"] == "message" for line in lines) == 3
    receipt = server.http.delete("/v1/users/u1").json
    assert receipt["messages"] == 3 and receipt["verified"] is True
    assert "message" not in {json.loads(line)["type"]
                             for line in server.http.get("/v1/users/u1/export").json.splitlines()}
