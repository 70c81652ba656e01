"""
Runs the guide from top to bottom, in a place of its own (sandbox.py): each Python block as it stands, in one
namespace, in the environment of the guide's shell block; each configuration with the program and with a client.
There, a PostgreSQL answers at localhost:5432, the model files that the guide names are there (a tiny one of random
weights), and the service of models is a scripted one. Writes what it saw as JSON; judges nothing.

    guide_world.py PROGRAM MODEL OUTPUT     (MODEL may be empty: built without llama.cpp)
"""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import traceback
import urllib.request
from pathlib import Path

import conftest  # which finds the helpers of tests/e2e
import guide
from model_server import ModelServer
from postgres import Postgres, find_postgres

from mindcore import MindcoreClient

CONVERSATION = [
    ("user", "Hello!"),
    ("user", "The billing is wrong: invoice INV-4711 was charged twice, please refund one of the payments."),
    ("assistant", "I have opened a refund of 49.90 EUR for invoice INV-4711."),
    ("user", "Thanks!"),
    ("user", "My delivery of order ORD-12345 has not arrived, and I need it before Friday."),
    ("assistant", "Order ORD-12345 left our warehouse on Monday, it is with the carrier now."),
    ("user", "ok"),
    ("user", "How do I set up the integration of your API with our shop?"),
    ("assistant", "The documentation has a page on setup: create a key in the settings of your account."),
    ("user", "The demo fails with an error when I enter the password of the new account."),
]
PASSWORD = "s3cret/of:mindcore"
SETTLE_SECONDS = 120


def settle(client):
    """Waits until nothing is left to enrich."""
    assert client.drain(SETTLE_SECONDS), client.get_worker_health()


def normal_load(client):
    """What a client that is in use has seen: a conversation, its reads, a question."""
    for role, text in CONVERSATION:
        client.ingest(user_id="ada", thread_id="t1", session_id="s1", role=role, text=text)
    settle(client)
    for _ in range(10):
        client.get_recent_messages("ada", "t1")
    client.get_context("ada", "t1", "Where is my refund?")


def scrape(port=9090):
    """The page of metrics; empty where nobody serves it."""
    with contextlib.suppress(OSError):
        with urllib.request.urlopen(f"http://localhost:{port}/metrics", timeout=20) as page:
            return page.read().decode()
    return ""


def as_json(value):
    return json.loads(json.dumps(value, default=repr))


