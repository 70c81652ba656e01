"""What the HTTP server counts of itself: requests by route and class, time, connections, and what it turns away by reason."""

import contextlib
import http.client
import json
import re
import socket
import ssl
import subprocess
import time

import pytest

from conftest import SLOWNESS, Http, free_port, message, wait_until

KEY = "0123456789abcdef-key"
NDJSON = {"Content-Type": "application/x-ndjson"}
REQUESTS = "mindcore_http_requests_total"
DURATION = "mindcore_http_request_duration_seconds"


class Counted:
    """The counts of a server, read over its second address, so that reading them disturbs no limit of the first."""

    def __init__(self, make_server, config="", **options):
        self.port = free_port()
        self.server = make_server(config=f"server:\n  metrics_listen: 127.0.0.1:{self.port}\n{config}", **options)
        wait_until(lambda: f":{self.port}/metrics" in self.server.stdout, what="the second address")
        self.headers = options.get("headers")

    def text(self):
        with contextlib.closing(Http("127.0.0.1", self.port, self.headers)) as client:
            return client.get("/metrics").json

    def value(self, series):
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.text(), re.M)
        return float(found[1]) if found else None

    def requests(self, method, route, code):
        return self.value(f'{REQUESTS}{{route="{route}",method="{method}",code="{code}"}}')

    def rejected(self, reason):
        return self.value(f'mindcore_http_rejected_total{{reason="{reason}"}}')

    def becomes(self, wanted, read, *args):
        """A request is counted when it is over, which is after its client has the answer."""
        wait_until(lambda: read(*args) == wanted, 20, f"{wanted} of {args}")


def connect(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=30 * SLOWNESS)


def test_requests_by_route_and_class(make_server):
    counted = Counted(make_server)
    server = counted.server
    assert counted.requests("other", "other", "4xx") == 0, "shown from the start"
    assert counted.requests("GET", "/v1/queue", "2xx") is None, "shown from the first request on"
    for _ in range(3):
        assert server.http.get("/v1/queue").status == 200
    head = server.raw(b"HEAD /v1/queue HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    counted.becomes(4, counted.requests, "GET", "/v1/queue", "2xx")
    assert [counted.requests("GET", "/v1/queue", code) for code in ("4xx", "5xx", "none")] == [0, 0, 0]
    labels = '{route="/v1/queue",method="GET"}'
    counted.becomes(4, counted.value, f"{DURATION}_count{labels}")
    wait_until(lambda: 0 < counted.value(f"{DURATION}_sum{labels}") < 60 * SLOWNESS, what="the time that they took")
    assert server.http.post("/v1/messages", {"text": 1}).status == 400
    assert server.http.post("/v1/messages", message("hello")).status == 201
    counted.becomes(1, counted.requests, "POST", "/v1/messages", "4xx")
    counted.becomes(1, counted.requests, "POST", "/v1/messages", "2xx")


def test_a_path_makes_no_series(make_server):
    """However many users, messages and nonsense are asked for."""
    counted = Counted(make_server)
    server = counted.server
    for number in range(20):
        assert server.http.get(f"/v1/users/zaphod{number}/threads/t{number}/messages").status == 200
        assert server.http.get(f"/v1/messages/zaphod{number}").status == 404
        assert server.http.get(f"/zaphod{number}").status == 404
        assert server.http.request("DELETE", f"/v1/users/zaphod{number}/search").status == 405
        assert server.http.request(f"ZAPHOD{number}", "/v1/queue").status == 405
    counted.becomes(60, counted.requests, "other", "other", "4xx")
    counted.becomes(20, counted.requests, "GET", "/v1/messages/{message_id}", "4xx")
    counted.becomes(20, counted.requests, "GET", "/v1/users/{user_id}/threads/{thread_id}/messages", "2xx")
    text = counted.text()
    assert "zaphod" not in text.lower()
    routes = {re.search(r'route="([^"]*)"', line)[1] for line in text.splitlines() if line.startswith(REQUESTS)}
    known = set(server.http.get("/openapi.json").json["paths"])
    assert "other" in routes and routes - {"other"} <= known


def test_a_client_that_leaves_is_no_answer(make_server):
    counted = Counted(make_server, "  request_timeout: 1\n")
    with connect(counted.server) as leaving:
        leaving.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                        b"Content-Length: 100\r\n\r\n{")
    counted.becomes(1, counted.requests, "POST", "/v1/messages", "none")


def test_open_connections(make_server):
    counted = Counted(make_server)
    assert counted.server.http.get("/live").status == 200
    wait_until(lambda: counted.value("mindcore_http_connections") == 2, what="the client's and the scraper's")
    with contextlib.ExitStack() as stack:
        for _ in range(7):
            stack.enter_context(connect(counted.server))
        wait_until(lambda: counted.value("mindcore_http_connections") == 9, 30, "the connections that are open")
    wait_until(lambda: counted.value("mindcore_http_connections") == 2, 30, "those that are left")


