"""A scripted model server: OpenAI's chat completions, with made-up answers and faults on demand.

    with ModelServer(latency=0.05) as models:
        models.script(Status(429, retry_after=1), Reset())      # the next two requests
        ...
        assert models.asked["m7"] == 1

Answers follow the request's json_schema; several questions in one request are answered by id, in
{"results": [{"id", "result"}]}. A message that holds a mark such as [m7] is counted under it: how often
it was asked, and how often it was answered so that the answer can be used. A request without a schema is a chat:
its answer repeats what the user said.
"""

import collections
import contextlib
import http.server
import json
import random
import re
import socket
import struct
import sys
import threading
import time
import traceback
import zlib

from schema_answers import answer, spoil_enumerations

MARK = re.compile(r"\[(m\d+)\]")


class Asked:
    """One request to chat/completions."""

    def __init__(self, path, headers, body):
        self.path = path
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.raw = body
        self.body = json.loads(body)
        self.at = time.monotonic()
        self.messages = self.body["messages"]
        self.system = "\n".join(_text(m) for m in self.messages if m["role"] == "system")
        self.user = next(_text(m) for m in reversed(self.messages) if m["role"] == "user")
        self.format = self.body.get("response_format", {})
        self.schema = self.format.get("json_schema", {}).get("schema") or _schema_in(self.system + self.user)
        self.marks = MARK.findall(self.user)

    @property
    def result_schema(self):
        """That of one answer: inside of the wrapper of several."""
        return self._wrapped()["properties"]["result"] if self.batched else self.schema

    def _wrapped(self):
        return self.schema["properties"]["results"]["items"]

    @property
    def batched(self):
        return self.schema is not None and list(self.schema["properties"]) == ["results"]

    def ids(self):
        """Of the questions of a batch: the schema's, else those of the user's text."""
        identity = self._wrapped()["properties"]["id"]
        if "enum" in identity:
            return identity["enum"]
        return [item["id"] for item in self.items()]

    def items(self):
        """[{"id", ...}] of a batch, however they are wrapped in the user's text."""
        decoder = json.JSONDecoder()
        for match in re.finditer(r"[\[{]", self.user):
            with contextlib.suppress(ValueError):
                value, _ = decoder.raw_decode(self.user, match.start())
                if isinstance(value, dict):
                    value = next((v for v in value.values() if isinstance(v, list)), [value])
                if value and all(isinstance(item, dict) and "id" in item for item in value):
                    return value
        raise AssertionError(f"no questions with an id in {self.user[:500]!r}")


# Words of one line mean the same; a text's vector is the sum of its lines, of which each is an axis.
MEANINGS = """dog puppy pet hound
    car automobile vehicle
    doctor physician clinic
    dinner supper lasagna meal
    salary wage pay income
    holiday vacation trip journey""".splitlines()
DIMENSION = 24


class Embed:
    """One request to embeddings."""

    marks = ()

    def __init__(self, path, headers, body):
        self.path = path
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = json.loads(body)
        self.at = time.monotonic()
        self.texts = self.body["input"]
        self.model = self.body["model"]

    @staticmethod
    def vector(text, dimension, model):
        """Deterministic; axes depend on the model, so that vectors of two models have nothing in common."""
        values = [0.0] * dimension
        shift = zlib.crc32(model.encode()) % dimension
        for word in re.findall(r"[a-z]+", text.lower()):
            axis = next((i for i, line in enumerate(MEANINGS) if word in line.split()), None)
            if axis is None:
                other = len(MEANINGS) + zlib.crc32(word.encode()) % (dimension - len(MEANINGS))
                values[(other + shift) % dimension] += 0.2
            else:
                values[(axis + shift) % dimension] += 1.0
        return values if any(values) else [1.0] + values[1:]


class Fault:
    """What goes wrong with a request."""

    def reply(self, server, handler, asked):
        raise NotImplementedError

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class Status(Fault):
    """An error of HTTP, in OpenAI's form."""

    def __init__(self, code, retry_after=None, message="scripted"):
        self.code, self.retry_after, self.message = code, retry_after, message

    def reply(self, server, handler, asked):
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        handler.send(self.code, {"error": {"message": self.message, "type": "scripted", "code": self.code}}, headers)


class Vectors(Fault):
    """A good answer but for its vectors: change(list of vectors) gives those that are sent."""

    def __init__(self, change):
        self.change = change

    def reply(self, server, handler, asked):
        handler.send_raw(200, server.embeddings(asked, self.change))


class Unauthorized(Fault):
    """401 that repeats the key it was given, as careless servers do."""

    def reply(self, server, handler, asked):
        key = asked.headers.get("authorization", "").removeprefix("Bearer ")
        handler.send(401, {"error": {"message": f"Incorrect API key provided: {key}", "code": "invalid_api_key"}})


