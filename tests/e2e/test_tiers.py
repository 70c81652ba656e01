"""Tier migration and the compressed archive with the real program, killed again and again."""

import functools
import signal
import sqlite3
import subprocess
from pathlib import Path

import pytest

from conftest import PROGRAM, environment, message, wait_until
from test_db_copy import postgres  # noqa: F401 (a fixture)

COUNT = 600


def old_messages():
    return [message(f"My order {i * 7919} has not arrived, and I need it before Friday: please look for parcel {i}.",
                    message_id=f"m{i}", user_id=f"user-{i % 5}", thread_id=f"thread-{i % 25}",
                    created_at=f"2024-05-{1 + i % 28:02}T10:00:00Z") for i in range(COUNT)]


def said(cli, db):
    """What every message says, by its id."""
    lines = [line for line in cli("export", "--all", "--db", db, status=0).lines if line["type"] == "message"]
    messages = [line["message"] for line in lines]
    assert len({entry["message_id"] for entry in messages}) == len(messages), "no message is there twice"
    return {entry["message_id"]: (entry["raw_text"], entry["metadata"]) for entry in messages}


def store(cli, db, messages):
    cli("ingest", "--db", db, input=messages, status=0)
    wait_until(lambda: cli("queue", "list", "--db", db, "--json", status=0).json["depth"] == 0, 30, "the enrichment")


def migrate(cli, db, *args):
    return cli("tiers", "migrate", "--db", db, "--json", *KEEP, *args, status=0, timeout=120).json


KEEP = ["-o", "retention.delete_archived_after_days=0", "-o", "retention.schedule=off"]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/tiers.db"
    server = request.getfixturevalue("postgres")
    return server.url(server.create())


@pytest.fixture
def age(request):
    """age(database, days): as if all had been stored so many days earlier."""
    def change(database, days):
        if database.startswith("sqlite:"):
            with sqlite3.connect(database.removeprefix("sqlite:")) as connection:
                connection.execute("UPDATE messages SET stored_at = stored_at - ?", (days * 86400 * 1000000,))
            connection.close()
        else:
            name = database.split("?")[0].rpartition("/")[2]
            request.getfixturevalue("postgres").sql(f"UPDATE messages SET stored_at = stored_at - interval '{days} days'",
                                                    name)
    return change


