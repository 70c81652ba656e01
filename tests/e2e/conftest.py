"""Fixtures of the end-to-end tests: the real program, over the command line and over HTTP.

MINDCORE_BUILD names the build folder (default: build), MINDCORE_SANITIZER the sanitizer that it was
built with ("asan", "tsan", or empty). Tests wait on conditions, never for a time.
"""

import contextlib
import http.client
import itertools
import json
import os
import re
import select
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path

import pytest

from model_server import ModelServer
from models import LlamaServer, llama_prefix, make_model

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("MINDCORE_BUILD", "build"))
BUILD = BUILD if BUILD.is_absolute() else ROOT / BUILD
PROGRAM = BUILD / "mindcore"
DATA = ROOT / "tests" / "data"
SANITIZER = os.environ.get("MINDCORE_SANITIZER", "")

# Of pytest-xdist: which of how many processes that run tests at the same time this one is.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

# Programs under a sanitizer, and beside others, are that much slower; every time limit is multiplied by it.
SLOWNESS = {"": 1 if WORKERS == 1 else 2, "asan": 4, "tsan": 10}.get(SANITIZER, 4)

SANITIZER_OUTPUT = re.compile(
    r"ERROR: AddressSanitizer|runtime error:|WARNING: ThreadSanitizer|ERROR: LeakSanitizer|LeakSanitizer: detected"
    r"|FATAL: ThreadSanitizer|DEADLYSIGNAL")


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "plain_only: figures (time, memory) that mean nothing in a program built with a sanitizer")


def assert_clean(text):
    """No sanitizer has complained in what a program wrote."""
    found = SANITIZER_OUTPUT.search(text)
    assert not found, f"sanitizer output:\n{text[max(0, found.start() - 200):][:6000]}"


def wait_until(condition, timeout=30, what="the condition"):
    """The first true value of condition(), which is asked again until the time limit: one that only what hangs reaches."""
    deadline = time.monotonic() + timeout * SLOWNESS
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come true within {timeout * SLOWNESS} s"
        time.sleep(0.01)


