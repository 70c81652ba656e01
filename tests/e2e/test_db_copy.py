"""`mindcore db copy` between SQLite and PostgreSQL, with interruptions; `mindcore crashtest` on PostgreSQL."""

import contextlib
import json
import os
import pty
import signal
import subprocess

import pytest

from conftest import PROGRAM, SANITIZER, SLOWNESS, assert_clean, environment, message, wait_until
from postgres import Postgres, find_postgres, other_user
from test_postgres import is_built

PLAN = "Pläne für Zürich 🙏 mit \"Anführungen\" \\ und\nZeilen"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    binaries = find_postgres()
    if not binaries or other_user() is None or not is_built(tmp_path_factory.mktemp("built")):
        pytest.skip("PostgreSQL's server is not installed, cannot run, or is not built in")
    server = Postgres(binaries)
    try:
        yield server.start()
    finally:
        server.stop()


def copy(cli, source, target, status=0):
    result = cli("db", "copy", "--from", source, "--to", target, "--json", status=status, timeout=120)
    return result.json if status == 0 else result


def rows(report, table="messages", key="rows"):
    return next(entry[key] for entry in report["tables"] if entry["name"] == table)


def many(count, first=0):
    return [message(f"message {i} about invoice {i % 7}", message_id=f"n{i}", user_id=f"user-{i % 9}",
                    thread_id=f"thread-{i % 2}") for i in range(first, first + count)]


@pytest.fixture
def source(cli, tmp_path):
    """A SQLite database with messages of all kinds."""
    url = f"sqlite:{tmp_path}/source.db"
    large = {"note": "ü" * 20000, "list": [1, 2.50, None]}
    cli("keys", "create", "--name", "web", "--scope", "read", "--db", url, status=0)
    cli("agents", "register", "--agent", "helper", "--name", "Helper", "--db", url, "-o", "multi_agent.enabled=true", status=0)
    cli("ingest", "--db", url, input=[message(PLAN, message_id="m1", metadata=large), *many(600)], status=0)
    return url


def exported(cli, url):
    lines = cli("export", "--all", "--db", url, status=0).lines
    return sorted((json.dumps(line, sort_keys=True) for line in lines if line["type"] != "export"))


def test_to_postgres_and_back(cli, postgres, source, tmp_path):
    target = postgres.url(postgres.create())
    report = copy(cli, source, target)
    assert rows(report) == 601 and not report["source_changed"] and not report["resumed"]
    back = f"sqlite:{tmp_path}/back.db"
    assert rows(copy(cli, target, back)) == 601
    for url in (target, back):
        assert exported(cli, url) == exported(cli, source)
        for words in ("invoice", "Zürich", "message 17"):
            command = ("search", "--user", "user-3", words, "--json", "--db")
            found, expected = ([hit["message"]["message_id"] for hit in cli(*command, where, status=0).json["hits"]]
                               for where in (url, source))
            assert found == expected
        assert cli("doctor", "--json", "--db", url).json["ok"]
    # The copy goes on working: messages follow behind those that are there.
    cli("ingest", "--db", target, input=[message("and then?", message_id="next", user_id="user-3", thread_id="thread-1")],
        status=0)
    recent = cli("recent", "--user", "user-3", "--thread", "thread-1", "--json", "--db", target, status=0).json
    assert recent["messages"][0]["message_id"] == "next"


