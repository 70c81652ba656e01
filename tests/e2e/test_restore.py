"""mindcore restore: what backup wrote comes back whole, and nothing on the way can damage the database that is there."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from conftest import PROGRAM, ROOT, SLOWNESS, assert_clean, environment, message, wait_until

QUESTIONS = ["Where is my refund?", "What did we say about the parcel?", "order A-1042"]


def conversations(data):
    """Those of the test data, and more that are alike, by three users."""
    said = [json.loads(line) for path in sorted(data.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]
    said = [{**message(line["text"]), **line} for line in said if "text" in line]
    alike = [message(f"The parcel of order A-{1000 + number} is late, where is my refund?", user_id=f"u{number % 3}",
                     thread_id=f"t{number % 7}") for number in range(100)]
    return [{**line, "message_id": f"m{number}"} for number, line in enumerate(said + alike)]


def everything(cli, db):
    return cli("export", "--db", db, "--all", status=0).out


def messages(cli, db):
    return [line["message"] for line in cli("export", "--db", db, "--all", status=0).lines if line["type"] == "message"]


def contexts(cli, db):
    """What agents of each user would be told, without how long it took."""
    told = []
    for user in sorted({line["user_id"] for line in messages(cli, db)}):
        for question in QUESTIONS:
            context = cli("context", question, "--db", db, "--user", user, "--thread", "t1", "--mode", "fast", "--json",
                          status=0).json
            told.append([context[key] for key in ("assembled_context", "key_points", "relevant_message_ids")])
    return told


@pytest.fixture
def stored(cli, db, data):
    cli("ingest", "--db", db, input=conversations(data), status=0)
    return db


@pytest.fixture
def backup(cli, stored, tmp_path):
    path = tmp_path / "backup.db"
    cli("backup", path, "--db", stored, status=0)
    return path


def leftovers(folder, name="mindcore.db"):
    return sorted(path.name for path in folder.glob(f"{name}.restoring*"))


def test_round_trip(cli, stored, backup, tmp_path):
    """Into a new place: the same data, the same contexts, a sound database."""
    target = f"sqlite:{tmp_path / 'restored.db'}"
    done = cli("restore", backup, "--db", target, "--json", status=0).json
    assert done == {"restored": str(backup), "database": str(tmp_path / "restored.db"),
                    "messages": len(messages(cli, stored)), "users": 6, "kept": None}
    assert everything(cli, target) == everything(cli, stored)
    assert contexts(cli, target) == contexts(cli, stored)
    assert cli("doctor", "--db", target, "--json", status=0).json["ok"] is True
    assert os.stat(tmp_path / "restored.db").st_mode & 0o777 == 0o600
    assert not leftovers(tmp_path, "restored.db")


def test_data_is_replaced_only_by_force(cli, stored, backup, tmp_path):
    at_backup, told = everything(cli, stored), contexts(cli, stored)
    cli("ingest", "--db", stored, input=[message("Said after the backup", message_id="later")], status=0)
    os.chmod(tmp_path / "mindcore.db", 0o640)
    later = everything(cli, stored)
    refused = cli("restore", backup, "--db", stored, status=1)
    assert "--force" in refused.err and "mindcore.db" in refused.err
    assert everything(cli, stored) == later
    kept = cli("restore", backup, "--db", stored, "--force", "--json", status=0).json["kept"]
    assert re.fullmatch(rf"{re.escape(str(tmp_path))}/mindcore\.db\.before-restore-\d{{8}}T\d{{6}}Z", kept)
    assert everything(cli, stored) == at_backup and contexts(cli, stored) == told
    assert everything(cli, f"sqlite:{kept}") == later
    assert os.stat(tmp_path / "mindcore.db").st_mode & 0o777 == 0o640
    again = cli("restore", kept, "--db", stored, "--force", status=0)
    assert "before-restore" in again.out
    assert everything(cli, stored) == later, "and back"


def test_a_database_without_data_needs_no_force(cli, stored, backup, tmp_path, make_server):
    folder = tmp_path / "new"
    folder.mkdir()
    make_server(folder=folder).stop()
    assert (folder / "mindcore.db").stat().st_size > 0
    target = f"sqlite:{folder / 'mindcore.db'}"
    cli("restore", backup, "--db", target, status=0)
    assert everything(cli, target) == everything(cli, stored)


def test_a_link_is_followed(cli, stored, backup, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "disk" / "real.db")
    shutil.copy(backup, tmp_path / "disk" / "real.db")
    cli("restore", backup, "--db", f"sqlite:{tmp_path / 'link.db'}", "--force", status=0)
    assert (tmp_path / "link.db").is_symlink()
    assert len(list((tmp_path / "disk").glob("real.db.before-restore-*"))) == 1
    assert everything(cli, f"sqlite:{tmp_path / 'disk' / 'real.db'}") == everything(cli, stored)


def test_a_link_that_leads_nowhere(cli, backup, tmp_path):
    """As of a disk that is not mounted, or whose file is lost: the link must stay one."""
    (tmp_path / "link.db").symlink_to("disk/real.db")
    refused = cli("restore", backup, "--db", f"sqlite:{tmp_path / 'link.db'}", "--force", status=1)
    assert "a link to 'disk/real.db'" in refused.err
    assert (tmp_path / "link.db").is_symlink()
    (tmp_path / "disk").mkdir()
    cli("restore", backup, "--db", f"sqlite:{tmp_path / 'disk' / 'real.db'}", status=0)
    assert messages(cli, f"sqlite:{tmp_path / 'link.db'}")


# ---- Servers ----

def test_not_while_a_server_runs(cli, stored, backup, make_server, tmp_path):
    server = make_server(db=stored)
    refused = cli("restore", backup, "--db", stored, "--force", status=1)
    assert f"process {server.pid} has" in refused.err and "stop" in refused.err
    assert server.http.post("/v1/messages", message("The server goes on", message_id="on")).status == 201
    assert not leftovers(tmp_path) and not list(tmp_path.glob("*before-restore*"))
    in_use = cli("restore", tmp_path / "mindcore.db", "--db", f"sqlite:{tmp_path / 'other.db'}", status=1)
    assert "mindcore backup" in in_use.err, "what is in use is no backup"
    server.stop()
    cli("restore", backup, "--db", stored, "--force", status=0)


@pytest.mark.parametrize("own_cache", [False, True])
def test_nothing_old_is_served(cli, stored, backup, make_server, tmp_path, own_cache):
    """The cache on disk holds what was said after the backup; it must not outlive it, wherever the service has it."""
    server = make_server(db=stored, env={"MINDCORE_CACHE_DIR": str(tmp_path / "service")} if own_cache else {})
    later = message("Said after the backup", message_id="later", user_id="u0", thread_id="t0")
    assert server.http.post("/v1/messages", later).status == 201
    recent = "/v1/users/u0/threads/t0/messages"
    assert "later" in [m["message_id"] for m in server.http.get(recent).json["messages"]]
    server.stop()
    cli("restore", backup, "--db", stored, "--force", status=0)
    server.start()
    now = [m["message_id"] for m in server.http.get(recent).json["messages"]]
    assert now and "later" not in now
    assert server.http.get("/v1/messages/later").status == 404
    # The same id again, with another text: what is served is what was stored now.
    assert server.http.post("/v1/messages", {**later, "text": "Said after the restore"}).status == 201
    assert server.http.get(recent).json["messages"][0]["raw_text"] == "Said after the restore"


def test_the_log_of_a_crash_goes_with_the_old_database(cli, stored, backup, make_server, tmp_path):
    """SQLite would apply it to the file that has its name now."""
    at_backup = everything(cli, stored)
    server = make_server(db=stored)
    for number in range(20):
        assert server.http.post("/v1/messages", message(f"Before the crash {number}", message_id=f"c{number}")).status == 201
    server.drain()
    server.kill()
    assert (tmp_path / "mindcore.db-wal").stat().st_size > 0
    kept = cli("restore", backup, "--db", stored, "--force", "--json", status=0).json["kept"]
    assert everything(cli, stored) == at_backup
    assert all(f'"c{number}"' in everything(cli, f"sqlite:{kept}") for number in range(20)), "nothing of it is lost"
    assert cli("doctor", "--db", stored, "--json", status=0).json["ok"] is True


@pytest.mark.usefixtures("one_processor")
def test_a_server_that_starts_during_the_restore(cli, large, tmp_path, make_server):
    """There was no database when the restore began; what is acknowledged since must stay."""
    folder = tmp_path / "new"
    folder.mkdir()
    target = f"sqlite:{folder / 'mindcore.db'}"
    copy = folder / "mindcore.db.restoring"
    restoring = subprocess.Popen([PROGRAM, "restore", large, "--db", target], env=environment(), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: restoring.poll() is not None or (copy.exists() and copy.stat().st_size > 0), 30, "the copy")
        restoring.send_signal(signal.SIGSTOP)
        assert restoring.poll() is None, "it was not over yet"
        server = make_server(folder=folder)
        assert server.http.post("/v1/messages", message("It counts", message_id="acknowledged")).status == 201
    finally:
        restoring.send_signal(signal.SIGCONT)
    _, said = restoring.communicate(timeout=60 * SLOWNESS)
    assert_clean(said)
    assert restoring.returncode == 1 and "was used meanwhile" in said and not leftovers(folder)
    assert server.http.get("/v1/messages/acknowledged").status == 200
    server.stop()
    assert [line["message_id"] for line in messages(cli, target)] == ["acknowledged"]


def test_a_server_whose_file_was_replaced_stores_nothing(cli, stored, backup, make_server, tmp_path):
    server = make_server(db=stored)
    os.replace(backup, tmp_path / "mindcore.db")
    refused = server.http.post("/v1/messages", message("It would be lost", message_id="lost"))
    assert refused.status == 500 and "restart this program" in refused.json["detail"]
    assert server.http.get("/health").status == 503


# ---- Interrupted ----

@pytest.fixture
def large(cli, tmp_path):
    """A backup that takes a while to copy: one message, and behind its last page much that is of no page."""
    db = f"sqlite:{tmp_path / 'large-source.db'}"
    cli("ingest", "--db", db, input=[message("of the backup", message_id="of-backup")], status=0)
    path = tmp_path / "large.db"
    cli("backup", path, "--db", db, status=0)
    os.truncate(path, 200_000_000)
    return path


@pytest.mark.usefixtures("one_processor")
@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_ended_in_the_middle(cli, stored, large, tmp_path, sig):
    before = everything(cli, stored)
    copy = tmp_path / "mindcore.db.restoring"
    restoring = subprocess.Popen([PROGRAM, "restore", large, "--db", stored, "--force"], env=environment(),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: restoring.poll() is not None or (copy.exists() and copy.stat().st_size > 1000000), 30, "the copy")
    restoring.send_signal(sig)
    _, said = restoring.communicate(timeout=60 * SLOWNESS)
    assert_clean(said)
    assert restoring.returncode == (-signal.SIGKILL if sig == signal.SIGKILL else 1), "it was not over yet"
    assert everything(cli, stored) == before
    assert not list(tmp_path.glob("*before-restore*"))
    assert bool(leftovers(tmp_path)) == (sig == signal.SIGKILL), "only who is killed leaves a copy behind"
    assert cli("doctor", "--db", stored, "--json", status=0).json["ok"] is True
    cli("restore", large, "--db", stored, "--force", status=0)
    assert [line["message_id"] for line in messages(cli, stored)] == ["of-backup"]
    assert not leftovers(tmp_path)


def test_killed_at_any_time(cli, stored, backup, tmp_path):
    """At each of many instants: the database is the old one or the new one, and sound."""
    cli("ingest", "--db", stored, input=[message("Said after the backup", message_id="later")], status=0)
    states = {everything(cli, stored): "old", everything(cli, f"sqlite:{shutil.copy(backup, tmp_path / 'copy.db')}"): "new"}
    command = [PROGRAM, "restore", backup, "--db", stored, "--force"]
    start = time.monotonic()
    subprocess.run([*command[:4], f"sqlite:{tmp_path / 'timed.db'}"], env=environment(), check=True, capture_output=True)
    whole = time.monotonic() - start
    saved = (tmp_path / "mindcore.db").read_bytes()
    for step in range(12):
        restoring = subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            restoring.wait(whole * step / 10)
        restoring.kill()
        restoring.wait()
        with contextlib.closing(sqlite3.connect(tmp_path / "mindcore.db")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert everything(cli, stored) in states
        (tmp_path / "mindcore.db").write_bytes(saved)


def test_one_at_a_time(cli, stored, backup, tmp_path):
    with open(tmp_path / "mindcore.db.restoring", "wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "another process restores" in cli("restore", backup, "--db", stored, "--force", status=1).err
        assert (tmp_path / "mindcore.db.restoring").exists(), "it is not ours to remove"
    cli("restore", backup, "--db", stored, "--force", status=0)


# ---- Backups that are none ----

def damage_page(path):
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xaa" * 8192)


def execute(*statements):
    def change(path):
        with contextlib.closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
    return change


def cut(size):
    return lambda path: os.truncate(path, size)


def replace(content):
    return lambda path: path.write_bytes(content)


def become_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "cut off": (lambda path: os.truncate(path, path.stat().st_size // 2), "cut off"),
    "cut within the first page": (cut(1000), "cut off"),
    "only a header": (cut(100), "cut off"),
    "less than a header": (cut(50), "not a database"),
    "empty": (cut(0), "not a database"),
    "a letter": (replace(b"Dear Ann, this is a letter.\n" * 100), "not a database"),
    "pages overwritten": (damage_page, "damaged"),
    "a row that the rules forbid": (execute("UPDATE messages SET user_no = 4711 WHERE id = 1"), "damaged"),
    "another program's": (execute("PRAGMA application_id = 42"), "another program"),
    "a newer version's": (execute("PRAGMA user_version = 99"), "newer version"),
    "missing": (lambda path: path.unlink(), "No such file"),
    "a folder": (become_folder, "not a file"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_no_backup(cli, stored, backup, tmp_path, name):
    change, said = DAMAGES[name]
    change(backup)
    before = everything(cli, stored)
    files = sorted(path.name for path in tmp_path.iterdir())
    refused = cli("restore", backup, "--db", stored, "--force", status=1)
    assert said in refused.err and str(backup) in refused.err
    assert refused.err.startswith("mindcore: ") and refused.err.count("\n") == 1
    assert everything(cli, stored) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == files, "nothing is left behind"


def test_a_backup_with_a_log_is_half_of_one(cli, stored, backup, tmp_path):
    """As of a database that was copied with cp while it was in use."""
    (tmp_path / "backup.db-wal").write_bytes(b"x" * 5000)
    refused = cli("restore", backup, "--db", stored, "--force", status=1)
    assert "backup.db-wal" in refused.err and "mindcore backup" in refused.err


def test_itself(cli, stored, tmp_path):
    assert "itself" in cli("restore", tmp_path / "mindcore.db", "--db", stored, "--force", status=1).err


def test_a_damaged_database_is_replaced_and_kept(cli, stored, backup, tmp_path):
    """What restoring is for: the old one cannot even be read."""
    before = everything(cli, f"sqlite:{shutil.copy(backup, tmp_path / 'copy.db')}")
    path = tmp_path / "mindcore.db"
    path.write_bytes(b"\xaa" * 50000)
    (tmp_path / "mindcore.db-wal").write_bytes(b"a log of it")
    assert "--force" in cli("restore", backup, "--db", stored, status=1).err
    kept = cli("restore", backup, "--db", stored, "--force", "--json", status=0).json["kept"]
    assert everything(cli, stored) == before
    with open(kept, "rb") as file:
        assert file.read() == b"\xaa" * 50000


def test_a_full_disk(stored, cli, backup, tmp_path):
    before = everything(cli, stored)
    blocks = backup.stat().st_size // 512 // 2
    done = subprocess.run(["sh", "-c", f"trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"", "sh", PROGRAM, "restore", backup,
                           "--db", stored, "--force"], env=environment(), capture_output=True, text=True, check=False)
    assert_clean(done.stderr)
    assert done.returncode == 1 and "free some space" in done.stderr, done
    assert everything(cli, stored) == before and not leftovers(tmp_path)


def test_folders_that_cannot_be(cli, backup, tmp_path):
    assert "No such file" in cli("restore", backup, "--db", f"sqlite:{tmp_path}/none/x.db", status=1).err
    assert "not a file" in cli("restore", backup, "--db", f"sqlite:{tmp_path}", status=1).err


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may do everything")
def test_without_permission(cli, backup, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(0o555)
    command = [PROGRAM, "restore", backup, "--db", f"sqlite:{folder / 'x.db'}"]
    if os.geteuid() == 0:  # as root without the right to write everywhere
        command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=0", *command]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Permission denied" in done.stderr and str(folder) in done.stderr, done


def test_postgresql_names_the_way(cli, backup):
    refused = cli("restore", backup, "--db", "postgresql://mind@localhost/mindcore", status=1)
    assert "pg_restore" in refused.err and f"mindcore db copy --from sqlite:{backup}" in refused.err


# ---- The recipe ----

def test_the_recipe_of_the_documentation(cli, stored, tmp_path, make_server):
    """The commands of docs/deploy.md, as they stand there, with the paths of the test."""
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    section = re.search(r"^## Backups\n(.*?)^## ", text, re.M | re.S)[1]
    commands = [line.strip() for line in section.splitlines() if line.startswith("    ") and "mindcore " in line]
    assert [re.search(r"mindcore (\w+)", line)[1] for line in commands] == ["backup", "doctor", "restore"]
    (tmp_path / "backups").mkdir()
    server = make_server(db=stored)
    before = everything(cli, stored)
    for line in commands:
        if "mindcore restore" in line:
            server.stop()
        line = line.replace("mindcore ", f"{PROGRAM} ").replace("/var/lib/mindcore/", f"{tmp_path}/")
        line = line.replace("/var/backups/", f"{tmp_path}/backups/")
        done = subprocess.run(["bash", "-c", line], env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done)
    assert everything(cli, stored) == before