def environment(extra=None):
    """The caller's environment without any option of Mindcore's, so that a test says all it depends on."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith(("MINDCORE_", "OPENAI_"))}
    return {**kept, "TZ": "UTC", **(extra or {})}


def _own_ports():
    """Of those below the ports that the kernel gives to clients, and of no other process of tests: a name is held for them."""
    for first in range(20000, 32400, 400):
        guard = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            guard.bind(f"\0mindcore-tests-{first}")
            return guard, itertools.cycle(range(first, first + 400))
        guard.close()
    raise AssertionError("all ports are those of other tests")


_guard, _ports = _own_ports()


def free_port():
    """A port of the loopback address that nothing listens on now."""
    while True:
        port = next(_ports)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Result:
    """What a command left: .status, .out, .err, and .json of the whole output."""

    def __init__(self, status, out, err):
        self.status = status
        self.out = out
        self.err = err

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    def __repr__(self):
        return f"<exit status {self.status}\n-- output\n{self.out}\n-- errors\n{self.err}>"


class Response(tuple):
    """(status, headers, json): json is the decoded body, or its text where it is not JSON."""

    def __new__(cls, status, headers, body):
        content_type = headers.get("content-type", "")
        text = body.decode("utf-8")
        value = text
        if "json" in content_type and "ndjson" not in content_type:
            value = json.loads(text)
        self = super().__new__(cls, (status, headers, value))
        self.body = body
        return self

    status = property(lambda self: self[0])
    headers = property(lambda self: self[1])
    json = property(lambda self: self[2])


class Http:
    """One keep-alive connection, reopened when the server closed it. One thread at a time."""

    def __init__(self, host, port, headers=None, timeout=30, tls=None):
        """tls: an ssl.SSLContext, for HTTPS."""
        self.connection = http.client.HTTPSConnection(host, port, timeout=timeout * SLOWNESS, context=tls) if tls else \
            http.client.HTTPConnection(host, port, timeout=timeout * SLOWNESS)
        self.headers = headers or {}

    def request(self, method, path, body=None, headers=None, query=None):
        """body: None, bytes or text as they are, anything else as JSON. Gives a Response."""
        sent = {**self.headers, **(headers or {})}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode("utf-8")
        if query:
            path += "?" + urllib.parse.urlencode(query, doseq=True)
        if self._is_ended():
            self.connection.close()
        fresh = self.connection.sock is None
        try:
            return self._exchange(method, path, body, sent)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # An idle connection may be closed by the server at any time; a new one may not.
            self.connection.close()
            if fresh or method != "GET":
                raise
            return self._exchange(method, path, body, sent)

    def _is_ended(self):
        """Whether something came on the idle connection: as nothing was asked it can only be its end."""
        if not self.connection.sock or isinstance(self.connection.sock, ssl.SSLSocket):
            return False
        look = select.poll()
        look.register(self.connection.sock, select.POLLIN)
        return bool(look.poll(0))

    def _exchange(self, method, path, body, headers):
        self.connection.request(method, path, body=body, headers=headers)
        reply = self.connection.getresponse()
        data = reply.read()
        return Response(reply.status, {name.lower(): value for name, value in reply.getheaders()}, data)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, body, **options)

    def patch(self, path, body=None, **options):
        return self.request("PATCH", path, body, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def close(self):
        self.connection.close()


class Server:
    """A running `mindcore serve`. Use as a context manager, or start() and stop().

        with Server(tmp_path) as server:
            status, headers, value = server.http.get("/health")
    """

    def __init__(self, folder, config=None, db=None, args=(), env=None, headers=None, listen="127.0.0.1", tls=None):
        """config: text of a YAML file. db: a URL, by default a file in the folder. tls: of its clients, as of Http."""
        self.folder = Path(folder)
        self.listen = listen
        self.tls = tls
        self.config = config
        self.db = db or f"sqlite:{self.folder / 'mindcore.db'}"
        self.args = [str(arg) for arg in args]
        self.env = env
        self.headers = headers
        self.process = None
        self.port = None
        self.http = None
        self._stderr = []
        self._stdout = []
        self._readers = []
        self._clients = []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    @property
    def stderr(self):
        return "".join(self._stderr)

    @property
    def stdout(self):
        return "".join(self._stdout)

    def command(self):
        command = [str(PROGRAM), "serve"]
        if self.config is not None:
            path = self.folder / "mindcore.yaml"
            path.write_text(self.config, encoding="utf-8")
            command += ["--config", str(path)]
        return command + ["--db", self.db, "--listen", f"{self.listen}:{self.port}", *self.args]

    def launch(self):
        """Starts the process without waiting for it to be ready."""
        assert self.process is None, "the server runs already"
        self.port = self.port or free_port()
        self._stderr, self._stdout = [], []
        self.process = subprocess.Popen(
            self.command(), cwd=self.folder, env=environment(self.env), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        self._readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in
                         [(self.process.stderr, self._stderr), (self.process.stdout, self._stdout)]]
        for reader in self._readers:
            reader.start()
        return self

    @staticmethod
    def _read(stream, lines):
        for line in stream:
            lines.append(line)

    def start(self, timeout=30):
        """Starts the process and waits until /ready answers 200."""
        self.launch()
        wait_until(self._ready, timeout, "readiness of the server")
        self.http = self.client()
        return self

    def _ready(self):
        assert self.process.poll() is None, \
            f"the server ended with status {self.process.returncode}:\n{self.stderr}"
        try:
            client = Http("localhost" if self.tls else "127.0.0.1", self.port, self.headers, timeout=2, tls=self.tls)
            with contextlib.closing(client):
                return client.get("/ready").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def client(self, headers=None):
        """A further keep-alive connection, closed with the server."""
        client = Http("localhost" if self.tls else "127.0.0.1", self.port, {**(self.headers or {}), **(headers or {})},
                      tls=self.tls)
        self._clients.append(client)
        return client

    def raw(self, data, timeout=10, half_close=False):
        """Sends bytes as they are and gives all that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout * SLOWNESS) as connection:
            with contextlib.suppress(ConnectionError):  # the server may answer and close before it has read all
                connection.sendall(data)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            received = b""
            with contextlib.suppress(ConnectionError):
                while chunk := connection.recv(65536):
                    received += chunk
            return received

    def stop(self, sig=signal.SIGTERM, status=0, timeout=30):
        """Ends the server by a signal; asserts its exit status and that no sanitizer complained."""
        process = self._signal(sig)
        try:
            process.wait(timeout * SLOWNESS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the server did not stop within {timeout * SLOWNESS} s:\n{self.stderr}") from None
        self._finish()
        assert_clean(self.stderr)
        assert process.returncode == status, f"exit status {process.returncode}, not {status}:\n{self.stderr}"

    def kill(self):
        """SIGKILL, as a crash."""
        self._signal(signal.SIGKILL).wait()
        self._finish()
        assert_clean(self.stderr)

    def restart(self):
        self.stop()
        return self.start()

    def _signal(self, sig):
        process, self.process = self.process, None
        for client in self._clients:
            client.close()
        self._clients, self.http = [], None
        process.send_signal(sig)
        return process

    def _finish(self):
        for reader in self._readers:
            reader.join(30 * SLOWNESS)

    def memory_kb(self, field="VmRSS"):
        """A figure of /proc/PID/status in kB: VmRSS, VmHWM."""
        text = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.M)[1])

    def drain(self, timeout=30):
        """Waits until the queue holds no job that is ready or leased, and the workers have counted what they did."""
        def empty():
            queue = self.http.get("/v1/queue").json
            return (queue["ready"] == 0 and queue["leased"] == 0 and
                    self.http.get("/v1/metrics").json["busy_workers"] == 0)
        wait_until(empty, timeout, "an empty queue")

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if self.process is None:
            return
        if kind is None:
            self.stop()
            return
        # The test has failed already: show what the server said, do not hide the first error.
        with contextlib.suppress(AssertionError):
            self.stop()
        print(f"---- log of the server\n{self.stderr}")


