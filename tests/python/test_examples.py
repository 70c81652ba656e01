"""The programs of examples/python, as a user runs them."""

import contextlib
import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from conftest import ROOT, environment, free_port, wait_until
from model_server import ModelServer

EXAMPLES = ROOT / "examples" / "python"


def run(name, *args, folder, said="", **variables):
    done = subprocess.run([sys.executable, EXAMPLES / name, *args], cwd=folder, input=said, capture_output=True,
                          text=True, check=False, env=environment({"MINDCORE_LLM_PROVIDER": "builtin", **variables}))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_runs():
    """Each one has a test here that names it."""
    with open(__file__, encoding="utf-8") as file:
        text = file.read()
    assert [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in text] == []


def test_shared_memory(tmp_path):
    for _ in range(2):  # the agents are there already the second time
        parts = run("shared_memory.py", folder=tmp_path).split(" knows:\n")
        support, billing, coach = parts[1:]
        for told in (support, billing):
            assert "ORD-48213" in told and "INV-7" in told and "marathon" not in told
        assert "marathon" in coach and "ORD-48213" not in coach and "INV-7" not in coach


def test_support_bot(tmp_path):
    pytest.importorskip("openai")
    with ModelServer() as services:
        variables = {"OPENAI_BASE_URL": services.url, "OPENAI_API_KEY": "sk-test"}
        first = run("support_bot.py", "ada", folder=tmp_path, said="I am Ada, my order ORD-48213 is late.\n\nThanks!\n",
                    **variables)
        assert first == "You said: I am Ada, my order ORD-48213 is late.\nYou said: Thanks!\n"
        run("support_bot.py", "ada", folder=tmp_path, said="Where is my order ORD-48213?\n", **variables)
        known = "\n".join(item["content"] for item in services.requests[-1].body["messages"])
        run("support_bot.py", "bob", folder=tmp_path, said="Where is my order ORD-48213?\n", **variables)
        other = "\n".join(item["content"] for item in services.requests[-1].body["messages"])
        assert services.errors == []
    assert "my order ORD-48213 is late" in known and "a desk lamp, sent on Monday" in known
    assert "is late" not in other and "desk lamp" not in other


@pytest.fixture
def service(tmp_path):
    """The address of the web service; it ends at SIGTERM without a word of an error."""
    pytest.importorskip("aiohttp")
    port = free_port()
    log = tmp_path / "log"
    with open(log, "wb") as output:
        process = subprocess.Popen([sys.executable, EXAMPLES / "web_service.py", str(port)], cwd=tmp_path, stdout=output,
                                   stderr=output, env=environment({"MINDCORE_LLM_PROVIDER": "builtin"}))
    try:
        wait_until(lambda: process.poll() is not None or call(f"http://127.0.0.1:{port}/users/u/threads/t"), 60)
        yield f"http://127.0.0.1:{port}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text(encoding="utf-8")
        assert "Traceback" not in log.read_text(encoding="utf-8")
    finally:
        process.kill()


def call(url, text=None):
    """(status, JSON); None while nobody listens."""
    with contextlib.suppress(ConnectionError, urllib.error.URLError):
        try:
            with urllib.request.urlopen(url, data=text and text.encode(), timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)
    return None


def test_web_service(service):
    status, _ = call(f"{service}/users/ada/threads/t1", "My order ORD-48213 is late, I need it for a birthday.")
    assert status == 201
    status, answer = call(f"{service}/users/ada/threads/t2", "Where is my order ORD-48213?")
    assert status == 201 and "ORD-48213 is late" in answer["context"]
    status, thread = call(f"{service}/users/ada/threads/t2")
    assert status == 200 and [item["raw_text"] for item in thread["messages"]] == ["Where is my order ORD-48213?"]
    assert call(f"{service}/users/ada/threads/t2", " ")[0] == 400
    assert call(f"{service}/users/bob/threads/t2") == (200, {"messages": []})
