"""Attacks over HTTP: on data without the right, on what the server understands, on its memory and its time.

Beside test_http_security.py (hosts, origins, slow clients one by one), test_http_keys.py (scopes, users) and
test_http_input.py (what is malformed).
"""

import concurrent.futures
import contextlib
import http.client
import itertools
import json
import re
import resource
import select
import socket
import threading
import time

import pytest

from conftest import ROOT, SANITIZER, SLOWNESS, Http, Server, free_port, message, wait_until
from test_http_keys import ADMIN, BODIES, OPEN, QUERIES, WRITE, ask, client, make_key, operations, scopes, store

KEY = "0123456789abcdef-key"
MANY = 2000 if not SANITIZER else 300
LONG_MAX = 4  # requests that take long and run at the same time
SECRET = "the vault opens with 0451-heliotrope"


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


def statuses(answer):
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def connect(server, data=b"", address="127.0.0.1", receive_buffer=None):
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(60 * SLOWNESS)
    connection.connect((address, server.port))
    with contextlib.suppress(ConnectionError):
        connection.sendall(data)
    return connection


@pytest.fixture
def descriptors():
    """Enough of them for the attackers, and for the server that inherits the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MANY + 500:
        pytest.skip(f"only {hard} descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY + 500), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A server without keys that says in its log all that it can."""
    with Server(tmp_path_factory.mktemp("plain"), config="logging: {level: debug}\n") as running:
        yield running


# ---- Data ----

@pytest.fixture
def vault(make_server, cli, db):
    """(server with an administrator's client, id of bob's message)."""
    root = make_key(cli, db, *scopes("admin"))
    server = make_server(db=db, config="logging: {level: debug}\n")
    server.http.headers["Authorization"] = f"Bearer {root}"
    return server, store(server, "bob", SECRET)


def test_every_route_has_a_case(vault):
    """A new route is open, needs an administrator, or is refused below; whoever adds one says which."""
    server, _ = vault
    names = {name for name, _, _ in operations(server)}
    known = OPEN | ADMIN | WRITE | set(BODIES) | set(QUERIES) | {
        "recentMessages", "messageWindow", "getMessage", "getPreferences", "getSignals", "listUsers", "listThreads", "exportUser",
        "listAgents", "getAgent", "getAgentStats", "getQueue", "getCacheStats", "getWorkersHealth", "getEnrichmentMetrics",
        "getMetrics", "listModels", "getUsage", "getStatus", "prometheus"}
    assert names == known, "test_http_keys.py says what each scope may do, and this list that it was thought of"


def test_no_key_that_is_none_opens_a_route(vault, cli, db):
    server, secret = vault
    revoked = make_key(cli, db, *scopes("admin"))
    with client(server, revoked) as was_good:
        key_id = revoked.split("_")[1]
        assert server.http.delete(f"/v1/keys/{key_id}").status == 204
        assert was_good.get("/v1/status").status == 401
    forged = ["", revoked, revoked[:-1], revoked + "0", revoked.swapcase(), "mc_" + 12 * "0" + "_" + 48 * "0", "null", "*",
              "' OR 1=1 --", "../../etc/passwd", "Bearer", "0" * 255, "0" * 4000]
    cases = [{}] + [{"Authorization": f"Bearer {key}"} for key in forged] + [{"X-API-Key": key} for key in forged] + [
        {"Authorization": "Basic YWRtaW46YWRtaW4="}, {"Authorization": "Bearer"}, {"Authorization": f"Digest {revoked}"},
        {"Cookie": f"key={revoked}"}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Original-URL": "/health"},
        {"X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"}]
    routes = list(operations(server))
    with contextlib.closing(server.client()) as stranger:
        stranger.headers = {}
        stranger.connection.timeout = 60 * SLOWNESS
        for (name, method, path), headers in zip(routes * 2, itertools.cycle(cases)):  # each route with two of them
            stranger.headers = headers
            answer = ask(stranger, name, method, path, "bob", secret)
            assert "0451-heliotrope" not in answer.body.decode(), name
            assert name in OPEN or answer.status == 401, (name, headers, answer)
        for headers in cases:
            stranger.headers = headers
            assert stranger.get(f"/v1/messages/{secret}").status == 401, headers
            assert stranger.get("/v1/nothing").status == 401, "nor is said which paths there are"
        stranger.headers = {}
        assert stranger.get("/v1/queue", query={"api_key": revoked, "access_token": revoked}).status == 401
    assert server.http.get(f"/v1/messages/{secret}").json["raw_text"] == SECRET


def test_a_scope_opens_nothing_of_another(vault, cli, db):
    """Each route with each key that lacks its scope, tried with the tricks that might hide what is asked for."""
    server, secret = vault
    with client(server, make_key(cli, db, *scopes("read"))) as reader:
        for name, method, path in operations(server):
            if name not in ADMIN | WRITE:
                continue
            reader.headers.update({"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET"})
            assert ask(reader, name, method, path, "bob", secret).status == 403, name
    assert server.http.get(f"/v1/messages/{secret}").status == 200