# ---- Turned away ----

def test_auth(make_server, cli, db):
    made = cli("keys", "create", "--name", "n", "--scope", "read", "--db", db, "--json", status=0).json
    counted = Counted(make_server, f"  api_keys: [{KEY}]\n", db=db, headers={"Authorization": f"Bearer {KEY}"})
    server = counted.server
    stranger = {"Authorization": f"Bearer {KEY}x"}
    assert server.http.get("/v1/queue", headers=stranger).status == 401
    assert server.http.get("/v1/nothing", headers=stranger).status == 401
    reader = {"Authorization": f"Bearer {made['key']}"}
    wait_until(lambda: server.http.get("/v1/queue", headers=reader).status == 200, what="the new key")
    before = counted.rejected("auth")
    assert before >= 2
    assert server.http.post("/v1/cache/invalidate", {"all": True}, headers=reader).status == 403
    counted.becomes(before + 1, counted.rejected, "auth")
    counted.becomes(1, counted.requests, "POST", "/v1/cache/invalidate", "4xx")
    bound = server.http.post("/v1/keys", {"name": "bound", "scopes": ["write"], "user_ids": ["ann"]}).json["key"]
    assert server.http.post("/v1/messages", message("not mine"), headers={"Authorization": f"Bearer {bound}"}).status == 403
    counted.becomes(before + 2, counted.rejected, "auth")


def test_what_an_agent_may_not_is_no_wrong_key(make_server):
    counted = Counted(make_server, "multi_agent: {enabled: true}\n")
    server = counted.server
    assert server.http.post("/v1/agents", {"agent_id": "desk", "name": "Desk", "can_write_public": False}).status == 201
    assert server.http.post("/v1/messages", message("to all", agent_id="desk", visibility="public")).status == 403
    counted.becomes(1, counted.requests, "POST", "/v1/messages", "4xx")
    assert counted.rejected("auth") == 0


def test_host(make_server):
    counted = Counted(make_server)
    assert counted.server.http.get("/v1/queue", headers={"Host": "evil.example"}).status == 421
    assert counted.server.http.get("/v1/queue", headers={"Origin": "https://evil.example"}).status == 403
    counted.becomes(2, counted.rejected, "host")


def test_size(make_server):
    counted = Counted(make_server, "  max_body: 4KiB\n")
    server = counted.server
    assert server.http.post("/v1/messages", message("x" * 9000)).status == 413
    head = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" \
           b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    assert server.raw(head + b"2000\r\n" + b" " * 0x2000 + b"\r\n0\r\n\r\n").startswith(b"HTTP/1.1 413")
    assert server.raw(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").startswith(
        b"HTTP/1.1 414")
    many = b"".join(b"X-%d: y\r\n" % number for number in range(101))
    assert server.raw(b"GET /live HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n").startswith(b"HTTP/1.1 431")
    counted.becomes(4, counted.rejected, "size")


def test_rate(make_server):
    counted = Counted(make_server, "  rate_limit: 2\n")
    refused = [counted.server.http.get("/v1/queue").status for _ in range(40)].count(429)
    assert refused > 0
    with contextlib.closing(Http("127.0.0.1", counted.port)) as scraper:
        def is_told():
            nonlocal refused
            answer = scraper.get("/metrics")
            refused += answer.status == 429  # the rate is that of the whole server
            line = 'mindcore_http_rejected_total{reason="rate"} ' + str(refused)
            return answer.status == 200 and line in answer.json.splitlines()
        wait_until(is_told, 60, "what was refused")


def test_connections(make_server):
    counted = Counted(make_server, "  max_connections: 20\n")
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(counted.server)) for _ in range(60)]
        refused = 0
        for connection in held:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
                refused += connection.recv(4096).startswith(b"HTTP/1.1 503")
        assert refused >= 40
        counted.becomes(refused, counted.rejected, "connections")


@contextlib.contextmanager
def full(server):
    """While the server carries nearly as much as server.max_memory allows: 60 KB more are too much."""
    body = json.dumps(message("x" * 30000)).encode()
    with contextlib.ExitStack() as stack:
        def is_full():
            held = stack.enter_context(connect(server))
            held.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                         b"Content-Length: %d\r\n\r\n%s" % (len(body), body[:-1]))
            return server.http.post("/v1/messages", message("z" * 60000, user_id="")).status == 503
        wait_until(is_full, 60, "a request that is refused")
        yield


def test_memory(make_server):
    counted = Counted(make_server, "  max_memory: 1MiB\n  request_timeout: 600\n")
    with full(counted.server):
        wait_until(lambda: counted.rejected("memory") >= 1, what="the count")
        wait_until(lambda: (counted.requests("POST", "/v1/messages", "5xx") or 0) >= 1, what="a request with 5xx")


