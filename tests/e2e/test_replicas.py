"""
Contexts and searches read from a streaming replica: what it may serve, and that nothing that happens to it is an error, an
old answer or a long wait for anybody.
"""

import contextlib
import json
import time

import pytest

from conftest import SLOWNESS, message, wait_until
from models import ingest, prometheus, question
from postgres import PASSWORD, Replica, Wire
from test_postgres import PERSON, THREAD, TURNS, Place, check_soon, get, texts
from test_postgres import bouncer, make_servers, place, postgres  # pylint: disable=unused-import

CONFIG = """
database:
  replicas:
    - "{url}"
  replica_max_lag: {max_lag}
  replica_timeout: {timeout}ms
"""
# A read of a cut-off replica waits that long once, and a little for what is around it.
TIMEOUT_MS = 500 * SLOWNESS
BOUND = 5 * SLOWNESS


@pytest.fixture(scope="module")
def replica(postgres):
    if not (postgres.binaries / "pg_basebackup").exists():
        pytest.skip("pg_basebackup is not installed")
    copy = Replica(postgres)
    try:
        yield copy.start()
    finally:
        copy.stop()


@pytest.fixture
def wire(replica):
    with contextlib.closing(Wire(replica.port)) as made:
        yield made


@pytest.fixture
def make_reader(replica, make_servers):
    """make_reader(place) -> a server that reads from the replica, through a wire or with another limit of lag if given."""
    def make(place, port=None, max_lag="1h", **options):
        config = CONFIG.format(url=replica.url(place.name, port=port), max_lag=max_lag, timeout=TIMEOUT_MS)
        server, = make_servers(place, 1, config=config, **options)
        return server

    return make


def reads(server):
    """How many reads of contexts the replica served, and the primary."""
    series = 'mindcore_store_context_reads_total{{server="{}"}}'
    return prometheus(server, series.format("replica")), prometheus(server, series.format("primary"))


def search(server, words, user="u1"):
    start = time.monotonic()
    answer = server.http.get(f"/v1/users/{user}/search", query={"q": words})
    took = time.monotonic() - start
    assert answer.status == 200, answer
    assert took < BOUND, f"a search took {took} s"
    return [hit["message"]["raw_text"] for hit in answer.json["hits"]]


def by_replica(server, words, user="u1"):
    """A search that the replica served."""
    def hits():
        before = reads(server)[0]
        found = search(server, words, user)
        return [found] if reads(server)[0] > before else None
    return wait_until(hits, 30, "a search by the replica")[0]


def by_primary(server, words, user="u1"):
    """A search that the primary served."""
    def hits():
        before = reads(server)
        found = search(server, words, user)
        after = reads(server)
        return [found] if after[0] == before[0] and after[1] > before[1] else None
    return wait_until(hits, 30, "a search by the primary")[0]


def state(server):
    one, = get(server, "/v1/status")["replicas"]
    return one


def wait_for_state(server, serving, detail=""):
    """What is told of the replica once it is so, for this reason."""
    def told():
        one = state(server)
        return one if one["serving"] == serving and detail in one["detail"] else None
    return wait_until(told, what=f"a replica whose serving is {serving}")


def wait_for_metric(server, name, wanted):
    wait_until(lambda: prometheus(server, name) == wanted, what=f"{name} {wanted}")


def wait_for_query(postgres, place, words, moment):
    """Until Mindcore has begun, after the moment, a statement with these words."""
    wait_until(lambda: postgres.sql(
        f"SELECT 1 FROM pg_stat_activity WHERE datname = '{place.name}' AND application_name = 'mindcore'"
        f" AND query LIKE '%{words}%' AND query_start > '{moment}'"), 30, f"a statement with {words}")


def fill(server, replica):
    ingest(server, [question(number) for number in range(20)])
    server.drain()
    replica.catch_up()


# ---- What it serves ----

