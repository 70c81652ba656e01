"""NDJSON: lines are stored while they arrive, in bounded memory; each refused line is named."""

import contextlib
import json
import socket
import threading

import pytest

from conftest import SLOWNESS, message, wait_until

NDJSON = {"Content-Type": "application/x-ndjson"}
HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"


def lines(*values):
    return "".join((value if isinstance(value, str) else json.dumps(value)) + "\n" for value in values)


def send_stream(server, pieces, timeout=60):
    """Sends pieces as chunks of one request; gives status and JSON of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout * SLOWNESS) as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
        for piece in pieces:
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, body = answer.split(b"\r\n\r\n", 1)
    return int(head.split()[1]), json.loads(body)


def test_good_and_bad_lines(server):
    body = lines(message("First line of this", message_id="m1"), "{broken", message("no user", user_id=None), "",
                 message("Second line of that", message_id="m2"), "   ", message("x", role="robot"), "[1]",
                 message("First line of this", message_id="m1"), message("Other text", message_id="m1"))
    response = server.http.post("/v1/messages", body, headers=NDJSON)
    assert response.status == 200, response
    value = response.json
    assert value["stored"] == 3 and value["created"] == 2
    assert [item["line"] for item in value["refused"]] == [2, 3, 7, 8, 10]
    assert value["refused_count"] == 5
    assert [item.get("field") for item in value["refused"]][1:3] == ["user_id", "role"]
    assert all(item["error"] for item in value["refused"])
    texts = [m["raw_text"] for m in server.http.get("/v1/users/u1/threads/t1/messages").json["messages"]]
    assert texts == ["Second line of that", "First line of this"]


@pytest.mark.parametrize("body", ["", "\n", "\r\n\r\n", "\n" * 5000])
def test_nothing_to_store(server, body):
    response = server.http.post("/v1/messages", body, headers=NDJSON)
    assert (response.status, response.json) == (200, {"stored": 0, "created": 0, "refused_count": 0, "refused": []})


def test_last_line_without_newline_and_crlf(server):
    body = json.dumps(message("One of two")) + "\r\n" + json.dumps(message("Two of two"))
    assert server.http.post("/v1/messages", body, headers=NDJSON).json["stored"] == 2


def test_pieces_of_any_size(server):
    text = lines(*(message(f"Piece {number} über alles", message_id=f"m{number}") for number in range(50))).encode()
    for size in (1, 7, 64, 1000):
        status, value = send_stream(server, [text[i:i + size] for i in range(0, len(text), size)])
        assert (status, value["stored"]) == (200, 50), size
    assert server.http.get("/v1/users/u1/threads/t1/messages?limit=100").json["messages"][0]["raw_text"] == \
        "Piece 49 über alles"


def test_a_line_that_is_too_long(make_server):
    server = make_server(config="server: {max_body: 4KiB}\n")
    body = lines(message("before"), message("x" * 5000), message("after"), "y" * 20000, message("end"))
    value = server.http.post("/v1/messages", body, headers=NDJSON).json
    assert value["stored"] == 3
    assert [item["line"] for item in value["refused"]] == [2, 4]
    assert "4096" in value["refused"][0]["error"]


def test_the_list_of_refused_lines_is_bounded(server):
    value = server.http.post("/v1/messages", "{}\n" * 5000, headers=NDJSON).json
    assert value["refused_count"] == 5000 and value["stored"] == 0
    assert len(value["refused"]) == 1000 and value["refused"][-1]["line"] == 1000


def test_order_over_many_batches(server):
    count = 2000
    body = lines(*(message(f"Number {number}", message_id=f"m{number:05d}") for number in range(count)))
    assert server.http.post("/v1/messages", body, headers=NDJSON).json["stored"] == count
    page = server.http.get("/v1/users/u1/threads/t1/messages?limit=1000").json["messages"]
    assert [m["raw_text"] for m in page] == [f"Number {number}" for number in range(count - 1, count - 1001, -1)]


def test_a_stream_that_breaks_off_keeps_its_whole_batches(server):
    """What was stored stays, the begun rest is not; the connection just ends."""
    text = lines(*(message(f"Number {number}", message_id=f"m{number}") for number in range(1000))).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n" + text)

        def some():
            return server.http.get("/v1/messages/m255").status == 200
        wait_until(some, what="the first batch")
    # Sent again as a whole nothing is doubled.
    value = server.http.post("/v1/messages", text, headers=NDJSON).json
    assert value["stored"] == 1000 and value["created"] < 1000


def test_other_requests_go_on_meanwhile(server):
    """Streams that stand still or store batches hold no thread: more of them than there are threads."""
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n" + lines(message("Half of it")).encode() * 300)
        for _ in range(20):
            assert server.http.get("/live").status == 200
            assert server.http.post("/v1/messages", message("In between", user_id="u2")).status == 201


@pytest.mark.plain_only
def test_memory_does_not_grow_with_the_stream(server):
    """The first stream fills the database's own page cache; another as long adds nothing to the peak."""
    piece = (json.dumps(message("hello there " * 60)) + "\n").encode() * 80
    count = 60_000_000 // len(piece)
    for _ in range(2):
        before = server.memory_kb("VmHWM")
        status, value = send_stream(server, (piece for _ in range(count)), timeout=300)
        assert (status, value["stored"]) == (200, 80 * count)
    grown = server.memory_kb("VmHWM") - before
    assert grown < 8_000, f"{grown} kB more for another 60 MB"
    assert server.memory_kb("VmHWM") < 150_000


def test_streams_at_the_same_time(server):
    results = []

    def one(user):
        body = lines(*(message(f"Number {number}", user_id=user) for number in range(500)))
        client = server.client()
        results.append(client.post("/v1/messages", body, headers=NDJSON).json["stored"])

    threads = [threading.Thread(target=one, args=(f"user{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [500] * 8


def test_batches_that_end_with_their_chunk(server):
    """Several chunks wait in the buffer, and each fills a batch: none is taken before the one before it is stored."""
    line = (json.dumps(message("hi", user_id="u", thread_id="t", session_id="s")) + "\n").encode()
    chunk = b"%x\r\n%s\r\n" % (3 * 256, b"{}\n" * 256)
    good = b"%x\r\n%s\r\n" % (len(line) * 256, line * 256)
    for _ in range(5):
        answer = server.raw(HEAD + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + (chunk * 15 + good) * 4 +
                            b"0\r\n\r\n")
        value = json.loads(answer.split(b"\r\n\r\n", 1)[1])
        assert (value["stored"], value["refused_count"]) == (4 * 256, 4 * 15 * 256)
