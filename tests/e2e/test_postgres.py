"""
The program on PostgreSQL, directly and through PgBouncer: everything that it does on SQLite, several servers on one
database, and what goes wrong between the program and its database.
"""

import collections
import contextlib
import itertools
import json
import math
import subprocess
import threading
import time
from http.client import HTTPException

import pytest

from conftest import DATA, PROGRAM, SLOWNESS, environment, free_port, message, wait_until
from model_server import Silence
from models import check_enriched, ingest, prometheus, question, stored
from postgres import PASSWORD, Postgres, find_bouncer, find_postgres, other_user

TURNS = [json.loads(line) for line in (DATA / "assistant_trip.jsonl").read_text(encoding="utf-8").splitlines()]
PERSON, THREAD = TURNS[0]["user_id"], TURNS[0]["thread_id"]

MODELS = """
database:
  pgbouncer: {bouncer}
llm:
  provider: openai
  openai:
    base_url: {url}
    api_key: {key}
    model: scripted
enrichment:
  workers: 2
  in_flight: 2
  batch: 4
  lease: {lease}ms
  retry_min: 20ms
  retry_max: 100ms
"""


def is_built(folder):
    done = subprocess.run([PROGRAM, "doctor", "--db", "postgresql://127.0.0.1:1/x"], capture_output=True, text=True,
                          cwd=folder, env=environment(), check=False)
    return "this build has no PostgreSQL" not in done.stdout + done.stderr


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    binaries = find_postgres()
    if not binaries:
        pytest.skip("PostgreSQL's server is not installed")
    if other_user() is None:
        pytest.skip("there is no user that PostgreSQL could run as")
    if not is_built(tmp_path_factory.mktemp("built")):
        pytest.skip("built without PostgreSQL")
    server = Postgres(binaries)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="module")
def bouncer(postgres):
    program = find_bouncer()
    if not program:
        pytest.skip("PgBouncer is not installed")
    postgres.start_bouncer(program)
    return postgres


class Place:
    """A new database, and how to get there."""

    def __init__(self, postgres, bouncer):
        self.postgres = postgres
        self.name = postgres.create()
        self.db = postgres.url(self.name, bouncer=bouncer)
        self.bouncer = str(bouncer).lower()
        self.args = ["-o", f"database.pgbouncer={self.bouncer}"]
        self.cli = ["--db", self.db, *self.args]

    def sql(self, sql):
        return self.postgres.sql(sql, self.name)

    def counts(self):
        """Messages, those of them that are different, those that a model or rules have enriched, and jobs."""
        return [int(field) for field in self.sql(
            "SELECT count(*), count(DISTINCT message_id), count(*) FILTER (WHERE state = 1),"
            " (SELECT count(*) FROM jobs) FROM messages")[0].split("|")]


@pytest.fixture
def place(postgres):
    return Place(postgres, False)


@pytest.fixture(params=["direct", "pgbouncer"])
def any_place(request, postgres):
    if request.param == "pgbouncer":
        request.getfixturevalue("bouncer")
    return Place(postgres, request.param == "pgbouncer")


@pytest.fixture
def make_servers(make_server, tmp_path):
    """make_servers(place, 2, args=...) -> started servers on one database, each in a folder of its own."""
    numbers = itertools.count()

    def make(place, count, args=(), **options):
        folders = [tmp_path / f"server{next(numbers)}" for _ in range(count)]
        for folder in folders:
            folder.mkdir()
        return [make_server(folder, db=place.db, args=[*place.args, *args], **options) for folder in folders]

    return make


def get(server, path, **query):
    answer = server.http.get(path, query=query)
    assert answer.status == 200, answer
    return answer.json


def store(server, value):
    """A message with an id, also where what goes on beside it may come before it in the little time that is given."""
    wait_until(lambda: server.http.post("/v1/messages", value).status in (200, 201), what=f"a stored {value['message_id']}")


def texts(server, user, thread, limit=1000):
    path = f"/v1/users/{user}/threads/{thread}/messages"
    return [one["raw_text"] for one in get(server, path, limit=limit)["messages"]]


# ---- One server ----