def test_contexts_are_read_from_the_replica(replica, place, make_reader, cli, tmp_path):
    server = make_reader(place)
    ingest(server, TURNS)
    server.drain()
    assert any("9,000 francs" in text for text in by_replica(server, "budget francs flights", PERSON)[:5])
    before = reads(server)[0]

    def assembled():
        context = server.http.post("/v1/context", {"user_id": PERSON, "thread_id": THREAD, "max_tokens": 1200,
                                                   "query": "What is the budget for the three of us?"})
        assert context.status == 200 and "9,000 francs" in context.json["assembled_context"], context
        return reads(server)[0] > before
    wait_until(assembled, what="a context from the replica")
    scans = "SELECT coalesce(sum(idx_scan + seq_scan), 0) FROM pg_stat_user_tables"
    had = int(replica.sql(scans, place.name)[0])

    def has_read():
        search(server, "budget francs flights", PERSON)
        return int(replica.sql(scans, place.name)[0]) > had
    wait_until(has_read, 30, "reads in the replica's own statistics")
    told = wait_for_state(server, True)
    assert (told["host"], told["detail"]) == (f"127.0.0.1:{replica.port}", "") and told["lag_seconds"] is not None
    wait_until(lambda: state(server)["reads"] == reads(server)[0], what="the same number of reads everywhere")
    wait_until(lambda: get(server, "/v1/workers/health")["replicas"][0]["serving"], what="health that tells")
    health = server.http.get("/v1/workers/health")
    wait_for_metric(server, "mindcore_store_replicas_serving", 1)
    config = tmp_path / "replica.yaml"
    config.write_text(server.config, encoding="utf-8")
    doctor = cli("doctor", *place.cli, "--config", config, status=0)
    assert f"ok   replica 127.0.0.1:{replica.port}" in doctor.out, doctor
    said = [json.dumps(get(server, "/v1/status")), json.dumps(health.json), doctor.out, doctor.err,
            cli("status", *place.cli, "--config", config, status=0).out, server.stderr]
    for text in said:
        assert PASSWORD not in text and "p%40ss" not in text, text


def test_own_writes_are_visible_at_once(replica, place, make_reader):
    """The replica stands still; what was written here is read from the primary, and nothing else is."""
    server = make_reader(place)
    fill(server, replica)
    server.http.post("/v1/messages", message("Another person's line", user_id="u2"))
    server.drain()
    replica.catch_up()
    by_replica(server, "another line", "u2")
    replica.pause()
    try:
        for number in range(10):
            text = f"The parcel has the number P-{number}"
            assert server.http.post("/v1/messages", message(text, thread_id="parcels")).status == 201
            assert text in search(server, f"parcel number P-{number}")
            assert texts(server, "u1", "parcels", 20)[0] == text
            context = server.http.post("/v1/context", {"user_id": "u1", "thread_id": "other", "query": text})
            assert text in context.json["assembled_context"], context
        patched = server.http.patch("/v1/users/u1/preferences", {"language": "de"})
        assert get(server, "/v1/users/u1/preferences") == patched.json
        assert by_replica(server, "another line", "u2") == ["Another person's line"], "its shard was not written to"
    finally:
        replica.resume()
    assert any("P-9" in text for text in by_replica(server, "parcel number P-9"))


def test_a_replica_that_is_behind_is_not_read(postgres, replica, place, make_reader):
    server = make_reader(place, max_lag=f"{500 * SLOWNESS}ms")
    fill(server, replica)
    server.http.post("/v1/messages", message("Another person's line", user_id="u2"))
    server.drain()
    by_replica(server, "another line", "u2")
    replica.pause()
    try:
        server.http.post("/v1/messages", message("One line more"))
        assert wait_for_state(server, False, "database.replica_max_lag")["lag_seconds"] >= 0.5
        assert by_primary(server, "another line", "u2") == ["Another person's line"]
        health = server.http.get("/v1/workers/health").json
        assert health["healthy"] is True and health["replicas"][0]["serving"] is False, health
        assert server.http.get("/health").status == 200
        wait_for_metric(server, "mindcore_store_replicas_serving", 0)
        wait_until(lambda: prometheus(server, "mindcore_store_replica_lag_seconds") >= 0.5, what="the lag")
    finally:
        replica.resume()
    wait_for_state(server, True)
    by_replica(server, "another line", "u2")
    # A log that goes on in a new file and has nothing there yet is no lag.
    moment, = postgres.sql("SELECT clock_timestamp() FROM pg_switch_wal()")
    wait_for_query(postgres, place, "current_wal_insert", moment)
    wait_for_query(replica, place, "pg_is_in_recovery", postgres.sql("SELECT clock_timestamp()")[0])
    wait_until(lambda: state(server)["lag_seconds"] == 0, what="no lag")


# ---- What happens to it ----

