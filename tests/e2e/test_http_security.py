"""Who may ask: Host, Origin, keys, addresses, rates; and clients that are slow or many."""

import contextlib
import socket
import time

import pytest

from conftest import SLOWNESS, Http, Server, free_port, message, wait_until

KEY = "0123456789abcdef-key"
OTHER = "fedcba9876543210-key"


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A server with a further name."""
    with Server(tmp_path_factory.mktemp("named"), config="server: {allowed_hosts: [memory.example]}\n") as running:
        yield running


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


def get(server, host, extra="", path="/v1/queue"):
    head = f"GET {path} HTTP/1.1\r\n" + (f"Host: {host}\r\n" if host is not None else "") + extra
    return status_of(server.raw((head + "Connection: close\r\n\r\n").encode()))


@pytest.mark.parametrize(("host", "status"), [
    ("localhost", 200), ("localhost:8000", 200), ("LOCALHOST:1", 200), ("127.0.0.1", 200), ("127.0.0.1:9", 200),
    ("[::1]", 200), ("[::1]:80", 200), ("memory.example", 200), ("memory.example:443", 200),
    ("evil.example", 421), ("localhost.evil.example", 421), ("evil.example:8000", 421), ("127.0.0.1.evil.example", 421),
    ("localhost:80:80", 421), ("localhost:x", 421), ("", 421), ("[::1", 421), ("127.0.0.2", 421), ("localhost@evil", 421),
    (None, 400),
])
def test_host(named, host, status):
    assert get(named, host) == status


def test_two_hosts(server):
    assert get(server, "localhost", "Host: localhost\r\n") == 400


@pytest.mark.parametrize(("origin", "status"), [
    ("http://localhost:3000", 200), ("https://127.0.0.1", 200), ("http://memory.example", 200),
    ("https://evil.example", 403), ("null", 403), ("http://localhost.evil.example", 403), ("file://", 403), ("", 403),
])
def test_origin(named, origin, status):
    assert get(named, "localhost", f"Origin: {origin}\r\n") == status


def test_no_cross_origin_headers(server):
    response = server.http.request("OPTIONS", "/v1/messages", headers={
        "Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST"})
    assert response.status == 204
    assert response.headers["allow"] == "POST, OPTIONS"
    assert not [name for name in response.headers if name.startswith("access-control")]
    assert server.http.request("OPTIONS", "*").status == 204


def test_keys(make_server):
    server = make_server(config=f"server: {{api_keys: [{KEY}, {OTHER}]}}\n")
    none = server.http.get("/v1/queue")
    assert none.status == 401
    assert none.headers["www-authenticate"] == "Bearer"
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer {OTHER}"}, {"X-API-Key": KEY}):
        assert server.http.get("/v1/queue", headers=headers).status == 200, headers
    for headers in ({"Authorization": f"Bearer {KEY}x"}, {"Authorization": f"Bearer {KEY[:-1]}"},
                    {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer "}, {"Authorization": KEY},
                    {"X-API-Key": ""}, {"X-API-Key": KEY + "0" * 300}, {"X-API-Key": KEY.upper()}):
        assert server.http.get("/v1/queue", headers=headers).status == 401, headers
    for path in ("/health", "/live", "/ready", "/openapi.json", "/"):
        assert server.http.get(path).status == 200, path
    for path in ("/metrics", "/v1/nothing", "/v1/messages/m1", "/v1/status"):
        assert server.http.get(path).status == 401, path
    assert server.http.post("/v1/messages", message("hello")).status == 401
    assert KEY not in server.stderr


@pytest.mark.parametrize("listen", ["0.0.0.0", "[::]"])
def test_other_addresses_need_keys(make_server, cli, db, listen):
    port = free_port()
    refused = cli("serve", "--db", db, "--listen", f"{listen}:{port}", status=1)
    assert "server.api_keys" in refused.err
    short = cli("serve", "--db", db, "--listen", f"{listen}:{port}", status=1, env={"MINDCORE_SERVER_API_KEYS": "short"})
    assert "16" in short.err and "api_keys" in short.err


@pytest.mark.parametrize("listen", ["nonsense", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "256.0.0.1:80", "::1:80"])
def test_addresses_that_are_none(cli, db, listen):
    result = cli("serve", "--db", db, "--listen", listen)
    assert result.status in (1, 2)
    assert "listen" in result.err


def test_an_address_in_use(server, cli, tmp_path):
    result = cli("serve", "--db", f"sqlite:{tmp_path / 'other.db'}", "--listen", f"127.0.0.1:{server.port}", status=1)
    assert "in use" in result.err


def test_metrics_server(make_server):
    port = free_port()
    server = make_server(config=f"server: {{metrics_listen: '127.0.0.1:{port}'}}\n")
    # It is opened after the main address.
    wait_until(lambda: f":{port}/metrics" in server.stdout, what="the second address")
    with contextlib.closing(Http("127.0.0.1", port)) as client:
        for path in ("/metrics", "/health", "/live", "/ready"):
            assert client.get(path).status == 200
        for path in ("/", "/v1/queue", "/openapi.json"):
            assert client.get(path).status == 404
        assert client.post("/v1/messages", message("hello")).status == 404


def test_rate(make_server):
    server = make_server(config="server: {rate_limit: 2}\n")
    statuses = [server.http.get("/v1/queue").status for _ in range(40)]
    assert 200 in statuses and 429 in statuses
    limited = server.http.get("/v1/queue")
    while limited.status != 429:
        limited = server.http.get("/v1/queue")
    assert limited.headers["retry-after"] == "1"
    assert server.http.get("/live").status == 200
    wait_until(lambda: server.http.get("/v1/queue").status == 200, what="new requests being allowed")


def open_and_send(server, data):
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30 * SLOWNESS)
    connection.sendall(data)
    return connection


def wait_for_close(connection, trickle):
    """Sends one byte every tenth of a second until the server closes."""
    deadline = time.monotonic() + 30 * SLOWNESS
    connection.settimeout(0.1)
    while time.monotonic() < deadline:
        try:
            if connection.recv(4096) == b"":
                return
        except TimeoutError:
            with contextlib.suppress(OSError):
                connection.send(trickle)
        except OSError:
            return
    raise AssertionError("the connection is still open")


@pytest.mark.parametrize(("start", "trickle"), [
    (b"G", b"G"), (b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-A: ", b"a"),
    (b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
     b" "),
    (b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
     b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
])
def test_slow_requests_are_cut_off(make_server, start, trickle):
    """Slowloris: something moves all the time, and still the request as a whole has a limit."""
    server = make_server(config="server: {request_timeout: 1, idle_timeout: 30}\n")
    began = time.monotonic()
    with open_and_send(server, start) as connection:
        wait_for_close(connection, trickle)
    assert time.monotonic() - began > 0.5, "not before its time"
    assert server.http.get("/live").status == 200


def test_slow_requests_on_a_used_connection(make_server):
    server = make_server(config="server: {request_timeout: 1, idle_timeout: 1}\n")
    with open_and_send(server, b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        wait_for_close(connection, b"G")


def test_idle_connections_are_closed(make_server):
    server = make_server(config="server: {idle_timeout: 1}\n")
    with open_and_send(server, b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert connection.recv(4096) == b""


def test_a_line_now_and_then_keeps_a_stream_open(make_server):
    server = make_server(config="server: {request_timeout: 2}\n")
    head = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n" \
           b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with open_and_send(server, head) as connection:
        for _ in range(12):
            connection.sendall(b"3\r\n{}\n\r\n")
            time.sleep(0.2)  # the client's own pace is what is tested
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_many_connections_that_say_nothing(server):
    """They use no thread; who asks is answered."""
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(open_and_send(server, b"POST /v1/mess"))
        with contextlib.closing(server.client()) as client:
            assert client.get("/live").status == 200


def test_security_headers(server):
    for response in (server.http.get("/"), server.http.get("/v1/queue"), server.http.get("/v1/nothing")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        assert "server" not in response.headers