def run_killed(*args, folder, done=lambda: False):
    """
    Runs the program, killed again and again with growing patience until it ends by itself; how often it was. done: what
    it may find when it was killed between the end of its work and its own. The kernel's alarm kills it, which is in time
    also where this process is not.
    """
    patience, kills = 0.05, 0
    while True:
        run = subprocess.run([str(PROGRAM), *args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
                             cwd=folder, check=False, preexec_fn=functools.partial(signal.setitimer, signal.ITIMER_REAL, patience))
        if run.returncode != -signal.SIGALRM:
            assert run.returncode == 0 or (kills > 0 and done())
            return kills
        patience *= 1.3
        kills += 1


def test_killed_again_and_again(cli, database, tmp_path):
    store(cli, database, old_messages())
    before = said(cli, database)
    assert len(before) == COUNT
    dry = migrate(cli, database, "--dry-run")
    assert (dry["messages_migrated"], dry["messages_compressed"]) == (COUNT, COUNT)
    assert dry["bytes_before"] > 100 * COUNT and dry["bytes_after"] == 0
    assert run_killed("tiers", "migrate", "--db", database, "-q", *KEEP, folder=tmp_path) > 0
    again = migrate(cli, database)
    assert (again["messages_migrated"], again["messages_compressed"], again["errors"]) == (0, 0, [])
    assert said(cli, database) == before, "nothing is lost, nothing is twice, every word is as it was"
    assert cli("status", "--db", database, "--json", status=0).json["messages"] == COUNT
    assert cli("doctor", "--db", database, "--json", status=0).json["ok"] is True
    recent = cli("recent", "--db", database, "--user", "user-2", "--thread", "thread-7", "--json", status=0).json
    assert len(recent["messages"]) == 20
    receipt = cli("erase", "--user", "user-2", "--yes", "--db", database, "--json", status=0).json
    assert receipt["messages"] == COUNT // 5 and receipt["verified"] is True
    left = said(cli, database)
    assert left == {name: value for name, value in before.items() if int(name[1:]) % 5 != 2}


def test_the_archive_may_stay_as_rows(cli, tmp_path):
    db = f"sqlite:{tmp_path}/rows.db"
    store(cli, db, old_messages()[:100])
    value = migrate(cli, db, "-o", "retention.compress_archive=false")
    assert (value["messages_migrated"], value["messages_compressed"]) == (100, 0)
    hits = cli("search", "--db", db, "--user", "user-2", "parcel", "--json", status=0).json["hits"]
    assert hits, "words are found"
    assert migrate(cli, db)["messages_compressed"] == 100
    assert not cli("search", "--db", db, "--user", "user-2", "parcel", "--json", status=0).json["hits"]


def exported(cli, db):
    """Every message as the export shows it, by its id."""
    lines = cli("export", "--all", "--db", db, status=0).lines
    return {line["message"]["message_id"]: line["message"] for line in lines if line["type"] == "message"}


def undo(cli, db, *args, status=0):
    return cli("tiers", "undo", "--db", db, "--json", *args, status=status, timeout=120)


def runs(cli, db):
    return cli("tiers", "runs", "--db", db, "--json", status=0).json["runs"]


def thanks(count):
    return [message("Thanks!", message_id=f"t{i}", user_id=f"user-{i % 5}", thread_id=f"thread-{i % 25}",
                    created_at="2024-06-01T10:00:00Z") for i in range(count)]


def test_undo_after_kills(cli, database, age, tmp_path):
    """Migrations and their undo, all of them killed again and again: at the end everything is as it was."""
    store(cli, database, old_messages() + thanks(60))
    age(database, 800)
    before = exported(cli, database)
    assert len(before) == COUNT + 60
    dry = migrate(cli, database, "--dry-run")
    assert dry["messages_deleted"] == 60 and dry["bytes_deleted"] > 60 * 50 and dry["run"] is None
    assert run_killed("tiers", "migrate", "--db", database, "-q", *KEEP, folder=tmp_path) > 0
    assert len(exported(cli, database)) == COUNT, "what is trivial is deleted"
    run_killed("tiers", "migrate", "--db", database, "-q", "-o", "retention.schedule=off", folder=tmp_path)
    assert exported(cli, database) == {}, "and then the archive"
    listed = runs(cli, database)
    assert sum(run["messages_deleted"] for run in listed) == COUNT + 60
    assert sum(run["bytes_deleted"] for run in listed) > dry["bytes_deleted"]
    assert cli("doctor", "--db", database, "--json", status=0).json["ok"] is True
    first = str(listed[-1]["run"])
    would = undo(cli, database, "--run", first, "--dry-run").json
    assert (would["messages_restored"], would["messages_skipped"]) == (COUNT + 60, 0)
    assert run_killed("tiers", "undo", "--run", first, "--db", database, "-q", folder=tmp_path,
                      done=lambda: runs(cli, database) == []) > 0
    assert exported(cli, database) == before, "every message is as it was"
    assert runs(cli, database) == []
    assert "there is no tier migration" in undo(cli, database, status=None).err
    assert cli("doctor", "--db", database, "--json", status=0).json["ok"] is True
    assert cli("queue", "list", "--db", database, "--json", status=0).json["depth"] == 0
    hits = cli("search", "--db", database, "--user", "user-2", "parcel", "--json", status=0).json["hits"]
    assert hits, "words are found"


def test_undo_cut_off_is_completed_by_the_next_migration(cli, database, age, tmp_path):
    store(cli, database, old_messages())
    age(database, 800)
    migrate(cli, database)
    run = subprocess.Popen([str(PROGRAM), "tiers", "undo", "--db", database, "-q"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, env=environment(), cwd=tmp_path)
    wait_until(lambda: run.poll() is not None or [run["undoing"] for run in runs(cli, database)] == [True], 60, "the undo")
    run.kill()
    run.wait()
    again = migrate(cli, database)
    assert again["errors"] == []
    assert (again["messages_migrated"], again["messages_compressed"]) == (COUNT, COUNT)
    assert [entry["undoing"] for entry in runs(cli, database)] == [False]


def test_undo_may_be_off(cli, database, age):
    store(cli, database, thanks(5))
    age(database, 8)
    off = ["-o", "retention.undo_days=0"]
    value = migrate(cli, database, *off)
    assert (value["messages_deleted"], value["run"]) == (5, None)
    assert "retention.undo_days is 0" in undo(cli, database, *off, status=None).err
    assert runs(cli, database) == []


def test_trash_is_erased_too(cli, make_server, age, tmp_path):
    db = tmp_path / "trash.db"
    url = f"sqlite:{db}"

    def on_disk(word):
        return any(word in Path(name).read_bytes() for name in (f"{db}", f"{db}-wal") if Path(name).exists())
    store(cli, url, [message("Thanks, xylophonist!", message_id="x1", user_id="ann", created_at="2024-06-01T10:00:00Z"),
                     message("the zymurgist comes", message_id="x2", user_id="ann", created_at="2024-06-01T10:00:00Z"),
                     message("the bob comes", message_id="x3", user_id="bob", created_at="2024-06-01T10:00:00Z")])
    age(url, 800)
    assert cli("tiers", "migrate", "--db", url, "--json", status=0).json["messages_deleted"] == 3
    assert on_disk(b"xylophonist") and on_disk(b"zymurgist")
    assert exported(cli, url) == {} and not cli("search", "--db", url, "--user", "ann", "zymurgist", "--json",
                                                status=0).json["hits"]
    key = cli("keys", "create", "--name", "n", "--scope", "write", "--db", url, "--json", status=0).json["key"]
    server = make_server(db=url, headers={"Authorization": f"Bearer {key}"})
    assert server.http.delete("/v1/messages/x1")[0] in (200, 204)
    assert server.http.delete("/v1/messages/x1")[0] == 404
    server.stop()
    receipt = cli("erase", "--user", "ann", "--yes", "--db", url, "--json", status=0).json
    assert (receipt["messages"], receipt["messages_in_trash"], receipt["verified"], receipt["wiped"]) == (0, 1, True, True)
    assert not on_disk(b"xylophonist") and not on_disk(b"zymurgist")
    assert undo(cli, url).json["messages_restored"] == 1
    assert list(exported(cli, url)) == ["x3"]


def test_undo_over_http(make_server, age):
    server = make_server(config="retention:\n  schedule: daily\n")
    http = server.http
    status, _, _ = http.post("/v1/messages", thanks(1)[0])
    assert status == 201
    wait_until(lambda: http.get("/v1/queue")[2]["depth"] == 0, 30, "the enrichment")
    age(server.db, 8)
    _, _, moved = http.post("/v1/tiers/migrate", {})
    assert moved["messages_deleted"] == 1 and http.get("/v1/messages/t0")[0] == 404
    status, _, listed = http.get("/v1/tiers/runs")
    assert status == 200 and [run["run"] for run in listed["runs"]] == [moved["run"]]
    _, _, would = http.post("/v1/tiers/undo", {"run": moved["run"], "dry_run": True})
    assert would["messages_restored"] == 1 and http.get("/v1/messages/t0")[0] == 404
    status, _, undone = http.post("/v1/tiers/undo")
    assert (status, undone["messages_restored"], undone["dry_run"]) == (200, 1, False)
    assert undone["next_scheduled_migration"] > listed["runs"][0]["ended_at"]
    assert http.get("/v1/messages/t0")[2]["raw_text"] == "Thanks!"
    status, _, problem = http.post("/v1/tiers/undo")
    assert status == 404 and "no tier migration" in str(problem)
    assert http.post("/v1/tiers/undo", {"run": 0})[0] in (400, 422)