def test_a_conversation_over_http(any_place, make_servers):
    server, = make_servers(any_place, 1, ["-o", "multi_agent.enabled=true"])
    body = "".join(json.dumps(turn) + "\n" for turn in TURNS)
    for created in (len(TURNS), 0):
        answer = server.http.post("/v1/messages", body, headers={"Content-Type": "application/x-ndjson"})
        assert (answer.status, answer.json["stored"], answer.json["created"]) == (200, len(TURNS), created), answer
    server.drain()
    said = [turn["text"] for turn in TURNS if turn["thread_id"] == THREAD]
    assert texts(server, PERSON, THREAD) == said[::-1]
    assert {one["enrichment_state"] for one in
            get(server, f"/v1/users/{PERSON}/threads/{THREAD}/messages", limit=1000)["messages"]} == {"enriched"}
    window = get(server, f"/v1/users/{PERSON}/threads/{THREAD}/window", max_messages=2)["messages"]
    assert [one["raw_text"] for one in window] == said[-2:]
    hits = get(server, f"/v1/users/{PERSON}/search", q="budget francs flights")["hits"]
    assert any("9,000 francs" in hit["message"]["raw_text"] for hit in hits[:5])
    context = server.http.post("/v1/context", {"user_id": PERSON, "thread_id": THREAD, "max_tokens": 1200,
                                               "query": "What is the budget for the three of us?"})
    assert context.status == 200 and "9,000 francs" in context.json["assembled_context"], context
    patched = server.http.patch(f"/v1/users/{PERSON}/preferences", {"language": "en", "interests": ["hiking"]})
    assert patched.status == 200 and get(server, f"/v1/users/{PERSON}/preferences") == patched.json
    assert server.http.post("/v1/agents", {"agent_id": "desk", "name": "Desk"}).status in (200, 201)
    assert get(server, "/v1/agents/desk")["name"] == "Desk"
    assert server.http.post("/v1/tiers/migrate", {"dry_run": False}).status == 200
    assert get(server, "/v1/status")["messages"] == len(TURNS)
    server.restart()
    assert texts(server, PERSON, THREAD) == said[::-1]
    lines = [json.loads(line) for line in get(server, f"/v1/users/{PERSON}/export").splitlines()]
    assert sum(line["type"] == "message" for line in lines) == len(TURNS)
    receipt = server.http.delete(f"/v1/users/{PERSON}").json
    assert receipt["messages"] == len(TURNS) and receipt["verified"] is True
    assert texts(server, PERSON, THREAD) == []
    assert any_place.counts() == [0, 0, 0, 0]


def test_a_conversation_on_the_command_line(any_place, cli):
    db = any_place.cli
    person, thread = ["--user", PERSON], ["--user", PERSON, "--thread", THREAD]
    assert cli("ingest", *db, input=TURNS, status=0).out == f"stored {len(TURNS)}, repeated 0, refused 0\n"
    said = [turn["text"] for turn in TURNS if turn["thread_id"] == THREAD]
    found = cli("recent", *db, *thread, "--limit", 1000, "--json", status=0).json["messages"]
    assert [one["raw_text"] for one in found] == said[::-1]
    hits = cli("search", *db, *person, "budget francs flights", "--json", status=0).json["hits"]
    assert any("9,000 francs" in hit["message"]["raw_text"] for hit in hits[:5])
    context = cli("context", *db, *thread, "What is the budget?", "--max-tokens", 1200, "--json", status=0).json
    assert "9,000 francs" in context["assembled_context"]
    language = cli("preferences", "set", *db, *person, "--patch", '{"language": "de"}', "--json", status=0).json
    assert cli("preferences", "get", *db, *person, "--json", status=0).json == language
    agents = [*db, "-o", "multi_agent.enabled=true"]
    cli("agents", "register", *agents, "--agent", "desk", "--name", "Front desk", status=0)
    assert "Front desk" in cli("agents", "list", *agents, status=0).out
    queue = cli("queue", "list", *db, "--json", status=0).json
    assert (queue["ready"], queue["leased"], queue["dead"]) == (0, 0, 0)
    cli("tiers", "migrate", *db, "--json", status=0)
    doctor = cli("doctor", *db, status=0)
    assert PASSWORD not in doctor.out + doctor.err and "ok   database" in doctor.out, doctor
    assert cli("status", *db, "--json", status=0).json["messages"] == len(TURNS)
    assert sum(line["type"] == "message" for line in cli("export", *db, *person, status=0).lines) == len(TURNS)
    assert "verified" in cli("erase", *db, *person, "--yes", "--json", status=0).json
    assert any_place.counts() == [0, 0, 0, 0]