def test_paths_do_not_lead_around_the_user_of_a_key(vault, cli, db):
    server, secret = vault
    key = make_key(cli, db, *scopes("read", "write"), "--user", "ann")
    paths = ["/v1/users/bob/threads", "/v1/users/%62ob/threads", "/v1/users/b%6Fb/export", "/v1/users/ann/../bob/threads",
             "/v1/users/ann/%2e%2e/bob/threads", "/v1/users/ann%2f..%2fbob/threads", "/v1/users//bob/threads",
             "//v1/users/bob/threads", "/v1/./users/bob/threads", "/v1/users/bob;ann/threads", "/v1/users/bob%00ann/threads",
             "/v1/users/ann%00/../bob/threads", "/v1/users/%2562ob/threads", "/v1/users/ann/threads/..%2f..%2fbob",
             "/v1/users/BOB/threads", "/v1/users/bob%20/threads", "/v1/users/%c1%a2ob/threads", "/v1/users/bob/threads?user_id=ann",
             "/v1/users/ann/threads/../../bob/export", f"/v1/messages/{secret}", f"/v1/messages/{secret}?user_id=ann",
             f"/v1/messages/{secret}?agent_id=bob", "/v1/users/ann/search?q=vault&user_id=bob", "/v1/users", "/v1/users?prefix=bob",
             "http://localhost/v1/users/bob/threads", "/v1/users/bob/threads#/v1/users/ann"]
    with client(server, key) as ann:
        for path in paths:
            answer = server.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
                                "Connection: close\r\n\r\n".encode())
            assert status_of(answer) in (400, 403, 404), (path, answer)
            assert b"0451-heliotrope" not in answer
        for body in ({"user_id": "bob"}, {"user_id": "ann\u0000bob"}, {"user_id": ["ann", "bob"]}, {"user_id": None}, {"User_Id": "bob"},
                     {"user_id": "bob", "agent_id": "ann"}):
            answer = ann.post("/v1/context", {"thread_id": "t", "query": "vault", **body})
            assert answer.status in (400, 403), (body, answer)
    assert server.http.get("/v1/users/bob/threads").json["threads"][0]["thread_id"] == "t"


def test_wrong_keys_take_no_time_that_tells():
    """Timing is no test on a loaded machine; that nothing compares byte by byte can be seen in the code."""
    compare = re.compile(r"\b(memcmp|strcmp|strncmp|mc_str_equal\w*)\s*\([^;]*\b(hash|hashes|secret)\b")
    constant = 0
    for folder in ("http", "memory", "engine"):
        for path in (ROOT / "src" / folder).glob("*.c"):
            text = path.read_text(encoding="utf-8")
            assert not compare.search(text), path
            constant += len(re.findall(r"\bmc_hash_equal\(", text))
    assert constant >= 2, "keys of the configuration, and those that were made"


# ---- Heads ----

POST = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /v1/queue HTTP/1.1\r\nHost: localhost\r\n"
SMUGGLED = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nX-Smuggled: yes\r\nConnection: close\r\n\r\n"