def test_what_was_stored_is_told_also_when_memory_is_full(make_server):
    """Who is told to try again would store it twice."""
    server = make_server(config="server: {max_memory: 1MiB, request_timeout: 600}\n")
    text = "The invoice is wrong. " * 80
    lines = "".join(json.dumps(message(text)) + "\n" for _ in range(100))
    lines += (json.dumps(message("x", role="robot")) + "\n") * 923
    lines += json.dumps(message("The end", message_id="last")) + "\n"  # of the fourth batch of 256, so that it is stored
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60 * SLOWNESS)) as stream:
        stream.putrequest("POST", "/v1/messages")
        stream.putheader("Content-Type", "application/x-ndjson")
        stream.putheader("Transfer-Encoding", "chunked")
        stream.endheaders(b"%x\r\n%s\r\n" % (len(lines), lines.encode()))
        wait_until(lambda: server.http.get("/v1/messages/last").status == 200, what="the last line")
        with full(server):
            stream.send(b"0\r\n\r\n")
            answer = stream.getresponse()
            body = answer.read()
            assert answer.status == 200 and len(body) > 64 * 1024, "an answer that would not fit"
            value = json.loads(body)
            assert (value["stored"], value["refused_count"]) == (101, 923)
    with full(server):
        read = server.http.get("/v1/users/u1/threads/t1/messages", query={"limit": 50})
        assert read.status == 503 and read.headers["retry-after"] == "1", "what changes nothing can be asked for again"
    wait_until(lambda: server.http.get("/v1/users/u1/threads/t1/messages", query={"limit": 50}).status == 200, 30, "room")


def test_health_is_asked_for_once_a_second(make_server):
    """It writes to the database, and anybody may ask for it as often as they like."""
    counted = Counted(make_server)
    counted.server.drain()
    commits, began = counted.value("mindcore_store_commits_total"), time.monotonic()
    with contextlib.closing(Http("127.0.0.1", counted.port)) as other_address:
        for client in (counted.server.http, other_address) * 250:
            answer = client.get("/health")
            assert (answer.status, answer.json["status"]) == (200, "ok")
    grown = counted.value("mindcore_store_commits_total") - commits
    assert grown <= 20 + 2 * (time.monotonic() - began), "500 would be one each"


def test_an_answer_beyond_all_memory(make_server):
    """Trying again does not help: less has to be asked for."""
    counted = Counted(make_server, "  max_memory: 1MiB\n")
    server = counted.server
    lines = "".join(json.dumps(message("The invoice is wrong. " * 900)) + "\n" for _ in range(100))
    assert server.http.post("/v1/messages", lines, headers=NDJSON).json["stored"] == 100
    path = "/v1/users/u1/threads/t1/messages"
    answer = server.http.get(path, query={"limit": 100})
    assert answer.status == 413 and "server.max_memory" in answer.json["detail"] and "ask for less" in answer.json["detail"]
    assert "retry-after" not in answer.headers
    counted.becomes(1, counted.rejected, "size")
    assert len(server.http.get(path, query={"limit": 20}).json["messages"]) == 20
    assert counted.rejected("memory") == 0


def test_concurrency(make_server):
    """Exports that nobody reads hold the threads of long requests; so many may wait, the others are told."""
    counted = Counted(make_server, "  max_connections_per_address: 0\n")
    body = "".join(json.dumps(message("The invoice is wrong. " * 100)) + "\n" for _ in range(4000))
    assert counted.server.http.post("/v1/messages", body, headers=NDJSON).json["stored"] == 4000
    with contextlib.ExitStack() as stack:
        for _ in range(90):
            slow = stack.enter_context(socket.socket())
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.connect(("127.0.0.1", counted.server.port))
            slow.sendall(b"GET /v1/users/u1/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: counted.rejected("concurrency") > 0, 30, "the count")
        assert counted.server.http.get("/live").status == 200


def test_slow(make_server):
    counted = Counted(make_server, "  request_timeout: 1\n  idle_timeout: 30\n")
    with connect(counted.server) as slow:
        slow.sendall(b"GET /live HTTP/1.1\r\nHost: ")
        with contextlib.suppress(ConnectionResetError):
            assert slow.recv(1) == b""
    wait_until(lambda: counted.rejected("slow") >= 1, what="the count")


def test_tls(make_server, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    config = f"server: {{tls_cert: {tmp_path / 'cert.pem'}, tls_key: {tmp_path / 'key.pem'}}}\n"
    server = make_server(config=config, tls=trusting)

    def failures():
        return int(re.search(r"^mindcore_http_tls_failures_total (\d+)$", server.http.get("/metrics").json, re.M)[1])

    before = failures()
    for context in (ssl.create_default_context(), None):  # who does not know the certificate, who speaks no TLS
        with contextlib.closing(Http("localhost", server.port, tls=context)) as stranger, \
                pytest.raises((OSError, http.client.HTTPException)):
            stranger.get("/live")
    wait_until(lambda: failures() == before + 2, what="both being counted")