def test_the_replica_dies_and_comes_back(replica, place, make_reader):
    server = make_reader(place)
    fill(server, replica)
    said = by_replica(server, "refund for order A-7")
    for end in (replica.kill, replica.crash):
        end()
        try:
            for _ in range(5):
                assert search(server, "refund for order A-7") == said
            told = wait_for_state(server, False)
            assert told["detail"] and told["lag_seconds"] is None, told
            assert by_primary(server, "refund for order A-7") == said
            assert server.http.post("/v1/messages", message("Written meanwhile", thread_id="gap")).status == 201
            assert texts(server, "u1", "gap", 1) == ["Written meanwhile"]
        finally:
            replica.run()
        wait_for_state(server, True)
        assert by_replica(server, "refund for order A-7")[:1] == said[:1]
    errors = [line for line in server.stderr.splitlines() if '"level":"error"' in line or " error " in line]
    assert errors == [], errors


def test_the_network_to_the_replica_is_cut(replica, wire, place, make_reader):
    """Nothing is refused and nothing answered: reads wait for it once, and closing does not."""
    server = make_reader(place, port=wire.port)
    fill(server, replica)
    said = by_replica(server, "refund for order A-7")
    for _ in range(2):
        wire.cut()
        for _ in range(10):
            assert search(server, "refund for order A-7") == said
        wait_for_state(server, False)
        took = []
        for _ in range(5):
            start = time.monotonic()
            assert by_primary(server, "refund for order A-7") == said
            took.append(time.monotonic() - start)
        assert min(took) < TIMEOUT_MS / 1000, f"those that know do not wait, or all would: {took}"
        wire.mend()
        wait_for_state(server, True)
        assert by_replica(server, "refund for order A-7") == said
    wire.cut()
    server.stop()
    # It starts while there is nothing to be had from the replica.
    server.start()
    assert search(server, "refund for order A-7") == said
    assert state(server)["serving"] is False


def test_reads_hang_on_a_replica_that_answers(postgres, replica, place, make_reader):
    """A lock that was replayed and not its end: the replica says that it is well, and no read of messages ends."""
    server = make_reader(place)
    fill(server, replica)
    said = by_replica(server, "refund for order A-7")
    with postgres.holding("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE", place.name):
        replica.catch_up()
        replica.pause()
    try:
        for _ in range(3):
            assert by_primary(server, "refund for order A-7") == said
    finally:
        replica.resume()
    wait_for_state(server, True)
    assert by_replica(server, "refund for order A-7") == said


# ---- With all that a large installation has ----

def test_two_servers_pgbouncer_and_a_replica(replica, bouncer, make_reader):
    place = Place(bouncer, True)
    writer, reader = make_reader(place), make_reader(place)
    fill(writer, replica)
    for server in (writer, reader):
        by_replica(server, "refund for order A-7")
    before = reads(reader)[0]
    took = []
    for number in range(20):
        text = f"The crate {number} is in hall H-{number}"
        assert writer.http.post("/v1/messages", message(text, thread_id=f"hall{number}")).status == 201
        start = time.monotonic()
        if number % 2:
            wait_until(lambda text=text: text in search(reader, text), what="the message in a search")
        else:
            wait_until(lambda text=text: text in reader.http.post("/v1/context", {
                "user_id": "u1", "thread_id": "other", "query": text}).json["assembled_context"], what="its context")
        took.append(time.monotonic() - start)
    check_soon(took)
    by_replica(reader, "refund for order A-7")
    assert reads(reader)[0] > before


# ---- Errors of options ----

WRONG = {
    "postgresql://mind:s3cret@127.0.0.1:none/x": "entry 1 of database.replicas",
    "postgresql://mind:s3cret@127.0.0.1:99999/x": "port that is not 1 to 65535",
    "postgresql://mind:s3cret@one,two/x": "several hosts",
    "mind:s3cret@127.0.0.1": "is not a host",
    "postgresql://mind:s3cret@127.0.0.1/x?connect_timeout=9": "other than sslmode",
}


@pytest.mark.parametrize("entry", WRONG)
def test_an_entry_that_cannot_be_understood(place, cli, tmp_path, entry):
    config = tmp_path / "wrong.yaml"
    config.write_text(CONFIG.format(url=entry, max_lag="1s", timeout=100), encoding="utf-8")
    result = cli("status", *place.cli, "--config", config, status=1)
    told = result.out + result.err
    assert "entry 1 of database.replicas" in told and WRONG[entry] in told and "s3cret" not in told, result
