"""
Models for the tests: one of random weights, and llama-server with it; and what every message must look like that
any model has enriched.
"""

import json
import os
import subprocess
import threading
import urllib.request
from pathlib import Path


def llama_prefix(root):
    """Where llama.cpp is installed with its server; None when it is not."""
    given = os.environ.get("MINDCORE_LLAMA_PREFIX")
    if given is None:
        given = subprocess.run([root / "tools" / "get-llama", "--find", "--server"], capture_output=True, text=True,
                               check=True).stdout.strip()
    return Path(given) if given and (Path(given) / "bin" / "llama-server").exists() else None


def make_model(build, path, *options):
    """Writes a model of random weights; None when the build has no libllama, and so no program that does it."""
    target = "tests/support/mkmodel"
    known = subprocess.run(["ninja", "-C", build, "-t", "query", target], capture_output=True, check=False)
    if known.returncode != 0:
        return None
    subprocess.run(["ninja", "-C", build, target], capture_output=True, check=True)
    # What the writer of test data leaks is of no interest.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    subprocess.run([build / target, path, *options], capture_output=True, check=True, env=environment)
    return path


class LlamaServer:
    """llama-server with one thread, so that waiting ones do not take the processor from the program under test."""

    def __init__(self, prefix, model, port, api_key=None):
        self.port = port
        command = [prefix / "bin" / "llama-server", "-m", model, "--host", "127.0.0.1", "--port", str(port), "-c",
                   "16384", "-np", "4", "-t", "1", "-tb", "1", "-fa", "off", "--no-ui", "-a", "tiny"]
        if api_key:
            command += ["--api-key", api_key]
        self.lines = []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True).start()

    @property
    def url(self):
        """For llm.openai.base_url."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def log(self):
        return "".join(self.lines)

    def ready(self):
        assert self.process.poll() is None, f"llama-server ended:\n{self.log}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


# The words of the vocabulary as it comes (docs/vocabulary), and nothing else may be in metadata.
TOPICS = set("""greeting farewell thanks help feedback issue bug error problem complaint billing payment refund
    cancellation orders order purchase delivery shipping tracking invoice subscription charge receipt feature product
    service pricing demo api integration setup configuration documentation account login password settings profile
    security general other unknown""".split())
CATEGORIES = set("support billing orders technical account product feedback general urgent".split())
INTENTS = {None, *"""ask_question request_action provide_info express_opinion complaint greeting farewell confirmation
    clarification feedback none""".split()}
SENTIMENTS = set("positive negative neutral mixed".split())
ENTITIES = set("""order_id invoice_id tracking_number date amount product person organization email phone url
    custom""".split())


def question(number, **fields):
    """A message that is not trivial and like no other one, with its mark, in a thread of its own."""
    return {"user_id": "u1", "thread_id": f"t{number}", "session_id": "s1", "role": "user", "message_id": f"m{number}",
            "text": f"[m{number}] Where is my refund for order A-{number}? It was promised for Monday.", **fields}


def ingest(server, messages):
    body = "".join(json.dumps(message) + "\n" for message in messages)
    answer = server.http.post("/v1/messages", body=body, headers={"Content-Type": "application/x-ndjson"})
    assert (answer.status, answer.json["created"]) == (200, len(messages)), answer.json


def stored(server, messages):
    """Each message as it is now."""
    return [server.http.get(f"/v1/messages/{message['message_id']}").json for message in messages]


def check_enriched(message, model=None):
    """By a model, within the vocabulary."""
    metadata = message["metadata"]
    assert message["enrichment_state"] == "enriched", message
    assert metadata["method"] == "llm" and metadata["model"] and not metadata["enrichment_failed"], metadata
    assert model is None or metadata["model"] == model, metadata
    assert metadata["topics"] and set(metadata["topics"]) <= TOPICS, metadata
    assert len(metadata["topics"]) == len(set(metadata["topics"])), metadata
    assert set(metadata["categories"]) <= CATEGORIES, metadata
    assert metadata["intent"] in INTENTS, metadata
    assert metadata["sentiment"]["overall"] in SENTIMENTS and -1 <= metadata["sentiment"]["score"] <= 1, metadata
    assert 0 <= metadata["importance"] <= 1 and 0 <= metadata["confidence"] <= 1, metadata
    assert all(entity["type"] in ENTITIES and entity["value"] for entity in metadata["entities"]), metadata


def check_all_enriched(server, messages, model=None):
    """All by a model, each once."""
    for message in stored(server, messages):
        check_enriched(message, model)
    metrics = server.http.get("/v1/enrichment/metrics").json
    count = len(messages)
    assert (metrics["processed_count"], metrics["llm_count"]) == (count, count), metrics
    assert (metrics["queue_size"], metrics["dead_count"]) == (0, 0), metrics
    finished = count + metrics["error_count"]
    assert abs(metrics["error_rate"] - metrics["error_count"] / finished) < 1e-6, metrics
    return metrics


def provider(server, name):
    """The model as /v1/models tells it."""
    return next(model for model in server.http.get("/v1/models").json["models"] if model["provider"] == name)


def prometheus(server, series):
    """The value of a series of /metrics, 'name{label="value"}'."""
    text = server.http.get("/metrics").json
    return float(next(line.rpartition(" ")[2] for line in text.splitlines() if line.startswith(series + " ")))