# ---- Several servers ----

def check_soon(took):
    """Of two ways that alternate, each: a busy machine is late now and then, what is seen only by chance always is."""
    for way in (took[::2], took[1::2]):
        assert sorted(way)[len(way) // 4] < 0.1 * SLOWNESS, took


def answers_from_cache(server):
    def hits():
        return get(server, "/v1/cache/stats")["invalidation"]["cache_hits"]

    before = hits()
    assert texts(server, "u1", "t1", 20)
    return hits() > before


def test_two_servers_see_each_other(any_place, make_servers):
    """What one has cached is not what it answers once another has stored something newer."""
    one, other = make_servers(any_place, 2, ["-o", "multi_agent.enabled=true"])
    one.http.post("/v1/messages", message("The first line of all"))
    wait_until(lambda: texts(other, "u1", "t1", 20), what="the first message")
    took = []
    for number in range(20):
        writer, reader = (one, other) if number % 2 else (other, one)
        text = f"Line {number} about order A-{number}"
        one.drain()  # what enrichment changes is not in a cache either
        wait_until(lambda: answers_from_cache(reader), what="an answer from the cache")
        assert writer.http.post("/v1/messages", message(text)).status == 201
        start = time.monotonic()
        wait_until(lambda: texts(reader, "u1", "t1", 20)[:1] == [text], what="the other server's message")
        took.append(time.monotonic() - start)
    check_soon(took)
    assert one.http.post("/v1/agents", {"agent_id": "desk", "name": "Desk"}).status in (200, 201)
    wait_until(lambda: other.http.get("/v1/agents/desk").status == 200, what="the agent that the other registered")
    assert other.http.delete("/v1/agents/desk").status in (200, 204)
    wait_until(lambda: one.http.get("/v1/agents/desk").status == 404, what="the end of the agent")


def test_two_servers_share_the_jobs(any_place, make_servers, make_models):
    """Each message is enriched by one of them, once."""
    models = make_models()
    models.gate.clear()  # until both have asked, whoever is faster
    servers = [make_servers(any_place, 1, config=MODELS.format(
        url=models.url, key=f"sk-{number}", lease=60000, bouncer=any_place.bouncer))[0] for number in range(2)]
    messages = [question(number) for number in range(160)]
    for server, half in zip(servers, (messages[:80], messages[80:])):
        ingest(server, half)
    wait_until(lambda: len({asked.headers["authorization"] for asked in models.requests}) == 2, 90, "both at work")
    models.gate.set()
    for server in servers:
        server.drain(30)
    for one in stored(servers[1], messages):
        check_enriched(one, "scripted")
    metrics = [get(server, "/v1/enrichment/metrics") for server in servers]
    done = [one["processed_count"] for one in metrics]
    assert sum(done) == len(messages) and min(done) > 0, done
    assert [one["error_count"] for one in metrics] == [0, 0], metrics
    assert sum(prometheus(server, "mindcore_messages_ingested_total") for server in servers) == len(messages)
    assert models.answered == {one["message_id"]: 1 for one in messages}
    assert any_place.counts() == [len(messages), len(messages), len(messages), 0]


def test_one_server_is_killed(place, make_servers, make_models):
    """The other takes over what it had begun, and what it had finished stays so."""
    models = [make_models(model=name) for name in ("first", "second")]
    models[0].always(Silence(), when=lambda asked: len(models[0].requests) > 4)  # it finishes some, and begins others
    models[1].gate.clear()
    killed, left = [make_servers(place, 1, config=MODELS.format(
        url=one.url, key="sk-0123456789", lease=5000, bouncer="false"))[0] for one in models]
    messages = [question(number) for number in range(120)]
    ingest(killed, messages)
    wait_until(lambda: get(killed, "/v1/enrichment/metrics")["processed_count"] >= 8 and models[0].busy > 0,
               what="the middle of the work")
    killed.kill()
    assert place.counts()[3] > 0, "there was something left to do"
    models[1].gate.set()
    left.drain(60)
    by = collections.Counter()
    for one in stored(left, messages):
        check_enriched(one)
        by[one["metadata"]["model"]] += 1
    assert by["first"] > 0 and by["first"] + by["second"] == len(messages), by
    assert get(left, "/v1/enrichment/metrics")["processed_count"] == by["second"], "none of the other's again"
    assert models[1].answered.total() == by["second"] and max(models[1].answered.values()) == 1
    assert place.counts() == [len(messages), len(messages), len(messages), 0]


# ---- A database that goes away ----

class Writers:
    """
    Clients that send messages until they are stopped. Half of them name their messages, and send one again, as it
    is, until it is stored; the others do not, so that it would be kept twice if the server stored it twice.
    """

    def __init__(self, server, count):
        self.stopping = threading.Event()
        self.stored, self.refused, self.strange = [], [], []
        self.threads = [threading.Thread(target=self._run, args=(server.client(), number)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self, http, writer):
        try:
            for number in itertools.count():
                identity = f"w{writer}-{number}" if writer % 2 else None
                text = f"Where is order w{writer}-{number}?"
                self._send(http, message(text, message_id=identity, user_id=f"u{writer}"))
                if self.stopping.is_set():
                    return
        except (OSError, HTTPException, AssertionError) as error:
            self.strange.append(error)

    def _send(self, http, value):
        while True:
            answer = http.post("/v1/messages", value)
            if answer.status in (200, 201):
                self.stored.append(value["text"])
                return
            assert answer.status == 503, answer
            self.refused.append((value["text"], answer.json["detail"]))
            if "message_id" not in value or self.stopping.is_set():
                return

    def wait_for_more(self, count=40):
        most = len(self.stored) + count
        wait_until(lambda: len(self.stored) >= most or self.strange, 30, "further messages")

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def test_the_database_restarts_under_load(postgres, place, make_servers):
    server, = make_servers(place, 1, ["-o", "database.pool_timeout=300ms"])
    writers = Writers(server, 4)
    try:
        writers.wait_for_more()
        for _ in range(2):  # it is back at once
            postgres.crash()
            postgres.run()
            writers.wait_for_more()
        postgres.crash()
        before = len(writers.refused)
        wait_until(lambda: len(writers.refused) >= before + 4 or writers.strange, 30, "errors")
        health = server.http.get("/health")
        assert health.status == 503 and PASSWORD not in str(health.json), health
        assert prometheus(server, "mindcore_healthy") == 0
        for name in ("enrichment_queue_depth", "enrichment_dead_jobs", "store_size_bytes"):
            assert math.isnan(prometheus(server, f"mindcore_{name}")), f"{name}: what is not known is not shown as 0"
        assert prometheus(server, 'mindcore_errors_total{error_type="ingest"}') >= 4
        postgres.run()
        writers.wait_for_more()
    finally:
        writers.stop()
        if postgres.process.poll() is not None:
            postgres.run()
    assert writers.strange == []
    for _, detail in writers.refused:
        assert "PostgreSQL" in detail and PASSWORD not in detail, detail
    wait_until(lambda: server.http.get("/health").status == 200, what="health")
    assert prometheus(server, "mindcore_healthy") == 1 and prometheus(server, "mindcore_store_size_bytes") > 1e6
    server.drain()
    assert len(writers.stored) == len(set(writers.stored))
    kept = collections.Counter(place.sql("SELECT text FROM messages"))
    assert set(kept.values()) == {1} and set(writers.stored) <= set(kept)
    assert set(kept) - set(writers.stored) <= {text for text, _ in writers.refused}
    assert place.counts()[2:] == [len(kept), 0], "all are enriched"
    assert texts(server, "u0", "t1", 1)[0].startswith("Where is order w0-")


# ---- Errors of options ----

CANNOT = {
    "password": (dict(password="wr0ng-s3cret"), ["database.password", "MINDCORE_DB_PASSWORD"]),
    "database": (dict(name="nowhere"), ["nowhere", "database.name", "createdb"]),
    "port": (dict(port=None), ["127.0.0.1", "database.host", "database.port"]),
}


@pytest.mark.parametrize("command", ["status", "serve", "ingest", "doctor"])
@pytest.mark.parametrize("what", CANNOT)
def test_a_database_that_cannot_be_opened(postgres, place, cli, what, command):
    wrong, said = CANNOT[what]
    wrong = {"name": place.name, **wrong}
    if "port" in wrong:
        wrong["port"] = free_port()
    args = ["--listen", f"127.0.0.1:{free_port()}"] if command == "serve" else []
    result = cli(command, "--db", postgres.url(**wrong), *args, status=1,
                 input=[message("hello")] if command == "ingest" else None)
    told = result.out + result.err
    for words in said:
        assert words in told, result
    for secret in (PASSWORD, "wr0ng-s3cret", "p%40ss", "wr0ng"):
        assert secret not in told, result


def test_a_database_of_another_program(place, cli):
    place.sql("CREATE TABLE contacts(name text)")
    assert "contacts" in cli("ingest", *place.cli, input=[message("hello")], status=1).err
    assert place.sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == ["1"]


def test_the_pool_is_exhausted(postgres, place, make_servers):
    server, = make_servers(place, 1, ["-o", "database.pool_size=1", "-o", "database.max_overflow=0", "-o",
                                      f"database.pool_timeout={500 * SLOWNESS}ms"])
    store(server, message("The first", message_id="m0"))
    server.drain()
    answers = []
    # Held up in the database, the only connection is not free for anybody else.
    with postgres.holding("LOCK TABLE messages, users IN ACCESS EXCLUSIVE MODE", place.name):
        threads = [threading.Thread(target=lambda n=n, http=server.client(): answers.append(
            http.get("/v1/users/u1/search", query={"q": f"order {n}"}))) for n in range(6)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) >= len(threads) - 1, what="the answers of those that wait")
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if answer.status != 200]
    assert len(refused) >= len(threads) - 1
    for answer in refused:
        assert answer.status == 503, answer
        for option in ("database.pool_timeout", "database.pool_size 1", "database.max_overflow 0"):
            assert option in answer.json["detail"], answer
    store(server, message("The second", message_id="m1"))
    server.drain()
    assert texts(server, "u1", "t1") == ["The second", "The first"]


