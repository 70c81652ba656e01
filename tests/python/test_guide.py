"""
The performance tuning guide (tests/data) is true: every block of it runs here as it stands. What runs them is
guide_world.py; here it is compared with what the text around the blocks says.
"""

import ast
import collections
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import guide
import sandbox
from conftest import BUILD, PROGRAM, ROOT, environment, free_port, wait_until
from model_server import ModelServer, Silence, Status
from models import make_model
from postgres import PASSWORD, USER, Postgres, find_postgres

from mindcore import MindcoreClient

BLOCKS = guide.read()
COUNTS = {"bash": 1, "python": 20, "yaml": 7, "sql": 2, "promql": 1}
METRICS = re.findall(r"^\| `(mindcore_\w+)` \|", guide.PATH.read_text(encoding="utf-8"), re.M)


def of(language):
    return [block for block in BLOCKS if block.language == language]


def one(language, part):
    """The only block of a language that contains a text."""
    block, = (block for block in of(language) if part in block.text)
    return block


def test_no_block_is_left_out():
    assert collections.Counter(block.language for block in BLOCKS) == COUNTS
    assert guide.PATH.read_text(encoding="utf-8").count("```") == 2 * sum(COUNTS.values())
    assert set(EXPECTED) == {block.line for block in of("python")}
    assert set(CONFIGURED) == {block.line for block in of("yaml")}
    assert len(METRICS) == 9


# ---- The guide from top to bottom ----

