"""What the server does with bad requests: each gets its status, names the field, and harms nothing."""

import json
import re

import pytest

from conftest import Server, message, wait_until

JSON = "Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all of this file: after every bad request it must still be there."""
    with Server(tmp_path_factory.mktemp("input"), config="server: {request_timeout: 2}\n") as running:
        yield running


def raw_post(server, body, headers=JSON, path="/v1/messages", length=None):
    if isinstance(body, str):
        body = body.encode()
    length = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}"
    if length >= 0:
        head += f"Content-Length: {length}\r\n"
    return server.raw(head.encode() + b"\r\n" + body)


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


def problem_of(answer):
    return json.loads(answer.split(b"\r\n\r\n", 1)[1])


@pytest.mark.parametrize(("change", "field"), [
    ({"user_id": None}, "user_id"), ({"thread_id": None}, "thread_id"), ({"session_id": None}, "session_id"),
    ({"role": None}, "role"), ({"text": None}, "text"), ({"user_id": 7}, "user_id"), ({"text": ["x"]}, "text"),
    ({"text": ""}, "text"), ({"text": " \n\t"}, "text"), ({"text": "a\u0000b"}, "text"), ({"role": "robot"}, "role"),
    ({"user_id": "a b"}, "user_id"), ({"user_id": "ü"}, "user_id"), ({"user_id": "x" * 256}, "user_id"),
    ({"thread_id": ""}, "thread_id"), ({"message_id": "a/b"}, "message_id"), ({"visibility": "all"}, "visibility"),
    ({"sharing_groups": "g"}, "sharing_groups"), ({"sharing_groups": [1]}, "sharing_groups"),
    ({"created_at": "yesterday"}, "created_at"), ({"created_at": 12}, "created_at"), ({"metadata": []}, "metadata"),
    ({"metadata": {"x": "y" * 70000}}, "metadata"), ({"colour": "red"}, "colour"), ({"text": "x" * 100001}, "text"),
], ids=range(25))
def test_message_fields(server, change, field):
    body = {name: value for name, value in {**message("hello"), **change}.items() if value is not None}
    if "a\u0000b" in body.get("text", ""):
        # JSON itself is refused there: NUL is nowhere allowed.
        assert server.http.post("/v1/messages", body).status == 400
        return
    response = server.http.post("/v1/messages", body)
    assert response.status in (400, 413), response
    assert response.json["field"] == field, response
    assert response.json["status"] == response.status
    assert response.json["detail"]


@pytest.mark.parametrize("body", [
    "", " ", "{", "{}}", "[]", "null", "7", '"x"', "{'a': 1}", '{"user_id": "u", "user_id": "v"}', "\ufeff{}",
    '{"text": "\\ud800"}', "[" * 100, "[" * 100000, '{"a":' * 70 + "1" + "}" * 70, '{"text": NaN}',
], ids=range(16))
def test_bodies_that_are_no_message(server, body):
    answer = raw_post(server, body)
    assert status_of(answer) == 400, answer
    assert b"application/problem+json" in answer
    assert server.http.get("/live").status == 200


@pytest.mark.parametrize("body", [b'{"text": "\xff\xfe"}', b'{"text": "\xc0\xaf"}', b'{"text": "\xed\xa0\x80"}',
                                  b"\x00\x01\x02", b'{"text": "a\x00b"}'])
def test_bodies_that_are_no_text(server, body):
    assert status_of(raw_post(server, body)) == 400


@pytest.mark.parametrize(("headers", "status"), [
    ("", 415), ("Content-Type: text/plain\r\n", 415), ("Content-Type: application/x-www-form-urlencoded\r\n", 415),
    ("Content-Type: application/json; charset=latin-1\r\n", 415), ("Content-Type: multipart/form-data\r\n", 415),
    ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", 415),
    ("Content-Type: application/json; charset=utf-8\r\n", 201), ("Content-Type: Application/JSON\r\n", 201),
    ("Content-Type: application/json; charset=\"UTF-8\"\r\n", 201),
    ("Content-Type: application/json\r\nContent-Encoding: identity\r\n", 201),
    ("Content-Type: application/json\r\nContent-Type: application/json\r\n", 400),
])
def test_content_types(server, headers, status):
    answer = raw_post(server, json.dumps(message("My parcel is late")), headers)
    assert status_of(answer) == status, answer


def test_a_body_that_is_too_large_is_refused_unread(make_server):
    server = make_server(config="server: {max_body: 10KiB}\n")
    # Only the headers are sent: the answer comes all the same.
    answer = raw_post(server, b"", JSON + "Expect: 100-continue\r\n", length=50_000_000)
    assert status_of(answer) == 413
    assert "max_body" in problem_of(answer)["detail"]
    assert status_of(raw_post(server, b"x" * 10241)) == 413
    exact = json.dumps(message("x" * 9000))
    assert status_of(raw_post(server, exact + " " * (10240 - len(exact)))) == 201
    chunk = b"2000\r\n" + b"x" * 8192 + b"\r\n"
    chunked = JSON + "Transfer-Encoding: chunked\r\n"
    assert status_of(raw_post(server, chunk * 3 + b"0\r\n\r\n", chunked, length=-1)) == 413
    # Without an end the server does not read for ever.
    assert status_of(raw_post(server, chunk * 400, chunked, length=-1)) == 413
    assert server.http.get("/live").status == 200