def start(source, target):
    return subprocess.Popen([PROGRAM, "db", "copy", "--from", source, "--to", target, "--json"], env=environment(),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def copied(postgres, name):
    if postgres.sql("SELECT to_regclass('mindcore_copied') IS NULL", name) == ["t"]:
        return 0
    return int((postgres.sql("SELECT rows FROM mindcore_copied WHERE name = 'messages'", name) or ["0"])[0])


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_it_goes_on(cli, postgres, source, sig):
    cli("ingest", "--db", source, input=many(3000, 600), status=0)
    name = postgres.create()
    process = start(source, postgres.url(name))
    wait_until(lambda: copied(postgres, name) > 0 or process.poll() is not None, 30, "the first page")
    process.send_signal(sig)
    _, said = process.communicate(timeout=120 * SLOWNESS)
    assert_clean(said)
    before = copied(postgres, name)
    assert 0 < before
    if sig == signal.SIGINT and process.returncode:
        assert process.returncode == 1 and "goes on" in said
    report = copy(cli, source, postgres.url(name))
    assert report["resumed"] and rows(report) == 3601
    assert rows(report, key="copied") == 3601 - before
    assert exported(cli, postgres.url(name)) == exported(cli, source)


def test_the_target_server_dies(cli, source):
    binaries = find_postgres()
    if not binaries or other_user() is None:
        pytest.skip("PostgreSQL's server is not installed")
    server = Postgres(binaries)
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        name = server.create()
        cli("ingest", "--db", source, input=many(2000, 600), status=0)
        process = start(source, server.url(name))
        wait_until(lambda: copied(server, name) > 0 or process.poll() is not None, 30, "the first page")
        server.crash()
        server.run()
        said = process.communicate(timeout=240 * SLOWNESS)[1]
        assert_clean(said)
        # Short absences are waited for; after a longer one it is told.
        assert process.returncode == 0 or "PostgreSQL" in said
        assert rows(copy(cli, source, server.url(name))) == 2601


def test_what_is_new_is_taken_over(cli, postgres, source):
    target = postgres.url(postgres.create())
    copy(cli, source, target)
    cli("ingest", "--db", source, input=many(5, 600), status=0)
    report = copy(cli, source, target)
    assert report["resumed"] and rows(report, key="copied") == 5 and rows(report) == 606
    cli("erase", "--db", source, "--user", "user-1", "--yes", status=0)
    report = copy(cli, source, target)
    assert report["restarted"]
    assert "user-1" not in cli("export", "--all", "--db", target, status=0).out
    assert exported(cli, target) == exported(cli, source)


def test_a_target_in_use_is_left_alone(cli, postgres, source):
    target = postgres.url(postgres.create())
    cli("ingest", "--db", target, input=[message("mine", message_id="own")], status=0)
    assert "not empty" in copy(cli, source, target, status=1).err
    assert [line["message"]["message_id"] for line in cli("export", "--all", "--db", target, status=0).lines
            if line["type"] == "message"] == ["own"]
    used = postgres.url(postgres.create())
    copy(cli, source, used)
    cli("ingest", "--db", used, input=[message("mine", message_id="own")], status=0)
    assert "was used" in copy(cli, source, used, status=1).err


def test_wrong_names(cli, postgres, source, tmp_path):
    name = postgres.create()
    target = postgres.url(name)
    assert "same database" in copy(cli, source, source, status=1).err
    missing = copy(cli, f"sqlite:{tmp_path}/missing.db", target, status=1)
    assert "does not exist" in missing.err and not (tmp_path / "missing.db").exists()
    assert "--from" in copy(cli, "mysql://x/y", target, status=1).err
    assert "--to" in copy(cli, source, "nothing", status=1).err
    # A source that is empty stays so, and a mistaken direction changes nothing.
    assert "holds nothing" in copy(cli, target, f"sqlite:{tmp_path}/new.db", status=1).err
    assert postgres.sql("SELECT count(*) FROM pg_class WHERE relname = 'messages'", name) == ["0"]
    assert "reach" in copy(cli, source, postgres.url(name, port=1), status=1).err
    assert cli("db", "copy", "--from", source).status == 2


def test_a_bar_on_a_terminal_alone(cli, source, tmp_path):
    piped = cli("db", "copy", "--from", source, "--to", f"sqlite:{tmp_path}/piped.db", status=0)
    assert "\r" not in piped.err and piped.err == ""
    cli("ingest", "--db", source, input=many(1500, 600), status=0)
    master, slave = pty.openpty()
    try:
        done = subprocess.run([PROGRAM, "db", "copy", "--from", source, "--to", f"sqlite:{tmp_path}/seen.db"],
                              env=environment({"TERM": "xterm"}), stdout=subprocess.PIPE, stderr=slave, check=False)
        assert done.returncode == 0
    finally:
        os.close(slave)
        os.close(master)


# ---- crashtest ----

def crashtest(cli, *args, status=0):
    return cli("crashtest", "--json", "-q", *args, status=status, timeout=300)


def check_crashtest(value):
    assert value["acknowledged"] > 0 and value["verified"] == value["acknowledged"]
    for violation in ("lost", "duplicated", "altered", "stuck", "unsound", "failed_processes"):
        assert value[violation] == 0, value


def test_kills_of_a_writer(cli, postgres):
    target = postgres.url(postgres.create())
    cli("ingest", "--db", target, input=[message("mine", message_id="own", user_id="ann")], status=0)
    before = exported(cli, target)
    refused = crashtest(cli, "--db", target, "--kills", 1, status=1)
    assert "--force" in refused.err
    check_crashtest(crashtest(cli, "--db", target, "--kills", 3 if SANITIZER else 5, "--force").json)
    assert exported(cli, target) == before, "what was there stays, what the test wrote is gone"


def test_kills_of_the_database(cli, postgres):
    value = crashtest(cli, "--kill-database", "--kills", 2 if SANITIZER else 4).json
    check_crashtest(value)
    assert value["kills"] == (2 if SANITIZER else 4)


def test_a_lying_writer_is_found_there_too(cli, postgres, tmp_path):
    target = postgres.url(postgres.create())
    result = crashtest(cli, "--db", target, "--kills", 4, "--sabotage", "drop-ack", "--seed", 7, "--dir", tmp_path / "w",
                       status=1)
    assert result.json["lost"] > 0
    assert "another crashtest" in crashtest(cli, "--db", target, "--kills", 1, "--force", status=1).err


def test_options_that_do_not_go_together(cli, tmp_path):
    assert cli("crashtest", "--db", f"sqlite:{tmp_path}/x.db").status == 2
    assert cli("crashtest", "--db", "postgresql://h/x", "--kill-database").status == 2
    assert cli("crashtest", "--restart-command", "true").status == 2
