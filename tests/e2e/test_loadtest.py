"""A load test of the engine and of servers: what it measures, what it says of it, and that it leaves nothing behind."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import time

import pytest

from conftest import PROGRAM, SANITIZER, SLOWNESS, assert_clean, environment, message, wait_until
from test_postgres import Place, postgres  # noqa: F401, pylint: disable=unused-import

KEY = "0123456789abcdef-load"
KINDS = ("ingest", "context", "search", "recent")
TIMES = 40 if not SANITIZER else 20  # of 0.42 messages a second


def report(done):
    """What a load test says. How fast this machine is decides some checks: that they decide `ok` is what can be tested."""
    result = done.json
    failed = "fail" in verdicts(result).values()
    assert result["ok"] == (not failed and result["errors"] == []), result
    assert done.status == (0 if result["ok"] else 1), done
    return result


def loadtest(cli, *args, **options):
    """A short one, always the same; its result."""
    return report(cli("loadtest", "--profile", "small", "--times", TIMES, "--duration", "3s", "--seed", 5, "--json", *args,
                      timeout=600, **options))


def verdicts(result):
    return {check["name"]: check["result"] for check in result["checks"]}


def advice(result, name):
    return next(check["advice"] for check in result["checks"] if check["name"] == name)


def check_measured(result):
    """What was due was done, and what was measured fits together."""
    assert not result["interrupted"] and result["errors"] == [], result
    for kind in KINDS:
        operation = result["operations"][kind]
        assert operation["done"] > 0 and operation["errors"] == 0, (kind, operation)
        assert operation["done"] + operation["not_sent"] == operation["scheduled"], (kind, operation)
        assert operation["not_sent"] == 0 or verdicts(result)["backlog"] != "pass", (kind, operation)
        assert operation["achieved_per_second"] <= operation["wanted_per_second"]
        assert 0 < operation["p50_ms"] <= operation["p95_ms"] <= operation["p99_ms"] <= operation["max_ms"]
    operations = result["operations"]
    assert operations["context"]["done"] < operations["ingest"]["done"], "two messages a turn, one context"
    assert result["queue"]["depth"] == 0 and result["queue"]["empty_after_seconds"] is not None
    assert result["queue"]["depth_max"] >= result["queue"]["depth_at_end_of_load"]
    assert result["enriched"] >= operations["ingest"]["done"], "everything stored is enriched"
    memory = result["resident_bytes"]
    assert memory["max"] >= memory["start"] > 1 << 20 and memory["max"] >= max(memory["half"], memory["end"])
    assert verdicts(result)["request error rate"] == "pass"


def test_embedded(cli, db):
    cli("ingest", "--db", db, input=[message("I moved to Bergen.", user_id="ann")], status=0)
    result = loadtest(cli, "--db", db)
    check_measured(result)
    assert result["backend"] == "sqlite" and result["seed"] == 5
    status = cli("status", "--db", db, "--json", status=0).json
    assert (status["users"], status["messages"], status["queue"]["depth"]) == (1, 1, 0), "only the user's own is left"


def test_the_configured_database_is_left_alone(cli, tmp_path):
    folder = tmp_path / "tmp"
    folder.mkdir()
    own = tmp_path / "own.db"
    check_measured(loadtest(cli, env={"MINDCORE_DATABASE_PATH": str(own), "TMPDIR": str(folder)}))
    assert not own.exists() and list(folder.iterdir()) == [], "a temporary database, which is gone"


def test_keep(cli, db):
    result = loadtest(cli, "--db", db, "--keep")
    assert cli("status", "--db", db, "--json", status=0).json["users"] == result["users"]
    user = f"loadtest-{result['run']}-0"
    turns = cli("recent", "--db", db, "--user", user, "--thread", "past-0", "--json", status=0).json["messages"]
    assert len(turns) == 20 and {turn["role"] for turn in turns} == {"user", "assistant"}


def test_agent(cli, db):
    agents = ["-o", "multi_agent.enabled=true", "-o", "multi_agent.require_agent_id=true"]
    check_measured(loadtest(cli, *agents, "--agent", "desk"))
    refused = cli("loadtest", "--profile", "small", *agents, "--agent", "desk", "--db", db, status=1)
    assert "desk" in refused.err and "register" in refused.err


def test_table(cli, db):
    done = cli("loadtest", "--profile", "hobbyist", "--times", 200, "--duration", "2s", "--db", db)
    out = done.out
    assert done.status == bool(re.search(r"^fail ", out, re.M)), done
    heading = next(line for line in out.splitlines() if line.startswith("operation"))
    assert heading.split("  ")[-1] == "max ms"
    for words in ("hobbyist x 200", "queue ", "enriched ", "memory ", "pass request error rate", "skip alerts: "):
        assert words in out, out


def test_postgres(cli, postgres):  # noqa: F811
    place = Place(postgres, False)
    result = loadtest(cli, *place.cli)
    check_measured(result)
    assert result["backend"] == "postgresql" and verdicts(result)["database connections"] == "pass"
    assert verdicts(result)["indexes"] == "pass"
    assert place.counts() == [0, 0, 0, 0] and place.sql("SELECT count(*) FROM users") == ["0"]
    place.sql("DROP INDEX idx_messages_created_at")
    result = loadtest(cli, *place.cli)
    assert not result["ok"] and verdicts(result)["indexes"] == "fail" and result["errors"] == []
    assert "idx_messages_created_at" in cli("doctor", *place.cli, status=1).out


def test_server(cli, make_server):
    server = make_server(config=f"server: {{api_keys: [{KEY}]}}", headers={"X-API-Key": KEY})
    args = ["--url", server.url]
    assert "--api-key" in cli("loadtest", "--profile", "small", *args, status=1).err
    result = loadtest(cli, *args, "--api-key", KEY)
    check_measured(result)
    assert result["target"] == server.url
    assert abs(result["resident_bytes"]["end"] / 1024 / server.memory_kb() - 1) < 0.5, "the server's memory"
    assert server.http.get("/v1/status").json["users"] == 0
    assert verdicts(result)["metrics listener"] == "pass" and verdicts(result)["tier migration"] == "skipped"

    made = server.http.post("/v1/keys", {"name": "app", "scopes": ["read", "write"]}).json["key"]
    refused = cli("loadtest", "--profile", "small", *args, "--api-key", made, status=1)
    assert "admin" in refused.err and "--keep" in refused.err
    kept = loadtest(cli, *args, "--api-key", made, "--keep")
    assert server.http.get("/v1/status").json["users"] == kept["users"]


def test_a_missing_index_is_told(cli, tmp_path, db):
    cli("ingest", "--db", db, input=[message("I moved to Bergen.")], status=0)
    with contextlib.closing(sqlite3.connect(tmp_path / "mindcore.db")) as file:
        file.executescript("DROP INDEX messages_tier; DROP INDEX jobs_due")
    assert cli("status", "--db", db, "--json", status=0).json["missing_indexes"] == ["messages_tier", "jobs_due"]
    assert "messages_tier, jobs_due" in cli("doctor", "--db", db, status=1).out


@contextlib.contextmanager
def running(folder, server, duration, *args):
    """A load test of a server whose load has begun."""
    process = subprocess.Popen(
        [PROGRAM, "loadtest", "--profile", "small", "--times", "10", "--duration", duration, "--json", "--url",
         server.url, *args], cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: server.http.get("/v1/metrics").json["context_requests"] > 1, 60, "the load")
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_server_dies(tmp_path, make_server):
    server = make_server()
    with running(tmp_path, server, "10s") as process:
        server.kill()
        out, err = process.communicate(timeout=120 * SLOWNESS)
    assert_clean(err)
    result = json.loads(out)
    assert process.returncode == 1 and not result["ok"]
    assert {error["kind"] for error in result["errors"]} <= {"connection"} and result["errors"]
    failed = sum(result["operations"][kind]["errors"] for kind in KINDS)
    assert failed == sum(error["count"] for error in result["errors"]) > 0
    assert result["queue"]["depth"] is None and result["queue"]["empty_after_seconds"] is None
    assert verdicts(result)["worker health"] == "fail" and verdicts(result)["request error rate"] == "fail"
    assert " failed: connection: " in err and "users of the test were not removed" in err


def test_a_load_that_is_not_kept_up_with(tmp_path, make_server):
    """A server that stands still until the load is over: what it answers then was not achieved under the load."""
    server = make_server()
    with running(tmp_path, server, "10s", "--clients", "1") as process:
        stopped = time.monotonic()
        os.kill(server.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: time.monotonic() - stopped > 10.5, 60, "the end of the load")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        out, err = process.communicate(timeout=300 * SLOWNESS)
    assert_clean(err)
    result = json.loads(out)
    operations = result["operations"].values()
    assert process.returncode == 1 and not result["ok"]
    assert verdicts(result)["backlog"] == "fail" and verdicts(result)["request P99"] == "warn"
    assert result["backlog"]["seconds_max"] > result["backlog"]["seconds_at_end_of_load"] > 1
    achieved = sum(operation["achieved_per_second"] for operation in operations) * result["seconds"]
    assert achieved < sum(operation["done"] for operation in operations) - 1, "of those done some were late"
    assert sum(operation["scheduled"] for operation in operations) > achieved + 5


def test_interrupted(tmp_path, make_server):
    server = make_server()
    with running(tmp_path, server, "1h") as process:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120 * SLOWNESS)
    assert_clean(err)
    result = json.loads(out)
    assert process.returncode == (0 if result["ok"] else 1) and result["errors"] == [], err
    assert result["interrupted"] and result["seconds"] < 3600 and result["operations"]["ingest"]["done"] > 0
    for operation in result["operations"].values():
        assert operation["done"] + operation["not_sent"] == operation["scheduled"]
    assert server.http.get("/v1/status").json["users"] == 0


def test_checklist_follows_the_configuration(cli):
    names = ("workers", "persistent cache", "metrics listener", "tier migration", "rate limit", "database")
    args = ["--profile", "high", "--times", "1", "--duration", "2s", "--json"]
    poor = report(cli("loadtest", *args, "-o", "cache.persistent=false", "-o", "retention.schedule=off", timeout=600))
    assert {name: verdicts(poor)[name] for name in names} == dict.fromkeys(names, "warn")
    assert advice(poor, "workers") == "raise enrichment.workers to 8"
    assert "cache.persistent: true" in advice(poor, "persistent cache")
    assert "retention.schedule: daily" in advice(poor, "tier migration")
    good = report(cli("loadtest", *args, "-o", "enrichment.workers=8", "-o", "server.metrics_listen=127.0.0.1:9464", "-o",
                      "server.rate_limit=50", timeout=600))
    assert {name: verdicts(good)[name] for name in names} == {**dict.fromkeys(names, "pass"), "database": "warn"}
    assert "PostgreSQL" in advice(good, "database")
    low = report(cli("loadtest", "--profile", "hobbyist", "--times", 0.01, "--duration", "1s", "--seed", 5, "--json", "-o",
                     "cache.persistent=false", timeout=600))
    assert "nothing was due" in low["checks"][0]["detail"]
    assert verdicts(low)["workers"] == verdicts(low)["persistent cache"] == verdicts(low)["database"] == "pass"


def test_slow_model(cli, make_models, db):
    models = make_models(latency=3)
    options = {"llm.provider": "openai", "llm.openai.base_url": models.url, "llm.openai.api_key": "sk-0123456789",
               "enrichment.workers": 16, "enrichment.in_flight": 16, "enrichment.batch": 1}
    args = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    done = cli("loadtest", "--profile", "hobbyist", "--times", 50, "--duration", "5s", "--json", "--db", db, *args,
               status=1, timeout=300)
    assert verdicts(done.json)["enrichment P95"] == "fail" and done.json["errors"] == []
    assert "llm.llama_cpp.n_gpu_layers" in advice(done.json, "enrichment P95")
    assert "may cost" in done.err


@pytest.mark.parametrize("args, words", [
    (["--profile", "huge"], "--profile"),
    ([], "--profile"),
    (["--profile", "small", "--duration", "5y"], "--duration"),
    (["--profile", "small", "--duration", "0s"], "--duration"),
    (["--profile", "small", "--times", "0"], "--times"),
    (["--profile", "small", "--clients", "0"], "--clients"),
    (["--profile", "small", "--url", "http://x", "--db", "sqlite:x"], "--url and --db"),
    (["--profile", "small", "--api-key", "x"], "--api-key needs --url"),
    (["--profile", "small", "--ca-file", "x"], "--ca-file needs --url"),
    (["--profile", "small", "--url", "localhost:8000"], "--url"),
])
def test_wrong_options(cli, tmp_path, args, words):
    done = cli("loadtest", *args)
    assert done.status in (1, 2) and words in done.err and done.out == ""
    assert os.listdir(tmp_path) == []


def test_nobody_answers(cli):
    done = cli("loadtest", "--profile", "small", "--url", "http://127.0.0.1:1", status=1)
    assert "cannot use http://127.0.0.1:1" in done.err