def run_program(*args, input=None, env=None, cwd=None, timeout=60, status=None):
    """Runs the program to its end. input: text, bytes, or values that become JSON Lines."""
    if input is not None and not isinstance(input, (str, bytes)):
        input = "".join(json.dumps(value) + "\n" for value in input)
    if isinstance(input, str):
        input = input.encode("utf-8")
    done = subprocess.run(
        [str(PROGRAM), *(str(arg) for arg in args)], cwd=cwd, env=environment(env), timeout=timeout * SLOWNESS,
        check=False, capture_output=True,
        **({"stdin": subprocess.DEVNULL} if input is None else {"input": input}))
    result = Result(done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
    assert_clean(result.err)
    assert result.status >= 0, f"ended by signal {-result.status}: {result!r}"
    if status is not None:
        assert result.status == status, repr(result)
    return result


def message(text, **fields):
    """A message with every required field; fields replace or, as None, remove one."""
    value = {"user_id": "u1", "thread_id": "t1", "session_id": "s1", "role": "user", "text": text, **fields}
    return {name: field for name, field in value.items() if field is not None}


@pytest.fixture(scope="session", autouse=True)
def program():
    """The program that is tested."""
    assert PROGRAM.exists(), f"{PROGRAM} is missing: make build"
    return PROGRAM


@pytest.fixture
def db(tmp_path):
    """URL of a database that does not exist yet."""
    return f"sqlite:{tmp_path / 'mindcore.db'}"


@pytest.fixture
def within_a_day():
    """For tests of what is counted by days: none begins shortly before midnight, UTC."""
    wait_until(lambda: time.time() % 86400 < 86400 - 60 * SLOWNESS, 90, "the next day")


@pytest.fixture
def one_processor():
    """The test shares one with what it starts, so that nobody gets on while the other is kept from it."""
    processors = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(processors)[WORKER % len(processors)]})
    yield
    os.sched_setaffinity(0, processors)


@pytest.fixture
def cli(tmp_path):
    """cli("recent", "--db", db, input=..., status=0) -> Result, run in the test's own folder."""
    def call(*args, **options):
        options.setdefault("cwd", tmp_path)
        return run_program(*args, **options)
    return call


@pytest.fixture
def make_server(tmp_path):
    """make_server(config=..., args=[...]) -> a started Server; all are stopped, and checked, at the end."""
    servers = []

    def make(folder=None, start=True, **options):
        server = Server(folder or tmp_path, **options)
        servers.append(server)
        return server.start() if start else server

    yield make
    for server in servers:
        if server.process is not None:
            server.stop()


@pytest.fixture
def server(make_server):
    """A started server on an empty database, with the default options."""
    return make_server()


@pytest.fixture
def data():
    """Folder of the conversations: tests/data."""
    return DATA


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A model of random weights that loads at once; skips where the build has no llama.cpp."""
    # More tokens than its own make the prompt shorter; strings that end make answers short.
    path = make_model(BUILD, tmp_path_factory.mktemp("models") / "tiny.gguf", "--tokens", "2000", "--quote", "6",
                      "--bytes", "-10")
    if not path:
        pytest.skip("built without llama.cpp")
    return path


@pytest.fixture(scope="session")
def llama_server(tiny_model):
    """llama-server with the tiny model; skips where it is not built."""
    prefix = llama_prefix(ROOT)
    if not prefix:
        pytest.skip("no llama-server: tools/get-llama --server")
    server = LlamaServer(prefix, tiny_model, free_port())
    try:
        wait_until(server.ready, 60, "llama-server")
        yield server
    finally:
        server.stop()


@pytest.fixture
def make_models():
    """make_models(latency=...) -> a started ModelServer; all are stopped, and asked for errors, at the end."""
    servers = []

    def make(**options):
        # Not one that a client may have as its own while a test has stopped the server.
        servers.append(ModelServer(port=free_port(), **options).start())
        return servers[-1]

    yield make
    for server in servers:
        server.stop()
        assert server.errors == [], server.errors[0]
