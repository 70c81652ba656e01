"""
A PostgreSQL server in trouble: statements that wait, no connections left, a full disk. Clients get clear errors, others
are not held up, what was acknowledged stays, and all goes on by itself when the trouble is over.
"""

import contextlib
import hashlib
import secrets
import subprocess
import threading

import pytest

from conftest import SLOWNESS, message, wait_until
from postgres import Postgres, find_postgres, other_user
from test_postgres import Place, is_built, make_servers, store, texts  # pylint: disable=unused-import


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    binaries = find_postgres()
    if not binaries or other_user() is None:
        pytest.skip("PostgreSQL's server is not installed, or there is no user that it could run as")
    if not is_built(tmp_path_factory.mktemp("built")):
        pytest.skip("built without PostgreSQL")
    # Three of them are kept free for the superuser.
    server = Postgres(binaries, max_connections=15)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def place(postgres):
    return Place(postgres, False)


class Request(threading.Thread):
    """One request in a thread of its own; .answer once it is there."""

    def __init__(self, server, method, *args, **options):
        super().__init__()
        self.answer = None
        self.call = lambda: getattr(server.client(), method)(*args, **options)
        self.start()

    def run(self):
        self.answer = self.call()


def waiting(place):
    return int(place.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mindcore' AND"
                         f" datname = '{place.name}' AND wait_event_type = 'Lock'")[0])


HOLD_THREAD = "UPDATE threads SET version = version WHERE user_id = 'u1' AND thread_id = 't1'"


# ---- Statements that wait ----

def test_who_waits_for_a_row_holds_nobody_up(postgres, place, make_servers):
    server, = make_servers(place, 1, ["-o", "database.lock_timeout=1h"])
    assert server.http.post("/v1/messages", message("The first")).status == 201
    server.drain()
    with postgres.holding(HOLD_THREAD, place.name):
        held = Request(server, "post", "/v1/messages", message("The second"))
        wait_until(lambda: waiting(place) == 1, what="the request that waits")
        for number in range(20):
            other = message(f"Line {number}", user_id="u2")
            assert server.http.post("/v1/messages", other).status == 201
        assert len(texts(server, "u2", "t1")) == 20
        wait_until(lambda: waiting(place) == 1, what="nobody else that waits")
        assert held.is_alive(), "it still waits"
    held.join()
    assert held.answer.status == 201, held.answer
    assert texts(server, "u1", "t1") == ["The second", "The first"]


@pytest.mark.parametrize("option,hold,status", [
    pytest.param("database.lock_timeout", HOLD_THREAD, 503, id="lock"),
    pytest.param("database.statement_timeout", "LOCK TABLE threads IN ACCESS EXCLUSIVE MODE", 504, id="statement"),
])
def test_a_wait_comes_to_an_end(postgres, place, make_servers, option, hold, status):
    server, = make_servers(place, 1, ["-o", f"{option}={500 * SLOWNESS}ms"])
    store(server, message("The first", message_id="m1"))
    server.drain()
    second = message("The second", message_id="m2")
    with postgres.holding(hold, place.name):
        answer = server.http.post("/v1/messages", second)
        assert answer.status == status and option in answer.json["detail"], answer
    assert place.counts()[0] == 1, "what was refused is not there"
    store(server, second)
    server.drain()
    assert texts(server, "u1", "t1") == ["The second", "The first"]


# ---- No connections left on the server ----

def test_the_server_has_no_connections_left(postgres, place, make_servers):
    """Other programs have taken them all; the pool has one, and may not open more."""
    server, = make_servers(place, 1, ["-o", "database.pool_size=1", "-o", "database.max_overflow=9", "-o",
                                      f"database.pool_timeout={200 * SLOWNESS}ms"])
    store(server, message("The first", message_id="m1"))
    server.drain()
    with contextlib.ExitStack() as others:
        refused = False
        while not refused:
            try:
                others.enter_context(postgres.holding("SET LOCAL lock_timeout = 0", postgres.url(place.name)))
            except AssertionError as error:
                refused = "slots" in str(error) or "too many" in str(error)
                assert refused, error
        with postgres.holding("LOCK TABLE messages, users IN ACCESS EXCLUSIVE MODE", place.name):
            requests = [Request(server, "get", "/v1/users/u1/search", query={"q": f"order {number}"})
                        for number in range(5)]
            wait_until(lambda: sum(one.answer is not None for one in requests) >= 4, 30, "the errors")
    for one in requests:
        one.join()
    answers = [one.answer for one in requests if one.answer.status != 200]
    assert len(answers) >= 4
    for answer in answers:
        assert answer.status == 503, answer
        for option in ("database.pool_size", "database.max_overflow", "max_connections"):
            assert option in answer.json["detail"], answer
    store(server, message("The second", message_id="m2"))
    server.drain()
    assert texts(server, "u1", "t1") == ["The second", "The first"]


# ---- A full disk ----

def mount(*args):
    return subprocess.run(["mount", *args], capture_output=True, text=True, check=False)


@pytest.fixture
def small_disk(postgres, tmp_path):
    """A database on a disk of its own, of 24 MB."""
    folder = postgres.folder / "small"
    folder.mkdir()
    done = mount("-t", "tmpfs", "-o", "size=24m", "none", str(folder))
    if done.returncode != 0:
        folder.rmdir()
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")
    try:
        postgres.give_away(folder, 0o700)
        postgres.sql(f"CREATE TABLESPACE small LOCATION '{folder}'")
        yield folder
        for name in postgres.sql("SELECT datname FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace"
                                 " WHERE spcname = 'small'"):
            postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")
        postgres.sql("DROP TABLESPACE small")
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_the_disk_of_the_database_is_full(small_disk, place, make_servers):
    postgres = place.postgres
    postgres.sql(f"ALTER DATABASE {place.name} SET TABLESPACE small")
    server, = make_servers(place, 1, ["-o", "enrichment.lease=1000ms", "-o", "enrichment.retry_max=100ms"])
    kept, refused = [], []
    while len(refused) < 3:
        # Random, so that nothing can be packed.
        value = message(secrets.token_hex(45000), message_id=f"m{len(kept) + len(refused)}")
        answer = server.http.post("/v1/messages", value)
        (kept if answer.status == 201 else refused).append(value)
        assert len(kept) < 1000, "the disk never fills up"
        if answer.status != 201:
            assert answer.status == 507, answer
            assert "make room on the database's disk" in answer.json["detail"], answer
    assert kept
    # The newest are still read.
    assert texts(server, "u1", "t1", 1) == [kept[-1]["text"]]
    assert mount("-o", "remount,size=200m", str(small_disk)).returncode == 0
    for value in refused:
        assert server.http.post("/v1/messages", value).status == 201
    server.drain(60)
    messages = [*kept, *refused]
    assert sorted(place.sql("SELECT message_id || ' ' || md5(text) FROM messages")) == sorted(
        f"{one['message_id']} {hashlib.md5(one['text'].encode()).hexdigest()}" for one in messages)
    assert place.counts() == [len(messages), len(messages), len(messages), 0]
    server.stop()