class RefuseSchema(Fault):
    """400 for a response_format of one of these types, as servers do that do not know it; else an answer."""

    def __init__(self, *types):
        self.types = types or ("json_schema",)

    def reply(self, server, handler, asked):
        kind = asked.format.get("type")
        if kind in self.types:
            handler.send(400, {"error": {"message": f"response_format of type {kind} is not supported",
                                         "param": "response_format"}})
        else:
            server.reply_well(handler, asked)


class Silence(Fault):
    """No answer until the other side gives up (or the server stops)."""

    def reply(self, server, handler, asked):
        handler.connection.settimeout(0.05)
        while not server.stopping.is_set():
            try:
                if not handler.connection.recv(1):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        handler.close_connection = True


class Reset(Fault):
    """The connection breaks before anything is said."""

    def reply(self, server, handler, asked):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.rfile.close()
        handler.connection.close()
        handler.close_connection = True


class Half(Fault):
    """Half of the answer, then the connection closes."""

    def reply(self, server, handler, asked):
        body = server.completion(asked, server.content(asked))
        handler.send_raw(200, body, cut=len(body) // 2)


class Garbage(Fault):
    """200 with something that is no answer."""

    def __init__(self, body=b"<html>504 Gateway\x00 Time-out \xff\xfe</html>"):
        self.body = body

    def reply(self, server, handler, asked):
        handler.send_raw(200, self.body)


class Huge(Fault):
    """An answer of many megabytes."""

    def __init__(self, size=20_000_000):
        self.size = size

    def reply(self, server, handler, asked):
        with contextlib.suppress(OSError):
            handler.send_raw(200, server.completion(asked, '{"x": "' + "a" * self.size + '"}'))


class Drip(Fault):
    """The answer in single bytes; whole after `seconds`, if anyone waits for it."""

    def __init__(self, seconds):
        self.seconds = seconds

    def reply(self, server, handler, asked):
        body = server.completion(asked, server.content(asked))
        handler.send_raw(200, body, cut=0)
        pause = self.seconds / len(body)
        with contextlib.suppress(OSError):
            for byte in body:
                if server.stopping.wait(pause):
                    break
                handler.wfile.write(bytes([byte]))


class Content(Fault):
    """A good answer, changed: change(value, asked) gives the content, text or a value."""

    def __init__(self, change, finish="stop"):
        self.change, self.finish = change, finish

    def reply(self, server, handler, asked):
        content = self.change(json.loads(server.content(asked)), asked)
        if not isinstance(content, str):
            content = json.dumps(content)
        handler.send_raw(200, server.completion(asked, content, self.finish))


def not_json():
    return Content(lambda value, asked: "Sure! Here is the JSON you asked for: {topics: [")


def cut_off():
    """The model reached its limit of tokens."""
    return Content(lambda value, asked: json.dumps(value)[:-7], finish="length")


def wrong_words():
    return Content(lambda value, asked: spoil_enumerations(value, asked.schema))


def _in_batch(change):
    """Of a batch its results, changed; a single answer as it is."""
    return Content(lambda value, asked: {"results": change(value["results"])} if asked.batched else value)


def wrong_ids():
    return _in_batch(lambda results: [{**item, "id": "no-such-id"} for item in results])


def missing_items():
    return _in_batch(lambda results: results[:len(results) // 2])


def doubled_items():
    return _in_batch(lambda results: results + results)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def send_raw(self, code, body, headers=None, cut=None):
        """cut: so many bytes of the body are sent, and the connection is closed then."""
        self.send_response_only(code)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(body), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.close_connection = self.close_connection or cut is not None
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])

    def send(self, code, value, headers=None):
        self.send_raw(code, json.dumps(value).encode(), headers)

    def do_GET(self):
        self.server.owner.others.append(self.path)
        if self.path.endswith("/models"):
            self.send(200, {"object": "list", "data": [{"id": self.server.owner.model, "object": "model"}]})
        else:
            self.send(404, {"error": {"message": "no such path"}})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = Asked if self.path.endswith("/chat/completions") else Embed
        if kind is Embed and not self.path.endswith("/embeddings"):
            self.send(404, {"error": {"message": "no such path"}})
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.server.owner.take(self, kind(self.path, self.headers, body))

    def log_message(self, *args):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (BrokenPipeError, ConnectionResetError)):
            self.owner.errors.append(traceback.format_exc())

    def get_request(self):
        connection, address = super().get_request()
        self.owner.sockets.append(connection)
        return connection, address