def test_framing(server):
    body = json.dumps(message("My parcel is late", user_id="framing"))
    both = JSON + "Transfer-Encoding: chunked\r\n"
    assert status_of(raw_post(server, body, both)) == 400
    assert status_of(raw_post(server, body, JSON + f"Content-Length: {len(body) + 5}\r\n")) == 400
    assert status_of(raw_post(server, body, JSON + "Content-Length: x\r\n", length=-1)) == 400
    assert status_of(raw_post(server, body, JSON + "Content-Length: -5\r\n", length=-1)) == 400
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in
                       (body[i:i + 7].encode() for i in range(0, len(body), 7))) + b"0\r\n\r\n"
    answer = raw_post(server, chunked, both, length=-1)
    assert status_of(answer) == 201, answer
    assert status_of(raw_post(server, b"zz\r\nabc\r\n0\r\n\r\n", both, length=-1)) in (400, None)
    assert server.http.get("/v1/users/framing/threads/t1/messages").json["messages"][0]["raw_text"] == \
        "My parcel is late"


def test_a_truncated_body_stores_nothing(server):
    body = json.dumps(message("My parcel is late", user_id="truncated")).encode()
    head = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" \
           b"Content-Length: %d\r\n\r\n" % len(body)
    answer = server.raw(head + body[:-3], half_close=True)
    assert status_of(answer) in (None, 400)
    assert server.http.get("/v1/users/truncated/threads/t1/messages").json == {"messages": []}