@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What guide_world.py saw."""
    if sandbox.why_not():
        pytest.skip(f"no place of its own can be made here: {sandbox.why_not()}")
    if not find_postgres():
        pytest.skip("PostgreSQL is not installed")
    folder = tmp_path_factory.mktemp("guide")
    model = make_model(BUILD, folder / "tiny.gguf", "--tokens", "2000", "--quote", "6", "--bytes", "-10")
    seen = folder / "seen.json"
    command = sandbox.command(sys.executable, Path(__file__).with_name("guide_world.py"), PROGRAM, model or "", seen)
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {**json.loads(seen.read_text(encoding="utf-8")), "has_model": bool(model)}


def printed(seen, name, pattern=r"(\S+)"):
    """What the block has printed after a name, once."""
    found = re.findall(rf"^{re.escape(name)}: {pattern}$", seen["output"], re.M)
    assert len(found) == 1, f"{name!r} in {seen['output']!r}"
    return found[0]


def percent(seen, name):
    return float(printed(seen, name, r"(\d+\.\d+)%"))


def client_is(seen, workers, stored_in, cache, serves_metrics=False):
    client = seen["client"]
    assert client["workers"] == workers
    assert client["stored_in"] == [stored_in]
    assert client["cache"]["backend"] == cache
    # Of the variables in the environment.
    assert (client["cache"]["max_size"], client["cache"]["ttl_seconds"]) == (100, 3600)
    assert [name for name in METRICS if name in seen["metrics_page"]] == (METRICS if serves_metrics else [])


def quick_start(seen):
    client_is(seen, 4, "postgresql", "lmdb", serves_metrics=True)
    assert not seen["client"]["cache_folder"]


def worker_count(seen):
    assert seen["output"] == "Workers: 4\n"
    client_is(seen, 4, "mindcore.db", "lmdb")


def worker_health(seen):
    assert printed(seen, "Pool size") == "4"
    assert printed(seen, "Healthy") == "True"
    assert printed(seen, "Issues") == "[]"
    assert int(printed(seen, "Processed")) >= 10
    assert int(printed(seen, "Trivial skipped")) == 3
    assert percent(seen, "Error rate") == 0
    assert float(printed(seen, "Avg processing time", r"(\d+\.\d)ms")) < 60000


def disk_cache(seen):
    client_is(seen, 4, "mindcore.db", "lmdb")
    assert seen["client"]["cache_folder"]


def invalidation(seen):
    by_reason = seen["values"]["stats"]["invalidation"]["by_reason"]
    assert by_reason["topic"] == 1  # the one thread of the load, whose topics include billing
    assert seen["values"]["count"] == 0  # nothing is an hour old
    assert percent(seen, "Hit rate") > 50


def savings(seen):
    assert int(printed(seen, "LLM calls saved")) == 3
    assert re.fullmatch(r"\$\d+\.\d\d", printed(seen, "Estimated cost saved"))


def prometheus(seen):
    assert seen["output"] == "Metrics available at http://localhost:9090/metrics\n"
    client_is(seen, 4, "mindcore.db", "lmdb", serves_metrics=True)


def programmatic_metrics(seen):
    assert int(printed(seen, "Messages ingested")) >= 10
    assert printed(seen, "Queue depth") == "0"


def more_workers(seen):
    assert seen["output"] == "Queue depth: 0\n"
    client_is(seen, 8, "mindcore.db", "lmdb")


def trivial_rate(seen):
    assert 20 <= percent(seen, "Trivial skip rate") <= 30


def hit_rate(seen):
    assert percent(seen, "Hit rate") > 50


def migration(seen):
    assert printed(seen, "Migrated", r"(\d+) messages") == "0"
    assert seen["values"]["result"]["errors"] == []


def health_check(seen):
    result = seen["values"]["result"]
    assert seen["output"] == ""
    assert (result["healthy"], result["issues"]) == (True, [])
    assert result["metrics"]["workers"] == 8
    assert result["metrics"]["processed"] >= 10
    assert result["metrics"]["error_rate"] == 0
    assert result["metrics"]["cache_hit_rate"] > 0.5


# What is to be seen after each block, by its line.
EXPECTED = {
    41: quick_start,
    79: worker_count,
    93: worker_health,
    120: lambda seen: client_is(seen, 4, "mindcore.db", "lmdb"),
    143: lambda seen: client_is(seen, 4, "postgresql", "lmdb"),
    183: lambda seen: client_is(seen, 4, "mindcore.db", "memory"),
    193: disk_cache,
    220: invalidation,
    296: savings,
    310: prometheus,
    370: programmatic_metrics,
    383: lambda seen: client_is(seen, 1, "mindcore.db", "memory"),
    396: lambda seen: client_is(seen, 2, "mindcore.db", "lmdb"),
    406: lambda seen: client_is(seen, 4, "postgresql", "lmdb", serves_metrics=True),
    419: lambda seen: client_is(seen, 8, "postgresql", "lmdb", serves_metrics=True),
    449: more_workers,
    468: trivial_rate,
    483: hit_rate,
    497: migration,
    533: health_check,
}


@pytest.mark.parametrize("block", of("python"), ids=repr)
def test_python(world, block):
    seen = world["python"][str(block.line)]
    assert seen["error"] == ""
    EXPECTED[block.line](seen)


def test_no_service_was_asked_in_vain(world):
    assert world["services"] == []


def test_shell(world):
    block, = of("bash")
    seen = world["shell"][str(block.line)]
    exported = dict(re.findall(r"^export (\w+)=(\S+)", block.text, re.M))
    assert {**seen["variables"], **exported} == seen["variables"] and len(exported) == 7
    assert seen["show"]["status"] == 0, seen["show"]["err"]
    options = json.loads(seen["show"]["out"])["options"]
    in_force = {option["value"] for option in options.values() if option["source"] == "environment"}
    assert set(exported.values()) - {exported["OPENAI_API_KEY"]} <= in_force
    assert exported["OPENAI_API_KEY"] not in seen["show"]["out"]  # a secret
    client = seen["client"]
    assert client["workers"] == 4
    assert (client["cache"]["max_size"], client["cache"]["ttl_seconds"]) == (100, 3600)
    assert client["method"] == "llm"  # the local model, or the service that is its fallback


# ---- Configurations: what each one says must be in force ----

CONFIGURED = {
    152: {"database.backend": "postgresql", "database.host": "localhost", "database.port": "5432",
          "database.name": "mindcore", "database.user": "mindcore_user", "database.pool_size": "10",
          "database.max_overflow": "20"},
    202: {"cache.max_size": "100", "cache.ttl": "3600"},
    243: {"llm.provider": "llama_cpp", "llm.llama_cpp.model_path": "/models/llama-3-8b.gguf",
          "llm.llama_cpp.n_ctx": "4096", "llm.llama_cpp.n_threads": "8", "llm.llama_cpp.n_gpu_layers": "0",
          "llm.llama_cpp.verbose": "false"},
    270: {"llm.provider": "openai", "llm.openai.model": "gpt-4o-mini", "llm.openai.timeout": "60",
          "llm.openai.max_retries": "3"},
    282: {"llm.provider": "auto", "llm.llama_cpp.model_path": "/models/llama-3-8b.gguf",
          "llm.openai.model": "gpt-4o-mini"},
    336: None,  # Prometheus's own
    512: {"database.backend": "sqlite", "database.pool_size": "20", "database.max_overflow": "40"},
}

@pytest.mark.parametrize("block", [block for block in of("yaml") if CONFIGURED[block.line]], ids=repr)
def test_configuration(world, block):
    if "model_path" in block.text and not world["has_model"]:
        pytest.skip("built without llama.cpp")
    seen = world["yaml"][str(block.line)]
    assert seen["check"]["status"] == 0, seen["check"]["err"]
    options = json.loads(seen["show"]["out"])["options"]
    assert {name: options[name]["value"] for name in CONFIGURED[block.line]} == CONFIGURED[block.line]
    client = seen["client"]
    assert client["stored_in"] == ["postgresql" if "host:" in block.text else "mindcore.db"]
    assert client["method"] == ("llm" if "llm" in block.text else "builtin")
    assert client["cache"]["max_size"] == int(options["cache.max_size"]["value"])


def test_configuration_of_prometheus(tmp_path):
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("Prometheus is not installed")
    (tmp_path / "prometheus.yml").write_text(one("yaml", "scrape_configs").text, encoding="utf-8")
    done = subprocess.run([promtool, "check", "config", "prometheus.yml"], cwd=tmp_path, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- SQL ----

def test_pragmas(tmp_path):
    """They are SQLite's, and mean what the unit test sqlite finds in the connection that writes."""
    connection = sqlite3.connect(tmp_path / "any.db")
    connection.executescript(one("sql", "PRAGMA").text)
    values = {name: connection.execute(f"PRAGMA {name}").fetchone()[0]
              for name in ("journal_mode", "synchronous", "cache_size", "temp_store")}
    connection.close()
    assert values == {"journal_mode": "wal", "synchronous": 1, "cache_size": -64000, "temp_store": 2}


