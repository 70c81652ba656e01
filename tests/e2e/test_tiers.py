"""Tier migration and the compressed archive with the real program, killed again and again."""

import subprocess

import pytest

from conftest import PROGRAM, SLOWNESS, environment, message, wait_until
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


def test_killed_again_and_again(cli, database, tmp_path):
    store(cli, database, old_messages())
    before = said(cli, database)
    assert len(before) == COUNT
    dry = migrate(cli, database, "--dry-run")
    assert (dry["messages_migrated"], dry["messages_compressed"]) == (COUNT, COUNT)
    assert dry["bytes_before"] > 100 * COUNT and dry["bytes_after"] == 0
    patience, kills, status = 0.05, 0, None
    while status is None:
        run = subprocess.Popen([str(PROGRAM), "tiers", "migrate", "--db", database, "-q", *KEEP],
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(),
                               cwd=tmp_path)
        try:
            status = run.wait(patience * SLOWNESS)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            patience *= 1.3
            kills += 1
        run.stderr.close()
    assert status == 0 and kills > 0
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
