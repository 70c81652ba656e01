"""Agents, preferences, export and import, erase, backup, queue, cache, tiers, status from the command line."""

import json
import re
import sqlite3
import stat
import subprocess

import pytest

from conftest import PROGRAM, environment, message, wait_until


@pytest.fixture
def stored(cli, db):
    cli("ingest", "--db", db, input=[
        message("Please refund order A-1042", message_id="a1", metadata={"channel": "mail", "n": 1}),
        message("Done, 20 EUR are refunded", message_id="a2", role="assistant"),
        message("Thanks!", message_id="a3", created_at="2026-01-01T00:00:00.123456Z"),
        message("Ein anderer Mensch 🙂", message_id="b1", user_id="u2"),
    ], status=0)
    return db


def test_agents(cli, db):
    agents = ["-o", "multi_agent.enabled=true", "--db", db]
    cli("ingest", *agents, input=[message("Hello")], status=0)
    assert cli("agents", *agents, "--json", status=0).json == {"agents": []}
    value = cli("agents", "register", *agents, "--agent", "billing", "--name", "Billing desk", "--group", "support",
                "--group", "money", "--visibility", "shared", "--metadata", '{"v": 1}', "--json", status=0).json
    assert value["agent_id"] == "billing" and value["sharing_groups"] == ["support", "money"]
    assert cli("agents", "get", "billing", *agents, "--json", status=0).json == value
    assert "Billing desk" in cli("agents", "list", *agents, status=0).out
    out = cli("agents", "stats", *agents, status=0).out
    assert "total" in out and re.search(r"^ +\(none\) +1$", out, re.M), out
    assert cli("agents", "unregister", "billing", *agents, status=0).out == "unregistered billing\n"
    assert "billing" in cli("agents", "get", "billing", *agents, status=1).err
    assert cli("agents", "unregister", "billing", *agents, status=1).err


def test_preferences(cli, db):
    user = ["--db", db, "--user", "u1", "--json"]
    args = ["preferences", "set", *user]
    assert cli(*args, "--field", "language", "--value", "de", status=0).json["language"] == "de"
    assert cli(*args, "--field", "interests", "--value", "hiking", "--action", "add", status=0).json["interests"] == \
        ["hiking"]
    value = cli(*args, "--patch", '{"goals": ["run a marathon"], "custom": {"level": 3}}', status=0).json
    assert value["goals"] == ["run a marathon"] and value["custom"] == {"level": 3}
    assert cli(*args, "--field", "interests", "--value", "hiking", "--action", "remove", status=0).json["interests"] \
        == []
    assert cli("preferences", "get", *user, status=0).json["goals"] == ["run a marathon"]
    assert cli("preferences", *user, status=0).json == cli("preferences", "get", *user, status=0).json
    assert cli(*args, "--field", "language", "--action", "clear", status=0).json["language"] != "de"
    assert cli(*args, "--field", "nonsense", "--value", "x", status=1).err
    assert cli(*args, "--field", "interests", "--value", "{", "--action", "add", status=0).json["interests"] == ["{"]
    assert "signals" in cli("preferences", "signals", *user, status=0).json
    assert "preferences" in cli("preferences", "apply", *user, status=0).json


def without_enrichment_time(lines):
    return sorted(json.dumps(line, sort_keys=True) for line in lines if line["type"] != "summary")