class World:
    def __init__(self, program, model):
        self.program = program
        self.model = model
        self.postgres = Postgres(find_postgres())
        self.postgres.port = 5432
        self.services = ModelServer()
        self.namespace = {"__name__": "guide"}
        self.loaded = False  # whether the guide's client has seen a normal load
        self.marks = 0

    def __enter__(self):
        for path in ("/models/llama-3-8b.gguf", "/path/to/model.gguf"):
            if self.model:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                shutil.copy(self.model, path)
        self.services.start()
        self.postgres.start()
        self.postgres.sql(f"CREATE ROLE mindcore_user LOGIN PASSWORD '{PASSWORD}'")
        self.postgres.sql("CREATE DATABASE mindcore OWNER mindcore_user ENCODING 'UTF8' TEMPLATE template0")
        os.environ.update({"MINDCORE_OPENAI_BASE_URL": self.services.url, "MINDCORE_DB_USER": "mindcore_user",
                           "MINDCORE_DB_PASSWORD": PASSWORD})
        return self

    def __exit__(self, *exception):
        self.postgres.stop()
        self.services.stop()

    def source(self, text):
        """Takes over the variables that a shell script exports; gives those that are new or changed."""
        done = subprocess.run(["sh", "-c", f"{text}\nenv -0"], capture_output=True, text=True, check=True)
        variables = dict(part.split("=", 1) for part in done.stdout.split("\0") if part)
        changed = {name: value for name, value in variables.items()
                   if os.environ.get(name) != value and name not in ("_", "PWD", "SHLVL")}
        os.environ.update(changed)
        return changed

    # ---- Configurations ----

    def run_program(self, *args):
        done = subprocess.run([self.program, *args], capture_output=True, text=True, check=False)
        return {"status": done.returncode, "out": done.stdout, "err": done.stderr}

    def configure(self, block):
        """A configuration, checked by the program and used by a client; without a model where it names none."""
        Path("config.yaml").write_text(block.text, encoding="utf-8")
        if "llm:" in block.text:
            os.environ.pop("MINDCORE_LLM_PROVIDER", None)
        else:
            os.environ["MINDCORE_LLM_PROVIDER"] = "builtin"
        return {"check": self.run_program("config", "check", "--config", "config.yaml"),
                "show": self.run_program("config", "show", "--config", "config.yaml", "--json"),
                "client": self.try_client(config_path="config.yaml")}

    def try_client(self, **options):
        """What a client is that is opened for this, and who enriched a message of it."""
        with MindcoreClient(**options) as client:
            seen = self.describe(client)
            settle(client)
            seen["method"] = client.get_message(f"mark{self.marks}").metadata["method"]
        return as_json(seen)

    # ---- Python blocks ----

    def stored_in(self, client):
        """Where what the client stores can be found: "postgresql", a file in the working folder, or nowhere."""
        self.marks += 1
        mark = f"mark{self.marks}"
        client.ingest(user_id="mark", thread_id="t", session_id="s", role="user", text="Marked.", message_id=mark)
        found = []
        with contextlib.suppress(AssertionError):  # as long as nobody has made the tables
            if self.postgres.sql(f"SELECT 1 FROM messages WHERE message_id = '{mark}'", "mindcore") == ["1"]:
                found.append("postgresql")
        for path in Path().glob("*.db"):
            done = subprocess.run([self.program, "recent", "--db", f"sqlite:{path}", "--user", "mark", "--thread", "t",
                                   "--json"], capture_output=True, text=True, check=True)
            if f'"{mark}"' in done.stdout:
                found.append(str(path))
        return found

    def describe(self, client):
        return {"workers": client.enrichment_worker_count, "provider": client.provider_name,
                "stored_in": self.stored_in(client), "cache": client.get_cache_stats()["cache"],
                "cache_folder": os.path.isdir("/var/cache/mindcore")}

    def run_python(self, block):
        if guide.needs(block.text, "client") and not self.loaded:
            normal_load(self.namespace["client"])
            self.loaded = True
        seen = {"error": "", "output": io.StringIO()}
        try:
            with contextlib.redirect_stdout(seen["output"]):
                exec(compile(block.text, f"guide, line {block.line}", "exec"), self.namespace)
        except Exception:
            seen["error"] = traceback.format_exc()
        seen["output"] = seen["output"].getvalue()
        if guide.gives(block.text, "client"):  # and the one before it is closed, since nobody has it any more
            client = self.namespace["client"]
            seen["client"] = self.describe(client)
            seen["metrics_page"] = scrape()
            settle(client)
            self.loaded = False
        seen["values"] = {name: self.namespace[name] for name in ("count", "result", "stats") if name in self.namespace}
        return as_json(seen)


def main():
    program, model, output = sys.argv[1:]
    blocks = guide.read()
    seen = {"python": {}, "yaml": {}, "shell": {}}
    with World(program, model) as world:
        for block in blocks:
            if block.language == "yaml" and "scrape_configs" not in block.text:
                seen["yaml"][block.line] = world.configure(block)
        database = next(block for block in blocks if "mindcore_user" in block.text)
        Path("config.yaml").write_text(database.text, encoding="utf-8")
        os.environ.pop("MINDCORE_LLM_PROVIDER", None)
        for block in blocks:
            if block.language == "bash":
                seen["shell"][block.line] = {
                    "variables": world.source(block.text),
                    "show": world.run_program("config", "show", "--json"),
                    "client": world.try_client()}
                os.environ["MINDCORE_LLM_PROVIDER"] = "builtin"  # knows topics, which random weights do not
            if block.language == "python":
                seen["python"][block.line] = world.run_python(block)
        seen["services"] = world.services.errors
        world.namespace["client"].close()
    Path(output).write_text(json.dumps(seen, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