@pytest.mark.parametrize(("target", "status"), [
    ("/v1/users/%zz/preferences", 400), ("/v1/users/%4/preferences", 400), ("/v1/users/%/preferences", 400),
    ("/v1/users/a%00b/preferences", 400), ("/v1/users/%ff/preferences", 400), ("/v1/users/a%2Fb/preferences", 400),
    ("/v1/users/%75%31/preferences", 200), ("/v1/users//preferences", 404), ("/v1/users/u1/preferences/", 404),
    ("/v1/../v1/users/u1/preferences", 404), ("//v1/users/u1/preferences", 404), ("/V1/queue", 404),
    ("/v1/users/u1/search?q=%zz", 400), ("/v1/users/u1/search?q=a%00", 400), ("/v1/users/u1/search?q=%ff", 400),
    ("/v1/users/u1/search?q=a&q=b", 400), ("/v1/users/u1/search?q=a+b%26c", 200), ("/v1/users/u1/search?&q=a&", 200),
    ("/v1/users/u1/search?%71=a", 200), ("/v1/users/u1/search?q", 400), ("/v1/users/u1/search?=1", 400),
    ("/v1/users/u1/threads/t1/messages?limit=0", 400), ("/v1/users/u1/threads/t1/messages?limit=1001", 400),
    ("/v1/users/u1/threads/t1/messages?limit=-1", 400), ("/v1/users/u1/threads/t1/messages?limit=1.5", 400),
    ("/v1/users/u1/threads/t1/messages?limit=99999999999999999999", 400),
    ("/v1/users/u1/threads/t1/messages?limit=", 400), ("/v1/users/u1/threads/t1/messages?limit=1000", 200),
    ("/v1/users/u1/threads/t1/window?min_importance=nan", 400),
    ("/v1/users/u1/threads/t1/window?min_importance=1.1", 400),
    ("/v1/users/u1/threads/t1/window?min_importance=0.5", 200), ("/" + "a/" * 50, 404),
    ("/" + "a" * 9000, 414), ("/v1/users/u1/search?q=" + "a" * 9000, 414), ("http://localhost/live", 200),
    ("http://evil.example/live", 421), ("/v1/users/u1/search?topics=no_such_topic", 400),
    ("/v1/users/u1/search?topics=billing," + ",".join(["refund"] * 70), 400), ("live", 400),
], ids=lambda value: str(value)[:60])
def test_targets(server, target, status):
    answer = server.raw(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert status_of(answer) == status, answer


@pytest.mark.parametrize("head", [
    b"GET\r\n\r\n", b"\r\n\r\n\r\n", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n no name\r\n\r\n", b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    b"G" * 200_000,
], ids=range(9))
def test_heads_that_are_no_http(server, head):
    answer = server.raw(head)
    assert status_of(answer) is None or 400 <= status_of(answer) < 600
    assert server.http.get("/live").status == 200


def test_wrong_methods(server):
    for method, path, allow in [("PUT", "/v1/messages", "POST, OPTIONS"), ("DELETE", "/health", "GET, HEAD, OPTIONS"),
                                ("BREW", "/live", "GET, HEAD, OPTIONS"), ("GET", "/v1/context", "POST, OPTIONS"),
                                ("POST", "/v1/agents/a1", "GET, HEAD, DELETE, OPTIONS")]:
        response = server.http.request(method, path)
        assert (response.status, response.headers["allow"]) == (405, allow)
    assert server.http.get("/v1/nothing").status == 404


def test_a_body_where_none_belongs(server):
    response = server.http.request("GET", "/health", b"{}", headers={"Content-Type": "application/json"})
    assert response.status == 400
    assert server.http.get("/health").status == 200


def test_what_there_is(server):
    """Who misspells a name is told the names; errors use those of the route."""
    detail = server.http.get("/v1/users/u1/search", query={"q": "a", "lmit": 3}).json["detail"]
    assert detail == "unknown query parameter 'lmit'; there are q, topics, categories, intent, thread_id, since, " \
                     "until, limit, agent_id, explain"
    assert server.http.get("/v1/users", query={"a" * 300: 1}).json["detail"].endswith("; there are limit, after, prefix")
    assert server.http.post("/v1/tiers/migrate", {"dryrun": True}).json["detail"] \
        == "unknown field 'dryrun'; there are user_id, dry_run"
    for query in ({}, {"q": ""}, {"since": "2026-01-01T00:00:00Z"}):
        response = server.http.get("/v1/users/u1/search", query=query)
        assert (response.status, response.json["field"]) == (400, "q"), response
        assert response.json["detail"] == "give at least one of q, topics, categories and intent"
    response = server.http.get("/v1/users/u1/search", query={"q": " "})
    assert (response.json["field"], response.json["detail"]) == ("q", "q is blank")
    response = server.http.get("/v1/users/u1/search", query={"topics": "rocket"})
    assert response.json["field"] == "topics" and "docs/metadata.md" in response.json["detail"]


@pytest.mark.parametrize(("body", "field"), [
    ({"thread_id": "t", "query": "q"}, "user_id"), ({"user_id": "u", "query": "q"}, "thread_id"),
    ({"user_id": "u", "thread_id": "t"}, "query"), ({"user_id": "u", "thread_id": "t", "query": 1}, "query"),
    ({"mode": "slow"}, "mode"), ({"max_tokens": "8"}, "max_tokens"), ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"), ({"max_messages": 1001}, "max_messages"), ({"agent_ids": "a"}, "agent_ids"),
    ({"include_shared": "yes"}, "include_shared"), ({"agent_ids": [None]}, "agent_ids"),
    ({"additional_context": {}}, "additional_context"), ({"querry": "x"}, "querry"),
])
def test_context_fields(server, body, field):
    full = {"user_id": "u", "thread_id": "t", "query": "q"}
    response = server.http.post("/v1/context", body if {"thread_id", "user_id"} & set(body) else {**full, **body})
    assert (response.status, response.json.get("field")) == (400, field), response


def test_errors_of_other_routes(server):
    assert server.http.get("/v1/messages/no-such").status == 404
    assert server.http.get("/v1/agents/no-such").status == 404
    assert server.http.delete("/v1/agents/no-such").status == 404
    assert server.http.post("/v1/agents", {"agent_id": "a b", "name": "x"}).json["field"] == "agent_id"
    assert server.http.patch("/v1/users/u1/preferences", {"colour": "red"}).json["field"] == "colour"
    assert server.http.patch("/v1/users/u1/preferences", {"interests": "chess"}).json["field"] == "interests"
    assert server.http.get("/v1/users/a%20b/preferences").json["field"] == "user_id"
    assert server.http.get("/v1/users/a%20b/export").json["field"] == "user_id"
    assert server.http.delete("/v1/users/a%20b").json["field"] == "user_id"
    for path in ("/v1/queue/retry", "/v1/tiers/migrate", "/v1/users/u1/preferences/apply"):
        assert server.http.post(path).status == 200, path
        assert server.http.post(path, {"nothing": 1}).json["field"] == "nothing"


def test_request_ids(server):
    response = server.http.get("/live", headers={"X-Request-Id": "abc-DEF_123"})
    assert response.headers["x-request-id"] == "abc-DEF_123"
    for odd in ("a b", "x" * 65, "é".encode().decode("latin-1"), ""):
        response = server.http.get("/live", headers={"X-Request-Id": odd})
        assert response.headers["x-request-id"] not in ("", odd)
    problem = server.http.get("/v1/nothing", headers={"X-Request-Id": "trace-1"})
    assert problem.json["request_id"] == "trace-1"
    wait_until(lambda: re.search(r"path=/v1/nothing status=404 .*request_id=trace-1", server.stderr), what="the log")


def test_logs_hold_no_text(make_server):
    server = make_server(config="logging: {level: debug}\n")
    server.http.post("/v1/messages", message("the secret of the pyramid"))
    server.http.get("/v1/users/u1/search", query={"q": "pyramid"})
    server.http.post("/v1/messages", message("the secret of the pyramid", role="robot"))
    server.stop()
    assert "path=/v1/users/u1/search status=200" in server.stderr
    assert "pyramid" not in server.stderr