def test_export_and_import(cli, stored, tmp_path):
    cli("preferences", "set", "--db", stored, "--user", "u1", "--patch",
        '{"language": "de", "interests": ["hiking"], "custom": {"level": 3}}', status=0)
    path = tmp_path / "all.ndjson"
    cli("export", "--db", stored, "--all", "--output", path, status=0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert sorted({line["type"] for line in lines}) == ["message", "preferences"]
    assert cli("export", "--db", stored, "--user", "u1", status=0).out in text

    copy = f"sqlite:{tmp_path / 'copy.db'}"
    assert "stored 4, repeated 0, preferences 1" in cli("import", path, "--db", copy, status=0).out
    again = cli("import", "-", "--db", copy, "--json", input=text, status=0).json
    assert again == {"stored": 0, "repeated": 4, "preferences": 1, "summaries_left_out": 0, "signals_left_out": 0,
                     "refused": 0}
    copied = cli("export", "--db", copy, "--all", status=0).lines
    assert without_enrichment_time(copied) == without_enrichment_time(lines)


def test_export_has_what_was_learned(cli, db, tmp_path):
    cli("ingest", "--db", db, input=[message("Please call me Anna.", message_id="s1")], status=0)
    signals = cli("preferences", "signals", "--db", db, "--user", "u1", "--json", status=0).json["signals"]
    assert signals
    text = cli("export", "--db", db, "--user", "u1", status=0).out
    exported = [json.loads(line) for line in text.splitlines() if '"signal"' in line]
    assert [(one["type"], one["user_id"], one["field"], one["value"], one["count"], one["last_seen"])
            for one in exported] == [("signal", "u1", signal["field"], signal["value"], signal["count"],
                                      signal["last_seen"]) for signal in signals]
    copy = f"sqlite:{tmp_path / 'copy.db'}"
    assert cli("import", "-", "--db", copy, "--json", input=text, status=0).json["signals_left_out"] == len(signals)
    learned = cli("preferences", "signals", "--db", copy, "--user", "u1", "--json", status=0).json["signals"]
    assert [(one["field"], one["value"]) for one in learned] == [(one["field"], one["value"]) for one in signals]


def test_export_does_not_overwrite(cli, stored, tmp_path):
    path = tmp_path / "precious"
    path.write_text("mine", encoding="utf-8")
    assert "exists" in cli("export", "--db", stored, "--all", "--output", path, status=1).err
    assert path.read_text(encoding="utf-8") == "mine"
    assert "cannot write" in cli("export", "--db", stored, "--all", "--output", tmp_path / "no" / "x", status=1).err


def test_export_to_a_full_disk_is_a_failure(stored):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([str(PROGRAM), "export", "--db", stored, "--all"], stdout=full, stderr=subprocess.PIPE,
                              env=environment(), text=True, check=False)
    assert done.returncode == 1 and "cannot write" in done.stderr


def test_import_refuses_what_export_did_not_write(cli, stored, tmp_path):
    good = cli("export", "--db", stored, "--user", "u2", status=0).out
    bad = ["nonsense", '{"type": "message"}', '{"type": "other"}', json.dumps(message("plain")),
           '{"type": "preferences", "user_id": "u1"}']
    copy = f"sqlite:{tmp_path / 'copy.db'}"
    result = cli("import", "-", "--db", copy, input="\n".join(bad) + "\n\n" + good, status=1)
    assert "stored 1, repeated 0, preferences 0, summaries left out 0, signals left out 0, refused 5" in result.out
    assert [int(number) for number in re.findall(r"^line (\d+):", result.err, re.M)] == [1, 2, 3, 4, 5]
    assert "mindcore ingest" in result.err
    assert "cannot read" in cli("import", tmp_path / "missing", "--db", copy, status=1).err
    assert "cannot read" in cli("import", tmp_path, "--db", copy, status=1).err


def test_import_of_a_changed_message_is_a_conflict(cli, stored):
    text = cli("export", "--db", stored, "--user", "u1", status=0).out.replace("A-1042", "A-9999")
    result = cli("import", "-", "--db", stored, input=text, status=1)
    assert "a1" in result.err and "refused 1" in result.out


def test_erase(cli, stored):
    receipt = cli("erase", "--db", stored, "--user", "u1", "--yes", "--json", status=0).json
    assert receipt["messages"] == 3 and receipt["verified"] is True
    assert cli("export", "--db", stored, "--user", "u1", status=0).out == ""
    assert cli("export", "--db", stored, "--all", status=0).lines[0]["type"] == "message"
    assert "messages" in cli("erase", "--db", stored, "--user", "nobody", "--yes", status=0).out


def test_erase_while_a_service_is_stopped(cli, stored, make_server, tmp_path):
    """Its cache lies elsewhere, and is emptied when it starts."""
    folder = tmp_path / "service"
    server = make_server(db=stored, env={"MINDCORE_CACHE_DIR": str(folder)})
    assert server.http.post("/v1/messages", message("The violet umbrella", user_id="zed")).status == 201
    assert server.http.get("/v1/users/zed/threads/t1/messages").json["messages"]
    server.stop()
    kept = folder / "mindcore-cache.mdb"
    assert b"violet umbrella" in kept.read_bytes()
    assert cli("erase", "--db", stored, "--user", "zed", "--yes", "--json", status=0).json["wiped"] is True
    server.start()
    assert b"violet umbrella" not in kept.read_bytes()
    assert server.http.get("/v1/users/zed/threads/t1/messages").json["messages"] == []


def test_backup(cli, stored, tmp_path):
    path = tmp_path / "backup.db"
    assert str(path) in cli("backup", path, "--db", stored, status=0).out
    with sqlite3.connect(path) as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    before = cli("export", "--db", stored, "--all", status=0).out
    assert cli("export", "--db", f"sqlite:{path}", "--all", status=0).out == before
    assert "exists" in cli("backup", path, "--db", stored, status=1).err
    assert cli("backup", tmp_path / "no" / "b.db", "--db", stored, status=1).err


def test_status_and_watch(cli, stored):
    value = cli("status", "--db", stored, "--json", status=0).json
    assert value["messages"] == 4 and value["users"] == 2
    out = cli("status", "--db", stored, status=0).out
    assert re.search(r"^messages +4$", out, re.M)
    watch = subprocess.Popen([str(PROGRAM), "status", "--db", stored, "--watch", "--interval", "0.1", "--json"],
                             stdout=subprocess.PIPE, text=True, env=environment())
    seen = [json.loads(watch.stdout.readline())["messages"] for _ in range(3)]
    watch.terminate()
    watch.communicate()
    assert seen == [4, 4, 4]


def test_workers_and_models(cli, stored):
    value = cli("workers", "--db", stored, "-o", "enrichment.workers=3", "--json", status=0).json
    assert value["worker_pool_size"] == 3 and value["healthy"] is True
    assert "processed_count" in value["workers"]["enrichment"]["metrics"]
    out = cli("workers", "--db", stored, status=0).out
    assert "worker pool size" in out and "processed count" in out
    assert cli("models", "--db", stored, "--json", status=0).json["models"]
    assert "builtin" in cli("models", "--db", stored, status=0).out


def test_queue(cli, stored):
    value = cli("queue", "list", "--db", stored, "--json", status=0).json
    assert (value["depth"], value["dead"], value["dead_jobs"]) == (0, 0, [])
    assert cli("queue", "--db", stored, status=0).out.startswith("depth")
    assert cli("queue", "retry", "--db", stored, status=0).out == "retried 0 jobs\n"
    unknown = cli("queue", "retry", "--message", "a1", "--db", stored, status=1)
    assert "there is no dead job of message 'a1'" in unknown.err and not unknown.out
    assert cli("queue", "purge", "--db", stored, "--json", status=0).json == {"purged": 0}


def test_cache(cli, stored):
    cli("recent", "--db", stored, "--user", "u1", "--thread", "t1", status=0)
    value = cli("cache", "stats", "--db", stored, "--json", status=0).json
    assert {"cache", "invalidation"} <= set(value)
    assert re.search(r"hit rate +-$", cli("cache", "--db", stored, status=0).out, re.M), "nothing was read yet"
    for args in (["--topic", "refund"], ["--max-age", "3600"], ["--user", "u1"], ["--user", "u1", "--thread", "t1"],
                 ["--all"]):
        assert "invalidated" in cli("cache", "invalidate", "--db", stored, *args, "--json", status=0).json
    recent = cli("recent", "--db", stored, "--user", "u1", "--thread", "t1", "--json", status=0).json
    assert len(recent["messages"]) == 3


def test_tiers(cli, stored):
    before = cli("export", "--db", stored, "--all", status=0).out
    value = cli("tiers", "migrate", "--dry-run", "--db", stored, "--json", status=0).json
    assert value["dry_run"] is True
    assert cli("export", "--db", stored, "--all", status=0).out == before
    value = cli("tiers", "migrate", "--db", stored, "--user", "u2", "--json", status=0).json
    assert {"messages_migrated", "threads_summarized", "messages_deleted", "errors"} <= set(value)


def test_doctor(cli, stored, tmp_path):
    value = cli("doctor", "--db", stored, "--json", status=0).json
    assert value["ok"] is True and all(check["ok"] for check in value["checks"])
    assert re.search(r"^ok +\S", cli("doctor", "--db", stored, status=0).out, re.M)
    (tmp_path / "text.db").write_text("this is not a database at all, but long enough to be one " * 100,
                                      encoding="utf-8")
    result = cli("doctor", "--db", f"sqlite:{tmp_path / 'text.db'}", status=1)
    assert "FAIL" in result.out and "--db" in result.out
    assert cli("doctor", "--db", f"sqlite:{tmp_path / 'text.db'}", "--json", status=1).json["ok"] is False


def test_the_command_line_works_while_a_server_runs(cli, make_server, tmp_path):
    server = make_server()
    server.http.post("/v1/messages", message("Over HTTP, about the red kayak", message_id="h1"))
    cli("ingest", "--db", server.db, input=[message("From the command line, about the blue kayak",
                                                    message_id="c1")], status=0)
    hits = cli("search", "--db", server.db, "--user", "u1", "kayak", "--json", status=0).json["hits"]
    assert sorted(hit["message"]["message_id"] for hit in hits) == ["c1", "h1"]
    wait_until(lambda: server.http.get("/v1/messages/c1").status == 200, what="the message of the other")
