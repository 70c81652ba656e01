"""Keep-alive, pipelining, HEAD, concurrency, requests that take long, and the end of the server."""

import contextlib
import http.client
import json
import os
import re
import resource
import signal
import socket
import statistics
import threading
import time

import pytest

from conftest import SLOWNESS, Http, free_port, message, wait_until

NDJSON = {"Content-Type": "application/x-ndjson"}


def connect(server, receive_buffer=None):
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(30 * SLOWNESS)
    connection.connect(("127.0.0.1", server.port))
    return connection


def read_answers(connection, count, or_closed=False):
    """The statuses of that many answers with a Content-Length."""
    data, statuses = b"", []
    while len(statuses) < count:
        found = re.match(rb"HTTP/1\.1 (\d+) .*?\r\n\r\n", data, re.S)
        length = int(re.search(rb"Content-Length: (\d+)", found[0])[1]) if found else 0
        if found and len(data) >= found.end() + length:
            statuses.append(int(found[1]))
            data = data[found.end() + length:]
            continue
        chunk = connection.recv(65536)
        if not chunk and or_closed and not data:
            return statuses
        assert chunk, f"closed after {statuses}"
        data += chunk
    return statuses


def post(body):
    body = json.dumps(body).encode()
    return b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" \
           b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def load(server, count, user="u1", size=2000):
    text = "The invoice is wrong. " * (size // 22)
    body = "".join(json.dumps(message(text, user_id=user)) + "\n" for _ in range(count))
    assert server.http.post("/v1/messages", body, headers=NDJSON).json["stored"] == count


def test_one_connection_for_many_requests(server):
    with contextlib.closing(connect(server)) as connection:
        for number in range(20):
            connection.sendall(post(message(f"Number {number}")))
            assert read_answers(connection, 1) == [201]
            connection.sendall(b"GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_answers(connection, 1) == [404]
            connection.sendall(post({"bad": 1}))
            assert read_answers(connection, 1) == [400]


def test_pipelining(server):
    with contextlib.closing(connect(server)) as connection:
        requests = [post(message(f"Number {number}", message_id=f"m{number}")) for number in range(50)]
        connection.sendall(b"".join(requests) + b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_answers(connection, 51) == [201] * 50 + [200]
    page = server.http.get("/v1/users/u1/threads/t1/messages?limit=50").json["messages"]
    assert [m["message_id"] for m in page] == [f"m{number}" for number in reversed(range(50))]


def test_a_request_byte_by_byte(server):
    with contextlib.closing(connect(server)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(message("Byte by byte")):
            connection.sendall(bytes([byte]))
        assert read_answers(connection, 1) == [201]


def head_of(server, path):
    """Status and headers of a HEAD request, which has no body whatever its Content-Length says."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30 * SLOWNESS)) as connection:
        connection.request("HEAD", path)
        answer = connection.getresponse()
        assert answer.read() == b""
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def test_head(server):
    server.http.post("/v1/messages", message("My parcel is late", message_id="m1"))
    server.drain()
    for path in ("/", "/live", "/openapi.json", "/v1/messages/m1", "/v1/users/u1/threads/t1/messages"):
        status, headers = head_of(server, path)
        full = server.http.get(path)
        assert status == full.status == 200
        assert headers["content-length"] == full.headers["content-length"]
        assert headers["content-type"] == full.headers["content-type"]
    for path, status in (("/v1/users/u1/export", 200), ("/v1/nothing", 404), ("/v1/context", 405)):
        assert head_of(server, path)[0] == status


def test_old_clients(server):
    answer = server.raw(b"GET /live HTTP/1.0\r\nHost: localhost\r\n\r\n")
    assert answer.split(b"\r\n")[0].split()[1] == b"200"


def test_expect_continue(server):
    body = json.dumps(message("After a word of permission")).encode()
    with contextlib.closing(connect(server)) as connection:
        connection.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert read_answers(connection, 1) == [201]


def test_many_clients_at_once(server):
    """Everything acknowledged is there, once."""
    acknowledged, failures = [], []

    def work(worker):
        with contextlib.closing(Http("127.0.0.1", server.port)) as client:
            for number in range(25):
                response = client.post("/v1/messages", message(
                    f"{worker} says {number}", user_id=f"user{worker % 4}", thread_id=f"t{worker}"))
                if response.status == 201:
                    acknowledged.append(response.json["message_id"])
                else:
                    failures.append(response)
                client.get(f"/v1/users/user{worker % 4}/threads/t{worker}/messages")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    stored = [m["message_id"] for worker in range(32) for m in server.http.get(
        f"/v1/users/user{worker % 4}/threads/t{worker}/messages?limit=100").json["messages"]]
    assert sorted(stored) == sorted(acknowledged) and len(set(stored)) == 800


def test_an_export_that_is_not_read_holds_nobody_up(server):
    """Slow readers of exports: back-pressure, and everyone else is served, other exports too in their turn."""
    load(server, 4000)
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(contextlib.closing(connect(server, receive_buffer=4096)))
            slow.sendall(b"GET /v1/users/u1/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert slow.recv(100).startswith(b"HTTP/1.1 200")
        for _ in range(50):
            assert server.http.get("/live").status == 200
            assert server.http.post("/v1/messages", message("Meanwhile", user_id="u2")).status == 201
        lines = server.http.get("/v1/users/u2/export").json.splitlines()
        assert len(lines) >= 50
    # The readers are gone: their exports end, and the next one is whole.
    lines = server.http.get("/v1/users/u1/export").json.splitlines()
    assert sum(json.loads(line)["type"] == "message" for line in lines) == 4000


def test_a_reader_that_takes_too_long_is_cut_off(make_server):
    server = make_server()
    load(server, 4000)
    server.config = "server: {request_timeout: 1}\n"
    server.restart()
    with contextlib.closing(connect(server, receive_buffer=4096)) as slow:
        slow.sendall(b"GET /v1/users/u1/export HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        wait_until(lambda: "/v1/users/u1/export" in server.stderr, what="the end of the export")
    assert "aborted=true" in server.stderr


def test_long_requests_do_not_hold_up_short_ones(server):
    load(server, 3000)
    done = []

    def long_one(path, body):
        client = server.client()
        done.append(client.post(path, body).status)

    threads = [threading.Thread(target=long_one, args=("/v1/tiers/migrate", {"dry_run": True})) for _ in range(12)]
    for thread in threads:
        thread.start()
    took = []
    for _ in range(50):
        start = time.monotonic()
        assert server.http.get("/live").status == 200
        took.append(time.monotonic() - start)
    for thread in threads:
        thread.join()
    assert done == [200] * 12
    assert statistics.median(took) < 0.5 * SLOWNESS, took


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_the_end_waits_for_requests_in_flight(server, sig):
    body = json.dumps(message("Half before, half after the signal", message_id="last")).encode()
    with contextlib.closing(connect(server)) as connection:
        connection.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")  # so that the server has it
        connection.sendall(body[:20])
        server.process.send_signal(sig)

        def refused():
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            except OSError:
                return True
            return False
        wait_until(refused, what="new connections being refused")
        connection.sendall(body[20:])
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        assert answer.startswith(b"HTTP/1.1 201"), answer
        assert b"Connection: close" in answer
    server.process.wait(20 * SLOWNESS)
    server.stop()
    server.start()
    assert server.http.get("/v1/messages/last").status == 200


def test_ready_while_stopping(server):
    with contextlib.closing(connect(server)) as half, contextlib.closing(connect(server)) as other:
        half.sendall(post(message("Never finished"))[:-5])
        other.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_answers(other, 1) == [200]
        server.process.send_signal(signal.SIGTERM)

        def stopping():
            try:
                other.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return read_answers(other, 1, or_closed=True) in ([503], [])
            except ConnectionError:  # idle in that moment: closed as it should be
                return True
        # The signal takes a moment; the first answer that says so ends the connection.
        wait_until(stopping, what="/ready to say that the server stops")
    server.process.wait(20 * SLOWNESS)
    server.stop()


def test_the_end_does_not_wait_for_ever(server):
    """Requests that never end are cut off when the time to drain is over."""
    load(server, 4000)
    with contextlib.closing(connect(server)) as half, contextlib.closing(connect(server, 4096)) as slow, \
            contextlib.closing(connect(server)) as stream:
        half.sendall(post(message("Never finished"))[:-5])
        stream.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                       b"Content-Length: 1000000\r\n\r\n" + (json.dumps(message("x y z")) + "\n").encode() * 300)
        slow.sendall(b"GET /v1/users/u1/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert slow.recv(100).startswith(b"HTTP/1.1 200")
        server.stop(timeout=30)


def test_threads_and_descriptors_do_not_grow(server):
    def count(kind):
        return len(os.listdir(f"/proc/{server.pid}/{kind}"))

    def round_trip():
        for _ in range(20):
            with contextlib.closing(Http("127.0.0.1", server.port)) as client:
                client.post("/v1/messages", message("Again and again"))
                client.get("/v1/users/u1/export")
                client.post("/v1/messages", "{}\n", headers=NDJSON)

    for _ in range(2):  # what is opened when it is needed first, and kept, is then there
        round_trip()
    wait_until(lambda: count("fd") < 100)
    threads, files = count("task"), count("fd")
    round_trip()
    wait_until(lambda: count("task") <= threads, what="threads being ended")
    wait_until(lambda: count("fd") <= files + 2, what="descriptors being closed")


def ask(connection):
    """The status of one request on a connection that stays open."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return read_answers(connection, 1)[0]


def ask_on_many(server, count):
    """How often each status came on so many connections that are open at the same time."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(server)) for _ in range(count)]
        statuses = [ask(connection) for connection in connections]
    return {status: statuses.count(status) for status in set(statuses)}


def serves_again(server):
    with contextlib.closing(connect(server)) as connection:
        return ask(connection) == 200


def test_connections_beyond_the_limit_are_answered(make_server):
    server = make_server(args=["-o", "server.max_connections=20"])
    got = ask_on_many(server, 100)
    assert 15 <= got[200] <= 20 and got[503] == 100 - got[200], got
    wait_until(lambda: serves_again(server), what="a connection after the others were closed")


def test_connections_without_descriptors_are_answered(server):
    """Descriptors that end unforeseen: the limit is lowered in the running server."""
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{server.pid}/fd"))
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 10, limits[1]))
    got = ask_on_many(server, 40)
    assert got[200] >= 5 and got[503] == 40 - got[200], got
    wait_until(lambda: serves_again(server), what="a connection after the others were closed")


@pytest.mark.parametrize("limit", [64, 200])
def test_a_low_limit_of_descriptors(make_server, limit):
    server = make_server(start=False)
    server.port = free_port()
    command = ["sh", "-c", f"ulimit -n {limit}; exec \"$@\"", "sh", *server.command()]
    server.command = lambda: command
    if limit == 64:
        server.launch()
        assert wait_until(lambda: server.process.poll() is not None, what="the end") and server.process.returncode == 1
        server.process = None
        wait_until(lambda: "raise it with 'ulimit -n" in server.stderr, what="the reason")
    else:
        server.start()
        got = ask_on_many(server, 250)
        assert got[200] >= 10 and got[503] == 250 - got[200], got
        wait_until(lambda: serves_again(server), what="a connection after the others were closed")
        assert "ulimit -n" in server.stderr