# What a proxy in front might understand otherwise. Each is refused and ends the connection: what is behind it, which
# might be the body of one or the next request of the other, is never answered.
AMBIGUOUS = {
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 90\r\n\r\n{}",
    "two equal lengths": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a length with a sign": POST + b"Content-Length: +2\r\n\r\n{}",
    "a length below zero": POST + b"Content-Length: -1\r\n\r\n{}",
    "a length in hexadecimal": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "two numbers": POST + b"Content-Length: 2 2\r\n\r\n{}",
    "a length beyond 63 bits": POST + b"Content-Length: 18446744073709551615\r\n\r\n{}",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "a huge length": POST + b"Content-Length: " + b"9" * 500 + b"\r\n\r\n{}",
    "length and encoding": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "encoding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
    "two encodings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "an unknown encoding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a list of encodings": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "identity": POST + b"Transfer-Encoding: identity\r\n\r\n{}",
    "an encoding behind a tabulator of old": POST + b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 2\r\n\r\n{}",
    "a blank before the colon of a length": POST + b"Content-Length : 2\r\n\r\n{}",
    "a blank before the colon of an encoding": POST + b"Transfer-Encoding : chunked\r\nContent-Length: 2\r\n\r\n{}",
    "a tabulator before the colon": POST + b"Content-Length\t: 2\r\n\r\n{}",
    "a folded length": POST + b"Content-Length:\r\n 2\r\n\r\n{}",
    "a folded encoding": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a folded encoding and a length": POST + b"Transfer-Encoding:\r\n\tchunked\r\nContent-Length: 2\r\n\r\n{}",
    "a folded header": GET + b"X-A: b\r\n c\r\n\r\n",
    "a folded first header": b"GET /v1/queue HTTP/1.1\r\n Host: evil.example\r\nHost: localhost\r\n\r\n",
    "a header without a name": GET + b": value\r\n",
    "a header without a name, and a request": GET + b":\r\n",
    "a NUL in a value": GET + b"X-A: b\0c\r\n\r\n",
    "a NUL in the host": b"GET /v1/queue HTTP/1.1\r\nHost: localhost\0.evil.example\r\n\r\n",
    "a NUL in a name": GET + b"X\0A: b\r\n\r\n",
    "a NUL in a length": POST + b"Content-Length: 2\x000\r\n\r\n{}",
    "a NUL in the path": b"GET /v1/queue\0/../x HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a NUL in a key": GET + b"Authorization: Bearer a\0b\r\n\r\n",
    "control characters": GET + b"X-A: \x01\x1b[31m\x7f\r\n\r\n",
    "a carriage return alone": GET + b"X-A: b\rContent-Length: 9\r\n\r\n",
    "line feeds alone": b"GET /v1/queue HTTP/1.1\nHost: localhost\n\n",
    "one line feed alone": GET + b"X-A: b\n\r\n",
    "a line that is no header": GET + b"no colon\r\n\r\n",
    "a name with a blank": GET + b"X A: b\r\n\r\n",
    "a name with UTF-8": GET + "X-Ä: b\r\n\r\n".encode(),
    "two hosts": GET + b"Host: localhost\r\n\r\n",
    "two keys": GET + b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    "two keys of the other kind": GET + b"X-API-Key: a\r\nX-API-Key: b\r\n\r\n",
    "two types": POST + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
    "two origins": GET + b"Origin: http://localhost\r\nOrigin: https://evil.example\r\n\r\n",
    "a chunk of a negative size": POST + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "a chunk of a size in C": POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk of a huge size": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "a chunk of more than 64 bits": POST + b"Transfer-Encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n",
    "101 headers": GET + b"".join(b"X-%d: y\r\n" % number for number in range(101)) + b"\r\n",
    "a header of 100 KB": GET + b"X-A: " + b"y" * 100_000 + b"\r\n\r\n",
    "cookies of 100 KB": GET + b"Cookie: " + b"a=b; " * 20_000 + b"\r\n\r\n",
    "trailers without end": POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 20_000,
    "another version": b"GET /v1/queue HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "two blanks in the request line": b"GET  /v1/queue HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a blank in the target": b"GET /v1/queue /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


UNFINISHED = {"a chunk of a huge size"}  # the rest of it is waited for, up to server.max_body and request_timeout
UNANSWERED = UNFINISHED | {"a blank in the target"}  # the transport closes the connection
STATUSES = {  # 400 where nothing else is said
    "a length beyond 64 bits": 413, "a huge length": 413, "an unknown encoding": 501, "a list of encodings": 501,
    "chunked twice": 501, "identity": 501, "a chunk of more than 64 bits": 413, "101 headers": 431, "a header of 100 KB": 431,
    "cookies of 100 KB": 431, "trailers without end": 431, "another version": 505, "the preface of HTTP/2": 505}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_heads_that_could_mean_two_things(plain, name):
    answer = plain.raw(AMBIGUOUS[name] + SMUGGLED, timeout=60, half_close=name in UNFINISHED)
    refused = {STATUSES.get(name, 400)}
    assert set(statuses(answer)) == (set() if name in UNANSWERED else refused), answer
    assert b'"messages"' not in answer, "the request that was hidden behind it was answered"
    assert plain.http.get("/live").status == 200


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_long_url_hides_no_second_request(plain, name):
    """A URL that is refused leaves the connection open: not where the next request may begin elsewhere."""
    head = re.sub(rb"(?<=/v1/)(messages|queue)", rb"\1?" + b"x" * 8300, AMBIGUOUS[name], count=1)
    answer = plain.raw(head + SMUGGLED, timeout=60, half_close=name in UNFINISHED)
    assert len(set(statuses(answer))) <= 1 and set(statuses(answer)) <= {STATUSES.get(name, 400), 414}, answer
    assert b'"messages"' not in answer, "the request that was hidden behind it was answered"
    assert plain.http.get("/live").status == 200


def test_what_follows_a_long_url_is_answered(plain):
    """Where there is no doubt about where it begins."""
    body = b"x" * 1000
    for head in (GET + b"\r\n", POST + b"Content-Length: 1000\r\n\r\n" + body,
                 POST + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + body + b"\r\n0\r\n\r\n"):
        answer = plain.raw(re.sub(rb"(?<=/v1/)(messages|queue)", rb"\1?" + b"x" * 8300, head, count=1) + SMUGGLED)
        assert statuses(answer) == [414, 200], answer


@pytest.mark.parametrize("header", [b"X-A:b", b"X-A:", b"X-A: ", b"X-A:\t b", b"X-A: b  ", b"X-A: b\t", b"X-A: \xc3\xa9",
                                    b"Cookie: a=b; c=\"d\"", b"Accept: */*\r\nAccept: text/html", b"!#$%&'*+-.^_`|~: x"])
def test_heads_that_are_unusual_and_right(plain, header):
    answer = plain.raw(b"\r\n" + GET + header + b"\r\nConnection: close\r\n\r\n")
    assert statuses(answer) == [200], answer


def test_extensions_of_chunks_are_bounded(plain):
    answer = plain.raw(POST + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 200_000 + b"\r\n{}\r\n0\r\n\r\n" + SMUGGLED)
    assert b'"messages"' not in answer and plain.http.get("/live").status == 200


@pytest.mark.parametrize("path", [
    "/..", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%252e%252e/etc/passwd", "/.%00./etc/passwd",
    "/%c0%ae%c0%ae/etc/passwd", "/%e0%80%ae/x", "/%uff0e%uff0e/", "/..\\..\\etc\\passwd", "/dashboard.js/../../etc/passwd",
    "/dashboard.css%00.html", "/v1/../metrics", "/v1/queue/.", "/v1/queue/..", "/v1//queue", "//v1/queue", "/v1/queue//", "/v1/queue;a",
    "/V1/queue", "/v1/queue%20", "/v1/queue%0d%0aX-Injected:%20yes", "/v1/queue%3fx", "/.git/config", "/.env", "/server-status",
    "/v1/messages/%0d%0aSet-Cookie:%20a=b", "/%0a", "/%ff", "/%ed%a0%80", "/%f5%80%80%80", "/" + "%41" * 3000, "/" + "../" * 2000,
], ids=lambda path: path[:40])
def test_paths(plain, path):
    answer = plain.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert statuses(answer)[0] in (400, 404, 414) and len(statuses(answer)) == 1, answer
    head = answer.split(b"\r\n\r\n")[0].lower()
    assert b"root:" not in answer and b"x-injected" not in head and b"set-cookie" not in head


def test_pages_of_others(plain):
    """DNS rebinding, and what a page elsewhere can make a browser send: forms, images, scripts without a preflight."""
    body = json.dumps(message("from a page")).encode()
    for host in (b"evil.example", b"localhost.evil.example", b"127.0.0.1.nip.io", b"[::ffff:7f00:1]", b"0x7f000001", b"2130706433"):
        for path in (b"/", b"/v1/queue", b"/health", b"/metrics", b"/nothing"):
            answer = plain.raw(b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nX-Forwarded-Host: localhost\r\n"
                               b"Connection: close\r\n\r\n")
            assert status_of(answer) == 421, (host, path, answer)
    for origin in (b"https://evil.example", b"null", b"http://localhost.evil.example", b"http://evil.example#@localhost",
                   b"http://localhost@evil.example", b"chrome-extension://abc", b"//localhost", b"http://localhost,http://evil.example"):
        answer = plain.raw(POST + b"Origin: " + origin + b"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        assert status_of(answer) == 403, (origin, answer)
        assert b"access-control" not in answer.lower()
    # What a form can send is no JSON, also where an old browser sends no Origin.
    for kind in (b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x", b"text/plain;application/json"):
        answer = plain.raw(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + kind +
                           b"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        assert status_of(answer) == 415, (kind, answer)
    for path in ("/v1/queue/purge", "/v1/queue/retry", "/v1/cache/invalidate", "/v1/tiers/migrate"):
        answer = plain.raw(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 0\r\n"
                           "Connection: close\r\n\r\n".encode())
        assert status_of(answer) == 403, (path, answer)
    assert plain.http.get("/v1/users/u1/threads").json["threads"] == []


def test_the_rate_of_an_address_is_of_the_connection(make_server):
    """Whatever a header says about where the request comes from."""
    server = make_server(config="server: {rate_limit: 1}\n")
    got = []
    for number in range(60):
        got.append(server.http.get("/v1/queue", headers={
            "X-Forwarded-For": f"203.0.113.{number}", "X-Real-IP": f"203.0.113.{number}", "Forwarded": f"for=203.0.113.{number}",
            "X-API-Key": f"0123456789abcdef{number}", "True-Client-IP": f"203.0.113.{number}"}).status)
    assert got.count(429) > 20, got


# ---- Bodies ----

DEEP = 100_000
BOMBS = {
    "depth": "[" * DEEP, "depth of objects": '{"a":' * (DEEP // 2), "depth in a field": '{"metadata": ' + "[" * DEEP + "]" * DEEP + "}",
    "a huge integer": '{"text": ' + "9" * 500_000 + "}", "a huge exponent": '{"importance": 1e999999999}',
    "a long fraction": '{"importance": 0.' + "1" * 500_000 + "}", "many members": json.dumps({f"k{number}": 1 for number in range(40_000)}),
    "one member many times": "{" + ",".join(['"user_id": "a"'] * 40_000) + "}",
    "much metadata": json.dumps(message("x", metadata={f"k{number}": 1 for number in range(30_000)})),
    "escapes": '{"text": "' + "\\u0041" * 120_000 + '"}', "one long name": '{"' + "k" * 900_000 + '": 1}',
    "blanks": " " * 1_000_000, "an array": "[" + "0," * 300_000 + "0]", "members whose hashes meet": json.dumps(
        {"".join(pair): 1 for pair in itertools.product(("Ez", "FY"), repeat=14)}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bodies_that_explode(plain, name):
    before = plain.memory_kb("VmHWM")
    for path in ("/v1/messages", "/v1/context"):
        answer = plain.http.post(path, BOMBS[name], headers={"Content-Type": "application/json"})
        assert answer.status in (400, 413), answer
        assert len(answer.body) < 2000, "the answer does not repeat it"
    if not SANITIZER:
        assert plain.memory_kb("VmHWM") - before < 64 * 1024


def test_lines_without_end(plain):
    """NDJSON: one line that never ends, a million empty ones, refused ones: little is kept, and little is answered."""
    head = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n"
    before = plain.memory_kb("VmHWM")
    for body in (b"x" * 8_000_000, b"\n" * 2_000_000, b"{}\n" * 100_000, b"[\n" * 100_000, b'{"user_id":"' + b"u" * 2_000_000 + b'"}\n'):
        answer = plain.raw(head + b"Content-Length: %d\r\n\r\n" % len(body) + body, timeout=60)
        assert status_of(answer) == 200 and len(answer) < 400_000, answer[:500]
        assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["stored"] == 0
    if not SANITIZER:
        assert plain.memory_kb("VmHWM") - before < 64 * 1024


STREAM = POST.replace(b"application/json", b"application/x-ndjson") + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def test_begun_lines_on_many_connections(make_server):
    """What is kept of them counts: beyond server.max_memory they are refused."""
    server = make_server(config="server: {max_memory: 8MiB, request_timeout: 600}\n")
    before = server.memory_kb()
    with attackers(server, 150, STREAM + chunk(b"x" * 400_000)) as streams:
        def refusals():
            return int(re.search(r'mindcore_http_rejected_total\{reason="memory"\} (\d+)', server.http.get("/metrics").json)[1])
        wait_until(lambda: refusals() >= 120, 60, "those that do not fit")
        if not SANITIZER:
            assert server.memory_kb() - before < 48 * 1024, "kB: 150 begun lines are 60 MB"
        answers = []
        for one in streams:
            with contextlib.suppress(ConnectionError):
                one.sendall(b"0\r\n\r\n")
            with one.makefile("rb") as stream:
                answers.append(stream.read())
    assert set(map(status_of, answers)) == {200, 503}
    refused = [answer for answer in answers if status_of(answer) == 503]
    assert len(refused) >= 120 and all(b"\r\nRetry-After: 1\r\n" in answer for answer in refused)
    assert all(b"the server carries as much as server.max_memory allows" in answer for answer in refused)
    answer = server.http.post("/v1/messages", json.dumps(message("hello")), headers={"Content-Type": "application/x-ndjson"})
    assert (answer.status, answer.json["stored"]) == (200, 1), "well again"


def test_a_begun_line_that_does_not_fit(make_server):
    """What was stored before is told."""
    server = make_server(config="server: {max_memory: 1MiB, max_body: 2MiB, request_timeout: 600}\n")
    good = b"".join(json.dumps(message("hello", message_id=f"m{number}")).encode() + b"\n" for number in range(256))
    with contextlib.closing(connect(server, STREAM + chunk(good))) as stream:
        wait_until(lambda: server.http.get("/v1/messages/m255").status == 200, what="the first lines")
        stream.sendall(chunk(b"x" * 1_200_000) + b"0\r\n\r\n")
        with stream.makefile("rb") as answers:
            answer = answers.read()
    assert status_of(answer) == 503 and b"\r\nRetry-After: 1\r\n" in answer, answer
    assert b"256 lines were stored, line 257 and what follows were not: the server carries as much" in answer
    assert server.http.post("/v1/messages", good, headers={"Content-Type": "application/x-ndjson"}).json["stored"] == 256


def test_many_requests_on_one_connection(plain):
    """A pipeline that nobody reads is not answered ahead without bound, and disturbs nobody."""
    with contextlib.closing(connect(plain, receive_buffer=4096)) as greedy:
        greedy.setblocking(False)
        requests = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 100
        before = plain.memory_kb()
        sent = grew = 0
        # Until it takes no more for two seconds.
        while sent < 50_000_000 and grew < 32 * 1024 * SLOWNESS and select.select([], [greedy], [], 2)[1]:
            with contextlib.suppress(BlockingIOError):
                sent += greedy.send(requests)
            grew = plain.memory_kb() - before
        assert sent < 50_000_000, "it is read no faster than it is answered"
        assert grew < 32 * 1024 * SLOWNESS, "kB, and is not answered ahead"
        for _ in range(20):
            assert plain.http.get("/live").status == 200


# ---- Slow, and many ----

def connections(server):
    return int(re.search(r"^mindcore_http_connections (\d+)$", server.http.get("/metrics").json, re.M)[1])


@contextlib.contextmanager
def attackers(server, count, data, **options):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(contextlib.closing(connect(server, data, **options))) for _ in range(count)]


def check_served(server, times=30):
    """An honest client is, on connections of its own. How soon is a matter of the machine, which the attackers share."""
    for number in range(times):
        with contextlib.closing(Http("127.0.0.1", server.port, timeout=120)) as honest:
            assert honest.get("/live").status == 200
            assert honest.post("/v1/messages", message(f"I am honest {number}", user_id="honest")).status == 201


@pytest.mark.parametrize("data", [
    b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-A: ", POST + b"Content-Length: 1000\r\n\r\n{", b"",
    POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    POST.replace(b"application/json", b"application/x-ndjson") + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{}\n{}\r\n",
], ids=["head", "body", "nothing", "chunks", "lines"])
def test_slow_requests_by_the_thousand(make_server, descriptors, data):
    # They stay for as long as the test takes: it is not their end that lets others in.
    server = make_server(config=f"server: {{max_connections: {MANY + 100}, request_timeout: 600, idle_timeout: 600}}\n")
    before = server.memory_kb()
    with attackers(server, MANY, data):
        check_served(server)
        wait_until(lambda: connections(server) >= MANY, 120, "all of them")
        if not SANITIZER:
            assert server.memory_kb() - before < MANY * 80, "kB"
    wait_until(lambda: connections(server) < 10, 120, "the end of those whose clients left")


def test_slow_readers_of_answers(make_server):
    """Large answers that nobody takes: bounded by server.max_memory, and not in the way of others."""
    server = make_server(config="server: {max_memory: 16MiB, max_connections: 500}\n")
    text = "The invoice is wrong. " * 900
    body = "".join(json.dumps(message(text, user_id="u1")) + "\n" for _ in range(200))
    assert server.http.post("/v1/messages", body, headers={"Content-Type": "application/x-ndjson"}).json["stored"] == 200
    before = server.memory_kb()
    request = b"GET /v1/users/u1/threads/t1/messages?limit=200 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with attackers(server, 100, request, receive_buffer=4096):
        def honest():
            with contextlib.closing(Http("127.0.0.1", server.port)) as client_of_its_own:
                return client_of_its_own.get("/live").status == 200
        wait_until(honest, 30, "an honest client")
        wait_until(lambda: 'mindcore_http_rejected_total{reason="memory"} 0' not in server.http.get("/metrics").json, 30,
                   "answers that are not carried")
        if not SANITIZER:
            assert server.memory_kb() - before < 256 * 1024, "100 answers of 4 MB would be 400"
    wait_until(lambda: server.http.post("/v1/messages", message("again")).status == 201, 30, "room for others")


def export_user(server, megabytes):
    """The head of a request for so much in a stream."""
    text = "The invoice is wrong. " * 90
    line = (json.dumps(message(text, user_id="large")) + "\n").encode()
    body = line * (megabytes * 1_000_000 // len(line))
    stored = server.http.post("/v1/messages", body, headers={"Content-Type": "application/x-ndjson"})
    assert stored.json["refused_count"] == 0, stored
    return b"GET /v1/users/large/export HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def test_readers_that_take_a_little_now_and_then(make_server):
    """A stream is taken at 32 KiB a second or ended: else a few would keep what takes long from everybody for hours."""
    server = make_server(config="server: {request_timeout: 8}\n")
    request = export_user(server, 8)
    stop = threading.Event()

    def trickle(readers):  # some 16 KB a second each, a block within every request_timeout
        while not stop.wait(0.25):
            for reader in readers:
                with contextlib.suppress(OSError):
                    reader.recv(4096)

    with contextlib.ExitStack() as stack:
        readers = []
        for _ in range(LONG_MAX):
            reader = stack.enter_context(socket.socket())
            reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # so that little is on its way
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(60 * SLOWNESS)
            reader.connect(("127.0.0.1", server.port))
            reader.sendall(request)
            assert reader.recv(12) == b"HTTP/1.1 200"
            reader.settimeout(0.01)
            readers.append(reader)
        attacker = threading.Thread(target=trickle, args=(readers,))
        attacker.start()
        try:
            with contextlib.closing(Http("127.0.0.1", server.port, timeout=60)) as honest:
                assert honest.get("/v1/users/large/threads").status == 200, "what takes long is answered"
            assert re.search(r'mindcore_http_rejected_total\{reason="slow"\} [1-9]', server.http.get("/metrics").json)
        finally:
            stop.set()
            attacker.join()


def test_a_reader_that_takes_its_time_gets_all(make_server):
    """Longer than server.request_timeout, at a rate well above the lowest."""
    server = make_server(config="server: {request_timeout: 3}\n")
    request = export_user(server, 4)
    pace = threading.Event()
    began = time.monotonic()
    with contextlib.closing(connect(server, request, receive_buffer=65536)) as reader:
        answer = reader.recv(4096)
        while chunk := reader.recv(65536):
            answer += chunk
            pace.wait(len(chunk) / 500_000)
    assert answer.endswith(b"\r\n0\r\n\r\n"), "as a whole"
    assert time.monotonic() - began > 3 and answer.count(b"The invoice") > 100


def test_many_large_reads_at_once(make_server):
    """What reads load counts against server.max_memory before it is loaded; windows and contexts load what they show."""
    server = make_server(config="server: {max_memory: 24MiB}\n")
    text = "\N{GRINNING FACE}" * 20000 + " invoice"
    for _ in range(5):
        body = "".join(json.dumps(message(text, user_id="u1"), ensure_ascii=False) + "\n" for _ in range(40))
        assert server.http.post("/v1/messages", body.encode(), headers={"Content-Type": "application/x-ndjson"}).json["stored"] == 40
    server.drain()
    before, thread = server.memory_kb(), "/v1/users/u1/threads/t1/"
    questions = [lambda http: http.get(thread + "messages", query={"limit": 1000}),
                 lambda http: http.get("/v1/users/u1/search", query={"q": "invoice", "limit": 100}),
                 lambda http: http.get(thread + "window", query={"max_messages": 1000}),
                 lambda http: http.post("/v1/context", {"user_id": "u1", "thread_id": "t1", "query": "invoice", "max_messages": 1000})]

    def read(number):
        with contextlib.closing(Http("127.0.0.1", server.port, timeout=300)) as client:
            return [(number % 4, answer) for answer in (questions[number % 4](client) for _ in range(5))]
    with concurrent.futures.ThreadPoolExecutor(48) as pool:
        answers = [answer for some in pool.map(read, range(48)) for answer in some]
    for kind, answer in answers:
        assert answer.status in (200, 503), answer
        if answer.status == 503:
            assert answer.headers["retry-after"] == "1" and "again in a second" in answer.json["detail"]
        elif kind == 0:
            assert len(answer.json["messages"]) == 200
    if not SANITIZER:
        assert server.memory_kb("VmHWM") - before < 400 * 1024, "48 reads of 16 MB and their answers would be 1500"
    wait_until(lambda: all(question(server.http).status == 200 for question in questions), 60, "room for each alone")
    request = b"GET /v1/users/u1/threads/t1/messages?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as stack:
        def is_full():
            stack.enter_context(contextlib.closing(connect(server, request, receive_buffer=4096)))
            return questions[0](server.http).status == 503
        wait_until(is_full, 60, "no room beside what is not taken")
        assert server.http.get(thread + "messages", query={"limit": 1}).status == 200, "but for little"


def test_all_places_taken(make_server):
    """As many as fit are there and say nothing: they go when their time is over, and others come in."""
    server = make_server(config="server: {max_connections: 100, request_timeout: 2}\n")
    with attackers(server, 300, b"GET /live HTTP/1.1\r\nHost: "):
        def honest():
            with contextlib.suppress(ConnectionError, http.client.HTTPException), \
                    contextlib.closing(Http("127.0.0.1", server.port)) as client_of_its_own:
                return client_of_its_own.get("/live").status == 200
            return False
        wait_until(honest, 30, "a place for an honest client")


def test_half_requests_that_leave_hold_no_place(make_server):
    """The end of the connection comes together with the data: it is noticed long before request_timeout."""
    server = make_server(config="server: {max_connections: 100, request_timeout: 600, idle_timeout: 600}\n")
    for data in (POST + b"Content-Length: 1000\r\n\r\n{", b"GET /live HTTP/1.1\r\nHo"):
        for _ in range(90):
            connect(server, data).close()
        wait_until(lambda: connections(server) < 10, 60, "the end of those whose clients left")
    # Who only ends its own side waits for the answer.
    body = json.dumps(message("the end of my side")).encode()
    for _ in range(20):
        answer = server.raw(POST + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body, half_close=True)
        assert status_of(answer) == 201


def own_address():
    """An address of this machine that others could reach; None where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # nothing is sent
        address = probe.getsockname()[0]
        return None if address.startswith("127.") or address == "0.0.0.0" else address
    return None


def test_one_address_does_not_take_all_places(make_server, cli, db):
    address = own_address()
    if not address:
        pytest.skip("this machine has only a loopback address")
    key = make_key(cli, db, *scopes("admin"))
    server = make_server(db=db, listen="0.0.0.0", config="server: {max_connections: 300, max_connections_per_address: 50}\n",
                         headers={"Authorization": f"Bearer {key}"})
    with attackers(server, 400, b"GET /live HTTP/1.1\r\nHost: ", address=address):
        wait_until(lambda: "mindcore_http_rejected_total{reason=\"connections\"} 350\n" in server.http.get("/metrics").json, 30,
                   "the others being turned away")
        with contextlib.closing(Http("127.0.0.1", server.port, server.headers)) as honest:
            assert honest.get("/v1/status").status == 200


def test_a_flood_of_connections(make_server):
    """Opened and closed as fast as it goes, with nothing, with half a request, with a reset."""
    server = make_server()
    stop = threading.Event()

    def flood(number):
        while not stop.is_set():
            with contextlib.suppress(OSError), contextlib.closing(connect(server, [b"", b"GET /li", b"\x16\x03\x01"][number])) as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    threads = [threading.Thread(target=flood, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        check_served(server)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not re.search(r"level=(error|warning)", server.stderr), server.stderr[-2000:]


# ---- What is told ----

def test_nothing_secret_is_told(make_server, cli, db, tmp_path):
    """Keys and texts, of good requests and bad ones: not in the log at any level, nor in the audit, errors or metrics."""
    made = make_key(cli, db, *scopes("admin"))
    port = free_port()
    audit = tmp_path / "audit.jsonl"
    server = make_server(db=db, args=["-v", "-v"], config=f"server: {{api_keys: [{KEY}], metrics_listen: '127.0.0.1:{port}'}}\n"
                         f"logging: {{level: debug, audit: '{audit}'}}\n", headers={"Authorization": f"Bearer {KEY}"})
    wrong = "wrong-but-still-a-secret-key"
    secrets = [KEY, made, made.split("_")[2], wrong, "0451-heliotrope", "zaphod"]
    told = []
    # In every place in which a client may put one by mistake.
    for key in (KEY, made, wrong):
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}, {"Authorization": f"Basic {key}"},
                        {"X-Request-Id": f"bad id {key}"}, {"Cookie": f"key={key}"}):
            told.append(server.client().get("/v1/queue", headers=headers))
        told.append(server.raw(b"GET /v1/queue HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key.encode() +
                               b"\x01\r\nConnection: close\r\n\r\n"))
        told.append(server.raw(b"GET /v1/queue HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer\r\n " + key.encode() + b"\r\n\r\n"))
        told.append(server.raw(b"GET /v1/queue HTTP/1.1\r\nHost: localhost\r\nCookie: " + key.encode() * 4000 + b"\r\n\r\n"))
        told.append(server.raw(b"BAD " + key.encode() + b"\r\n\r\n"))
        told.append(server.http.get("/v1/queue", query={"api_key": key}))
    post = server.http.post
    told.append(post("/v1/messages", message(SECRET, role="robot")))
    told.append(post("/v1/messages", '{"text": "' + SECRET + '", ', headers={"Content-Type": "application/json"}))
    told.append(post("/v1/messages", '{"text": "' + SECRET + '\\ud800"}', headers={"Content-Type": "application/json"}))
    told.append(post("/v1/messages", json.dumps(message(SECRET, role=7)) + "\n" + "{" + SECRET, headers={
        "Content-Type": "application/x-ndjson"}))
    told.append(post("/v1/context", {"user_id": "u1", "thread_id": "t1", "query": SECRET, "mode": "slow"}))
    told.append(server.http.get("/v1/users/u1/search", query={"q": SECRET, "limit": 0}))
    told.append(server.http.delete("/v1/users/nobody"))
    for path in ("/metrics", "/health", "/v1/status", "/v1/metrics", "/v1/keys"):
        told.append(server.http.get(path))
    stored = post("/v1/messages", message(SECRET + " for zaphod"))
    assert stored.status == 201
    server.drain()
    for path, query in (("/v1/users/u1/search", {"q": "vault zaphod"}), ("/v1/users/u1/export", None)):
        assert server.http.get(path, query=query).status == 200
    assert post("/v1/context", {"user_id": "u1", "thread_id": "t1", "query": "vault zaphod"}).status == 200
    with contextlib.closing(Http("127.0.0.1", port, server.headers)) as scraper:
        told.append(scraper.get("/metrics"))
    server.stop()
    heard = {"the log": server.stderr, "the output": server.stdout, "the audit": audit.read_text(encoding="utf-8")}
    heard |= {f"answer {number}": (answer if isinstance(answer, bytes) else answer.body).decode("latin-1")
              for number, answer in enumerate(told)}
    for place, text in heard.items():
        for secret in secrets:
            assert secret not in text, f"{place} tells {secret}"
    assert len(server.stderr.splitlines()) > 50, "it did say something"


def test_a_line_of_the_log_is_one_line(plain):
    """What a client sends cannot write lines of its own, nor steer a terminal."""
    before = len(plain.stderr)
    for target in ("/v1/queue%0aFORGED", "/v1/queue%1b[2J", "/\x1b[31mred", "/a\rFORGED", "/a%0d%0aFORGED", "/\xff\xfe"):
        plain.raw(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode("latin-1"))
    plain.raw(b"GE\x1bT /v1/queue HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    plain.http.get("/live", headers={"X-Request-Id": "the-last-of-these"})
    wait_until(lambda: "the-last-of-these" in plain.stderr[before:], what="the log")
    said = plain.stderr[before:]
    assert "\x1b" not in said and "\r" not in said and not re.search(r"^FORGED", said, re.M)
    assert all(re.match(r"ts=\S+ level=\w+ module=", line) for line in said.splitlines()), said
