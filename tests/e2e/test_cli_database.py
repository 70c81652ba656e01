"""Databases that cannot be used: a clear error, exit status 1, and the file as it was."""

import os
import shutil
import sqlite3
import subprocess

import pytest

from conftest import PROGRAM, assert_clean, environment, message


@pytest.fixture
def path(cli, db, tmp_path):
    """A database with one message."""
    cli("ingest", "--db", db, input=[message("Where is order A-1042?", message_id="m1")], status=0)
    return tmp_path / "mindcore.db"


def fails(cli, path, *said, command=("status",)):
    result = cli(*command, "--db", f"sqlite:{path}", "-o", "database.busy_timeout=300ms", status=1)
    assert result.out == ""
    for words in said:
        assert words in result.err, result.err
    assert result.err.startswith("mindcore: ") and result.err.count("\n") == 1
    return result


def test_not_a_database(cli, tmp_path):
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ann, this is a letter and not a database.\n" * 200, encoding="utf-8")
    before = path.read_bytes()
    fails(cli, path, str(path), "database")
    assert path.read_bytes() == before


READING = ["status", "workers", "models", "recent --user u --thread t", "window --user u --thread t", "search --user u x",
           "context --user u --thread t x", "queue list", "queue retry", "queue purge", "tiers migrate", "cache stats",
           "cache invalidate --all", "agents list", "agents get a", "agents unregister a", "agents stats",
           "preferences get --user u", "preferences signals --user u", "preferences apply --user u",
           "export --user u", "export --all", "erase --user u --yes", "backup copy.db"]


@pytest.mark.parametrize("command", READING)
def test_what_only_reads_makes_no_database(cli, tmp_path, command):
    path = tmp_path / "missing.db"
    fails(cli, path, str(path), "does not exist", "mindcore serve", command=command.split())
    assert not list(tmp_path.glob("missing*")) and not (tmp_path / "copy.db").exists()


def test_the_doctor_makes_no_database(cli, tmp_path):
    result = cli("doctor", "--db", f"sqlite:{tmp_path}/missing.db", status=1)
    assert "does not exist" in result.out and "mindcore serve" in result.out
    assert not list(tmp_path.glob("missing*"))


def test_a_database_of_another_program(cli, tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table contacts(name text)")
        connection.execute("insert into contacts values('Ann')")
    connection.close()
    fails(cli, path, str(path))
    with sqlite3.connect(path) as connection:
        assert connection.execute("select name from sqlite_master").fetchall() == [("contacts",)]


def test_a_newer_schema(cli, path):
    with sqlite3.connect(path) as connection:
        connection.execute("pragma user_version = 9999")
    connection.close()
    fails(cli, path, "newer", str(path))


def test_a_damaged_file(cli, path):
    data = bytearray(path.read_bytes())
    data[100:] = b"\xa5" * (len(data) - 100)
    path.write_bytes(data)
    for extra in ("-wal", "-shm"):
        path.with_name(path.name + extra).unlink(missing_ok=True)
    fails(cli, path, str(path))


def test_a_locked_database(cli, path):
    holder = sqlite3.connect(path, isolation_level=None)
    try:
        holder.execute("pragma locking_mode = exclusive")
        holder.execute("begin exclusive")
        result = cli("ingest", "--db", f"sqlite:{path}", "-o", "database.busy_timeout=300ms",
                     input=[message("late", message_id="m2")], status=1)
        assert "lock" in result.err or "busy" in result.err, result.err
        assert "stored 1" not in result.out
    finally:
        holder.close()
    assert cli("status", "--db", f"sqlite:{path}", "--json", status=0).json["messages"] == 1


def without_privileges(*args, cwd=None):
    """Runs the program so that file permissions bind it, also for root."""
    prefix = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("setpriv is missing")
        prefix = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all"]
    done = subprocess.run([*prefix, str(PROGRAM), *map(str, args)], capture_output=True, text=True, cwd=cwd,
                          env=environment(), stdin=subprocess.DEVNULL, check=False)
    assert_clean(done.stderr)
    return done


def test_a_read_only_database(path, tmp_path):
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        done = without_privileges("ingest", "--db", f"sqlite:{path}", "--user", "u", "--thread", "t", "--session", "s",
                                  "--role", "user", "--text", "no way in")
    finally:
        tmp_path.chmod(0o755)
    assert done.returncode == 1
    assert str(path) in done.stderr and done.stdout == ""


def test_a_folder_that_cannot_be_written(tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    done = without_privileges("status", "--db", f"sqlite:{folder / 'new.db'}")
    assert done.returncode == 1 and str(folder) in done.stderr


def test_paths_that_are_no_files(cli, tmp_path):
    fails(cli, tmp_path, str(tmp_path))
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    fails(cli, tmp_path / "file" / "new.db", "file")


def test_a_postgresql_that_is_not_there(cli, tmp_path):
    result = cli("status", "--db", "postgresql://ann:s3cret@localhost:1/memory", "-o",
                 f"cache.dir={tmp_path / 'cache'}", status=1)
    assert "localhost:1" in result.err and "database.port" in result.err and "s3cret" not in result.err


def test_several_programs_at_the_same_time(cli, path):
    lines = "".join(f'{{"user_id":"u{w}","thread_id":"t","session_id":"s","role":"user","text":"number {i}"}}\n'
                    for w in range(4) for i in range(100))
    command = [str(PROGRAM), "ingest", "--db", f"sqlite:{path}", "-o", "database.busy_timeout=10m"]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=environment()) for _ in range(4)]
    for writer in writers:
        writer.stdin.write(lines)
        writer.stdin.close()
    for writer in writers:
        assert writer.stdout.read() == "stored 400, repeated 0, refused 0\n", writer.stderr.read()
        assert writer.wait() == 0
    assert cli("status", "--db", f"sqlite:{path}", "--json", status=0).json["messages"] == 1601
    queue = cli("queue", "list", "--db", f"sqlite:{path}", "--json", status=0).json
    assert queue["dead"] == 0