def test_embeddings(make_servers, make_models, any_place):
    """Two servers share the work of embedding, and find by meaning what the other one stored."""
    models = make_models()
    first, second = make_servers(any_place, 2, config=f"""
embeddings:
  provider: openai
  openai: {{base_url: "{models.url}", model: small, batch: 4}}
  query_timeout: {min(60, 20 * SLOWNESS)}
""")
    said = ["Our puppy chewed up the sofa.", "The lasagna was wonderful.", "The physician called again."] * 10
    for number, text in enumerate(said):
        server = (first, second)[number % 2]
        answer = server.http.post("/v1/messages", {"user_id": "u1", "thread_id": "t1", "session_id": "s1",
                                                   "role": "user", "text": f"{text} ({number})"})
        assert answer.status == 201, answer
    wait_until(lambda: all(server.http.get("/v1/models").json["embeddings"]["vectors"] == len(said)
                           for server in (first, second)), 60 * SLOWNESS, "all vectors")
    for server in (first, second):
        found = server.http.get("/v1/users/u1/search", query={"q": "doctor", "limit": 10}).json
        assert found["meaning"] == "used", found
        assert len([hit for hit in found["hits"] if "physician" in hit["message"]["raw_text"]]) >= 7, found
    erased = first.http.delete("/v1/users/u1")
    assert erased.status == 200 and erased.json["verified"], erased
    assert second.http.get("/v1/users/u1/search", query={"q": "doctor"}).json["hits"] == []