INDEXES = {
    "idx_messages_user_thread": "SELECT * FROM messages WHERE user_id = 'ada' AND thread_id = 't1'",
    "idx_messages_metadata_topics": "SELECT * FROM messages WHERE metadata->'topics' ? 'billing'",
    "idx_messages_created_at": "SELECT * FROM messages ORDER BY created_at DESC LIMIT 10",
}


@pytest.fixture(scope="module")
def postgres():
    if not find_postgres():
        pytest.skip("PostgreSQL is not installed")
    server = Postgres(find_postgres()).start()
    yield server
    server.stop()


def test_indexes(postgres, tmp_path, monkeypatch):
    """They are there before anyone makes them, and PostgreSQL uses them."""
    name = postgres.create()
    monkeypatch.chdir(tmp_path)
    for variable, value in {"HOST": "127.0.0.1", "PORT": postgres.port, "NAME": name, "USER": USER,
                            "PASSWORD": PASSWORD}.items():
        monkeypatch.setenv(f"MINDCORE_DB_{variable}", str(value))
    with MindcoreClient(use_sqlite=False) as client:
        client.ingest(user_id="ada", thread_id="t1", session_id="s1", role="user", text="A billing question: what is invoice 7 for?")
        wait_until(lambda: client.get_enrichment_metrics()["queue_size"] == 0)
    listing = "SELECT schemaname, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"
    before = postgres.sql(listing, name)
    postgres.sql(f"SET ROLE {USER};\n{one('sql', 'CREATE INDEX').text}", name)
    assert postgres.sql(listing, name) == before
    for index, query in INDEXES.items():
        assert any(line.split("|")[1] == index for line in before)
        parts = postgres.sql(f"SELECT '{index}' UNION SELECT relid::regclass::text FROM pg_partition_tree('{index}')", name)
        plan = "\n".join(postgres.sql(f"SET enable_seqscan = off; SET enable_sort = off; EXPLAIN {query}", name))
        assert any(part in plan for part in parts) and "Seq Scan" not in plan, plan
    assert postgres.sql(INDEXES["idx_messages_metadata_topics"].replace("*", "thread_id"), name) == ["t1"]