class ModelServer:
    """Start with `with`. `errors` holds what went wrong in the server itself: a test asserts it empty."""

    def __init__(self, latency=0.0, model="scripted", seed=1, port=0):
        self.latency = latency
        self.model = model
        self.seed = seed
        self.dimension = DIMENSION
        self.lock = threading.Lock()  # guards everything below
        self.plan = collections.deque()
        self.standing = []
        self.requests = []
        self.others = []
        self.errors = []
        self.asked = collections.Counter()
        self.answered = collections.Counter()
        self.faults = collections.Counter()
        self.sockets = []  # of every connection that was made
        self.busy = 0
        self.most_busy = 0
        self.stopping = threading.Event()
        self.gate = threading.Event()  # while a test has it cleared no answer is given
        self.gate.set()
        self.server = None
        self.port = port

    @property
    def url(self):
        """For llm.openai.base_url."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *faults):
        """What happens to the next requests, one each; None for a good answer."""
        with self.lock:
            self.plan.extend(faults)

    def always(self, fault, when=lambda asked: True):
        """What happens to every request from now on that `when` says, after what is scripted."""
        with self.lock:
            self.standing.append((when, fault))

    def only(self, fault, when):
        """As always(), in place of all that was said before."""
        with self.lock:
            self.plan.clear()
            self.standing[:] = [(when, fault)]

    def heal(self):
        """Good answers again."""
        with self.lock:
            self.plan.clear()
            self.standing.clear()

    def take(self, handler, asked):
        with self.lock:
            self.requests.append(asked)
            self.asked.update(asked.marks)
            fault = self.plan.popleft() if self.plan else \
                next((fault for when, fault in self.standing if when(asked)), None)
            if fault:
                self.faults[type(fault).__name__] += 1
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
        try:
            self.stopping.wait(self.latency)
            while not self.gate.wait(0.05) and not self.stopping.is_set():
                pass
            if fault:
                fault.reply(self, handler, asked)
            else:
                self.reply_well(handler, asked)
        finally:
            with self.lock:
                self.busy -= 1

    def embeddings(self, asked, change=lambda vectors: vectors):
        dimension = asked.body.get("dimensions", self.dimension)
        vectors = change([Embed.vector(text, dimension, asked.model) for text in asked.texts])
        data = [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)]
        random.Random(self.seed).shuffle(data)
        return json.dumps({"object": "list", "model": asked.model, "data": data,
                           "usage": {"prompt_tokens": sum(len(text) for text in asked.texts) // 4 + 1}}).encode()

    def reply_well(self, handler, asked):
        if isinstance(asked, Embed):
            handler.send_raw(200, self.embeddings(asked))
            return
        body = self.completion(asked, self.content(asked))
        with self.lock:  # before the other side can know it
            self.answered.update(asked.marks)
        try:
            handler.send_raw(200, body)
        except OSError:
            with self.lock:
                self.answered.subtract(asked.marks)
            raise

    def content(self, asked):
        """The text of a good answer."""
        if not asked.schema:
            return f"You said: {asked.user}"
        rng = random.Random(f"{self.seed} {asked.user}")
        if not asked.batched:
            return json.dumps(answer(asked.schema, rng))
        results = [{"id": identity, "result": answer(asked.result_schema, rng)} for identity in asked.ids()]
        rng.shuffle(results)
        return json.dumps({"results": results})

    def completion(self, asked, content, finish="stop"):
        return json.dumps({
            "id": "chatcmpl-1", "object": "chat.completion", "created": int(time.time()), "model": self.model,
            "choices": [{"index": 0, "finish_reason": finish, "logprobs": None,
                         "message": {"role": "assistant", "content": content, "refusal": None}}],
            "usage": {"prompt_tokens": len(asked.raw) // 4, "completion_tokens": len(content) // 4,
                      "total_tokens": len(asked.raw) // 4 + len(content) // 4,
                      "prompt_tokens_details": {"cached_tokens": len(asked.system) // 8}},
        }).encode()

    def start(self):
        """Listens; again on the same port after stop()."""
        self.stopping.clear()
        self.server = _Server(("127.0.0.1", self.port), _Handler)
        self.server.owner = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        """Ends with all its connections, as a process that dies."""
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        for connection in self.sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()


def _text(message):
    """Of a message whose content is text, or a list of parts of which some are text."""
    content = message["content"]
    return content if isinstance(content, str) else "\n".join(part["text"] for part in content if part["type"] == "text")


def _schema_in(text):
    """The first JSON Schema written in a prompt; None where there is none: somebody chats."""
    decoder = json.JSONDecoder()
    for match in re.finditer(r"\{", text):
        with contextlib.suppress(ValueError):
            value, _ = decoder.raw_decode(text, match.start())
            if isinstance(value, dict) and "type" in value and "properties" in value:
                return value
    return None
