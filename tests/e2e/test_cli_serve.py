"""mindcore serve as a process: what it prints, how it starts and how it ends."""

import json
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from conftest import PROGRAM, SLOWNESS, environment, free_port, message, wait_until


def test_it_prints_the_dashboard_and_a_line_that_works(server):
    wait_until(lambda: "curl" in server.stdout, what="the welcome")
    assert f"Dashboard: {server.url}/" in server.stdout
    line = re.search(r"^Try it: +(curl .*)$", server.stdout, re.M)[1]
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["user_id"] == "ann"


def test_logs_are_logfmt_on_standard_error(make_server):
    server = make_server()
    server.http.post("/v1/messages", message("hello there, how is order A-1?"))
    server.stop()
    lines = server.stderr.splitlines()
    assert any("ready" in line for line in lines) and any("ended" in line for line in lines)
    for line in lines:
        assert re.match(r'ts=\S+ level=\w+ module=\w+ msg="', line), line


def test_logs_are_json_when_asked_for(make_server):
    server = make_server(args=["-o", "logging.format=json"])
    server.http.post("/v1/messages", message("hello there, how is order A-1?"))
    server.stop()
    lines = [json.loads(line) for line in server.stderr.splitlines()]
    assert any("method=POST" in line["msg"] for line in lines)
    assert all(set(line) == {"ts", "level", "module", "msg"} for line in lines)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_order(make_server, cli, sig):
    server = make_server()
    server.http.post("/v1/messages", message("I need a refund for order A-1042", message_id="m1"))
    server.stop(sig)
    value = cli("recent", "--db", server.db, "--user", "u1", "--thread", "t1", "--json", status=0).json
    assert [one["message_id"] for one in value["messages"]] == ["m1"]


def test_the_port_is_in_use(cli, db):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        result = cli("serve", "--db", db, "--listen", f"127.0.0.1:{port}", status=1)
    said = result.err.splitlines()[-1]
    assert "127.0.0.1" in said and str(port) in said and "in use" in said
    assert "another port" in said, "it should say what to do"


@pytest.mark.parametrize("listen, said", [
    ("nonsense", "listen"), ("127.0.0.1:99999", "listen"), ("0.0.0.0:0", "api_keys"), ("192.0.2.1:8000", "")])
def test_addresses_that_are_refused(cli, db, listen, said):
    result = cli("serve", "--db", db, "--listen", listen, status=1)
    assert said in result.err


def test_the_configuration_is_checked_before_anything_runs(cli, db, tmp_path):
    path = tmp_path / "mindcore.yaml"
    path.write_text("server:\n  listen: 127.0.0.1:8000\n  colour: red\n", encoding="utf-8")
    assert f"{path}:3:" in cli("serve", "--db", db, "--config", path, status=1).err
    assert not (tmp_path / "mindcore.db").exists()


def test_a_second_address_for_metrics(make_server):
    port = free_port()
    server = make_server(args=["-o", f"server.metrics_listen=127.0.0.1:{port}"])
    wait_until(lambda: f"http://127.0.0.1:{port}/metrics" in server.stdout, what="the welcome")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200") and b"mindcore_" in answer


@pytest.mark.plain_only
def test_it_is_ready_quickly(tmp_path):
    """
    Without the time for which it might run and other programs have the machine; these may delay what it waits for, too,
    so that one of many starts says it.
    """
    times = []
    while min(times, default=1) >= 0.05 * SLOWNESS:
        assert len(times) < 40, times
        start = time.monotonic()
        process = subprocess.Popen(
            [str(PROGRAM), "serve", "--db", f"sqlite:{tmp_path / f'{len(times)}.db'}", "--listen", "127.0.0.1:0", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment())
        port = json.loads(process.stdout.readline())["port"]
        with socket.create_connection(("127.0.0.1", port)):
            took = time.monotonic() - start
        held_up_ns = Path(f"/proc/{process.pid}/schedstat").read_text(encoding="ascii").split()[1]
        times.append(took - int(held_up_ns) / 1e9)
        process.terminate()
        assert process.wait(15 * SLOWNESS) == 0
        process.stdout.close()