# ---- The health check, and what it says in each kind of trouble ----

TALK = ["Where is order ORD-{0}? It should have come on Monday.", "Invoice INV-{0} was charged twice, refund it please.",
        "The login of account {0} fails with an error since the update."]


def say(client, count, user="ada"):
    for number in range(count):
        client.ingest(user_id=user, thread_id=f"t{number % 3}", session_id="s1", role="user",
                      text=TALK[number % 3].format(number))


class Health:
    """A client with a configuration of its own, and the guide's check of it."""

    def __init__(self, config):
        Path("health.yaml").write_text(config, encoding="utf-8")
        self.client = MindcoreClient(config_path="health.yaml")
        say(self.client, 3, user="check")
        for number in range(9):
            self.client.get_recent_messages("check", f"t{number % 3}")
        namespace = {"client": self.client}
        exec(one("python", "def check_mindcore_health").text, namespace)
        self.first = namespace["result"]
        self.look = namespace["check_mindcore_health"]

    def result(self):
        return self.look(self.client)

    def says(self, issue):
        """The issue that begins with these words, as soon as it is told."""
        def told():
            result = self.result()
            return not result["healthy"] and [text for text in result["issues"] if text.startswith(issue)]
        return wait_until(told, 30, issue)[0]


@pytest.fixture
def check(tmp_path, monkeypatch):
    """check(config) -> Health; the client is closed at the end."""
    monkeypatch.chdir(tmp_path)
    made = []

    def make(config="llm: {provider: builtin}"):
        made.append(Health(config))
        return made[-1]
    yield make
    for health in made:
        health.client.close()


def service(port, more=""):
    return f"""
llm:
  provider: openai
  breaker_failures: 1
  openai: {{base_url: "http://127.0.0.1:{port}/v1", timeout: 5, max_retries: 0}}
enrichment: {{batch: 1, retry_min: 10ms, retry_max: 10ms, max_attempts: 100}}
{more}"""


def test_healthy(check):
    health = check()
    say(health.client, 30)
    assert health.client.drain(60)
    for number in range(30):
        health.client.get_recent_messages("ada", f"t{number % 3}")
    result = health.result()
    assert result["healthy"] and result["issues"] == [], result
    assert result["metrics"] == {"workers": 1, "processed": 33, "error_rate": 0,
                                 "cache_hit_rate": result["metrics"]["cache_hit_rate"]}
    assert result["metrics"]["cache_hit_rate"] > 0.5


def test_dead_provider(check):
    health = check(service(free_port()))
    assert "openai" in health.says("Worker issues: [")


def test_high_error_rate(check):
    with ModelServer() as models:
        models.always(Status(500))
        health = check(service(models.port))
        rate = float(re.fullmatch(r"High error rate: (\d+\.\d)%", health.says("High error rate"))[1])
        assert rate > 5
        assert models.errors == []


def test_low_cache_hit_rate(check):
    health = check()
    for number in range(30):
        health.client.clear_cache()
        health.client.get_recent_messages("check", f"t{number % 3}")
    said = health.says("Low cache hit rate")
    assert float(re.fullmatch(r"Low cache hit rate: (\d+\.\d)%", said)[1]) < 50
    assert health.result()["issues"] == [said]


def test_high_queue_depth(check):
    with ModelServer() as models:
        models.always(Silence())
        health = check(service(models.port))
        say(health.client, 120)
        said = health.says("High queue depth")
        assert int(re.fullmatch(r"High queue depth: (\d+)", said)[1]) > 100
        models.heal()
        assert models.errors == []


# ---- PromQL ----

def test_every_query_is_evaluated():
    """By a real Prometheus: what it evaluates are the queries of the guide, as they stand there."""
    block, = of("promql")
    queries = {query.strip() for query in re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", block.text, flags=re.M))}
    tree = ast.parse((ROOT / "tests" / "e2e" / "test_prometheus.py").read_text(encoding="utf-8"))
    evaluated, = (node.value for node in tree.body if isinstance(node, ast.Assign)
                  and getattr(node.targets[0], "id", "") == "GUIDE")
    assert {ast.literal_eval(key) for key in evaluated.keys} == queries
    assert len(queries) == 6
