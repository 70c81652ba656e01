"""The package as a program sees it: values, errors, sources, vocabulary, agents, the command line."""

import asyncio
import gc
import pickle
import subprocess
import sys
import tracemalloc

import pytest

import mindcore
from clients import client, run_python, say  # pylint: disable=unused-import
from conftest import SLOWNESS, environment
from mindcore import (ArgumentTypeError, AsyncMindcoreClient, InvalidArgumentError, MindcoreClient, Message, MultiAgentConfig,
                      NotFoundError, VocabularyManager, _mindcore)


def test_every_status_has_its_exception():
    for status, exception, http_status, _ in _mindcore.statuses():
        kind = getattr(mindcore, exception)
        assert issubclass(kind, mindcore.MindcoreError)
        assert (kind.status, kind.http_status) == (status, http_status)


def test_message_is_a_value(client):
    message = say(client, source="web")
    assert message.text == message.raw_text == "Where is my order ORD-48213?"
    assert message.metadata.extra == {"source": "web"} and message.agent_id is None
    assert message.created_at.utcoffset().total_seconds() == 0
    assert Message.from_dict(message.to_dict()) == message == pickle.loads(pickle.dumps(message))
    assert hash(message) == hash(client.get_message(message.message_id))
    assert "<b>user</b>" in message._repr_html_()
    with pytest.raises(AttributeError):
        message.text = "other"


def test_messages_outlive_the_client(tmp_path):
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db") as client:
        say(client)
        messages = client.get_recent_messages("ann", "t1")
    assert messages[0].text.startswith("Where")
    with pytest.raises(mindcore.ClientClosedError):
        client.get_recent_messages("ann", "t1")
    client.close()


@pytest.mark.parametrize("change, field, kind", [
    ({"user_id": 5}, "user_id", TypeError), ({"user_id": ""}, "user_id", ValueError),
    ({"user_id": "x" * 256}, "user_id", ValueError), ({"thread_id": "a b"}, "thread_id", ValueError),
    ({"role": "robot"}, "role", ValueError), ({"text": " "}, "text", ValueError),
    ({"text": "a\0b"}, "text", ValueError), ({"text": "\ud800"}, "text", ValueError),
    ({"text": "x" * 100_001}, "text", ValueError), ({"text": b"bytes"}, "text", TypeError),
    ({"sharing_groups": "group"}, "sharing_groups", TypeError), ({"sharing_groups": [1]}, "sharing_groups", TypeError),
    ({"visibility": "secret"}, "visibility", ValueError), ({"weight": float("nan")}, "metadata", ValueError),
    ({"what": object()}, "metadata", ValueError), ({"big": "x" * 70_000}, "metadata", ValueError),
])
def test_bad_message(client, change, field, kind):
    good = {"user_id": "ann", "thread_id": "t1", "session_id": "s1", "role": "user", "text": "hello"}
    with pytest.raises(mindcore.MindcoreError) as caught:
        client.ingest(**{**good, **change})
    assert isinstance(caught.value, kind) and isinstance(caught.value, ValueError)
    assert caught.value.field == field and field in str(caught.value)
    assert client.get_recent_messages("ann", "t1") == []


WRONG_LIMITS = [0, -1, 1001, 2**70, 1.5, True, "20"]
WRONG_IDS = [5, b"ann", "", "x" * 256, "a b", "a\0b", "\ud800", "x" * 10_000_000]


@pytest.mark.parametrize("call, field, values", [
    (lambda c, v: c.get_recent_messages("ann", "t1", limit=v), "limit", WRONG_LIMITS),
    (lambda c, v: c.get_recent_messages(v, "t1"), "user_id", WRONG_IDS),
    (lambda c, v: c.get_recent_messages("ann", v), "thread_id", WRONG_IDS),
    (lambda c, v: c.get_recent_messages("ann", "t1", before=v), "before", [5, "\ud800"]),
    (lambda c, v: c.get_context_window("ann", "t1", max_messages=v), "max_messages", WRONG_LIMITS[:4]),
    (lambda c, v: c.get_context_window("ann", "t1", max_tokens=v), "max_tokens", [0, -1, 2**70, 1.5, "8"]),
    (lambda c, v: c.get_context_window("ann", "t1", min_importance=v), "min_importance",
     [-0.1, 1.1, float("nan"), float("inf"), 10**400, "0.5", True]),
    (lambda c, v: c.search("ann", "order", limit=v), "limit", WRONG_LIMITS),
    (lambda c, v: c.search(v, "order"), "user_id", WRONG_IDS),
    (lambda c, v: c.search("ann", "order", since=v), "since", [5, "2024-01-01", __import__("datetime").datetime(2024, 1, 1)]),
    (lambda c, v: c.search("ann", topics=v), "topics", ["order", 5, [5], ["\ud800"], b"order"]),
    (lambda c, v: c.search("ann", "order", explain=v), "explain", [1, "yes"]),
    (lambda c, v: c.get_context("ann", "t1", v), "query", [5, "", " ", "a\0b", "\ud800", "x" * 100_001]),
    (lambda c, v: c.get_context("ann", "t1", "order", mode=v), "mode", ["quick", 5, "\0"]),
    (lambda c, v: c.get_context("ann", "t1", "order", max_tokens=v), "max_tokens", [0, -1, 2**70, "8"]),
    (lambda c, v: c.get_context("ann", "t1", "order", agent_ids=v), "agent_ids", ["a", 5, [None]]),
    (lambda c, v: c.get_thread_summaries("ann", limit=v), "limit", WRONG_LIMITS),
    (lambda c, v: c.update_user_preference("ann", v, "x"), "field", [5, "\ud800", "no such field"]),
    (lambda c, v: c.update_user_preference("ann", "interests", ["x"], v), "action", [5, "change", "\0"]),
    (lambda c, v: c.update_user_preference("ann", "interests", v), "value", [object(), "\ud800", float("nan")]),
    (lambda c, v: c.register_source("name", v, ["order"]), "lookup", [None, 5]),
    (lambda c, v: c.register_source("name", print, v), "topics", ["order", 5, [5]]),
    (lambda c, v: c.register_source("name", print, ["order"], timeout=v), "timeout",
     [0, -1, 61, float("nan"), 10**400, "1", True]),
    (lambda c, v: c.register_agent("a", "A", sharing_groups=v), "sharing_groups", ["group", b"group"]),
    (lambda c, v: c.start_metrics_server(v), "port", [-1, 65536, 2**70, "9090", True, 1.5]),
    (lambda c, v: c.drain(v), "timeout", [-1, float("nan"), float("inf"), "1", True]),
    (lambda c, v: c.backup(v), "path", [5, "", "a\0b", "\ud800"]),
    (lambda c, v: c.count_tokens(v), "text", [5, None, b"x", "\ud800"]),
    (lambda c, v: c.get_decayed_importance(v), "message", [None, {}, "msg"]),
    (lambda c, v: c.invalidate_stale_cache(v), "max_age_seconds", ["1", float("nan"), 10**400, True]),
    (lambda c, v: c.ingest_message(v), "message", [5, "text", [("user_id", "ann")], None]),
    (lambda c, v: c.ingest_batch(v), "messages", [5, "text", {"user_id": "ann"}, None]),
])
def test_bad_arguments(client, call, field, values):
    """Each is told by the name of the argument, in an exception of the package; nothing is stored, nothing breaks."""
    for value in values:
        with pytest.raises((mindcore.InvalidArgumentError, mindcore.TooLargeError)) as caught:
            call(client, value)
        assert caught.value.field == field and field in str(caught.value), repr(value)[:60]
    assert client.get_recent_messages("ann", "t1") == []


def test_what_people_read(client):
    """An error says what is allowed, a context how many messages it shows, of whatever section."""
    with pytest.raises(mindcore.InvalidArgumentError, match="max_tokens: must be at least 1"):
        client.get_context("ann", "t1", "order", max_tokens=0)
    client.ingest("ann", "t1", "s1", "user", "The parcel is here.")
    assert "messages=1," in repr(client.get_context("ann", "t1", "And now?"))


def test_bad_options(tmp_path):
    for arguments in ({"enrichment_workers": 17}, {"enrichment_workers": "4"}, {"llm_provider": "none"},
                      {"use_sqlite": "yes"}, {"multi_agent_config": {}}, {"options": {"no.such": 1}},
                      {"cache_dir": "a\0b"}, {"sqlite_path": "a\0b"}, {"sqlite_path": 5}, {"config_path": "a\0b"},
                      {"options": {"cache.dir": "\ud800"}}, {"options": {"context.max_tokens": 2**70}}):
        with pytest.raises(ValueError):
            MindcoreClient(**{"use_sqlite": True, "sqlite_path": tmp_path / "a.db", **arguments})
    with pytest.raises(mindcore.NotFoundError):
        MindcoreClient(config_path=tmp_path / "absent.yaml")


def test_batch_tells_what_it_refused(client):
    messages = [{"user_id": "ann", "thread_id": "t1", "session_id": "s1", "role": "user", "text": f"number {i}"}
                for i in range(1500)]
    messages[3] = {"text": "incomplete"}
    messages[1200] = "no dict"
    result = client.ingest_batch(iter(messages))
    assert len(result) == 1498 and [item.index for item in result.refused] == [3, 1200]


def test_subinterpreter_is_refused(tmp_path):
    done = run_python("import _xxsubinterpreters as s\ni = s.create()\ns.run_string(i, 'import mindcore')", tmp_path)
    assert "subinterpreter" in done.stderr


def test_sources(client):
    asked = []

    @client.source("orders", topics=["order"], timeout=60)
    def orders(query):
        asked.append(query)
        return [("Order 48213", "a desk lamp, sent on Monday")]
    client.register_source("broken", lambda query: 1 / 0, ["order"], timeout=60)
    context = client.get_context("ann", "t1", "Where is my order?")
    assert "[orders: Order 48213] a desk lamp" in context.assembled_context
    assert asked[0].user_id == "ann"
    assert "ZeroDivisionError" in str(context.metadata["source_failures"])
    client.remove_source("orders")
    assert [source["name"] for source in client.list_sources()] == ["broken"]
    with pytest.raises(mindcore.ConflictError):
        client.register_source("broken", print, ["order"])
    with pytest.raises(mindcore.NotFoundError):
        client.remove_source("orders")


def test_vocabulary(tmp_path):
    words = VocabularyManager(topics=["warranty"], synonyms={"guarantee": "warranty"})
    assert words.resolve("Guarantee") == "warranty" and words.is_topic("billing")
    with pytest.raises(ValueError):
        words.register(topics=["NOT A NAME!"])
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db", vocabulary=words) as client:
        message = say(client, "Does the guarantee cover this?")
        assert client.drain(60 * SLOWNESS)
        assert "warranty" in client.get_message(message.message_id).metadata.topics


OLD = {"user_id": "ann", "thread_id": "t1", "session_id": "s1", "role": "user", "text": "Where is my order ORD-48213?",
       "created_at": "2025-01-01T10:00:00Z"}


def test_tier_migration_is_undone(client):
    client.ingest_message(OLD)
    assert client.drain(30 * SLOWNESS)
    with pytest.raises(NotFoundError):
        client.undo_tier_migration()
    result = client.run_tier_migration()
    assert result["messages_migrated"] == 1
    assert [run["run"] for run in client.tier_migrations()] == [result["run"]]
    assert client.undo_tier_migration(dry_run=True)["messages_moved_back"] == 1
    assert client.undo_tier_migration(result["run"])["messages_moved_back"] == 1
    assert client.tier_migrations() == []
    for bad, kind in ((0, InvalidArgumentError), ("1", ArgumentTypeError)):
        with pytest.raises(kind):
            client.undo_tier_migration(bad)


def test_tier_migration_is_undone_with_asyncio(tmp_path):
    async def use():
        async with AsyncMindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "b.db", persistent_cache=False) as client:
            await client.ingest_message(OLD)
            assert await client.drain(30 * SLOWNESS)
            await client.run_tier_migration()
            assert len(await client.tier_migrations()) == 1
            assert (await client.undo_tier_migration())["messages_moved_back"] == 1
    asyncio.run(use())


def test_agents(tmp_path):
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db",
                        multi_agent_config=MultiAgentConfig(enabled=True)) as client:
        client.register_agent("a", "First", sharing_groups=["g"])
        client.register_agent("b", "Second")
        message = say(client, agent_id="a")
        with pytest.raises(mindcore.NotFoundError):
            client.get_message(message.message_id, agent_id="b")
        assert [agent.agent_id for agent in client.list_agents()] == ["a", "b"]


def test_command_line(tmp_path):
    done = subprocess.run([sys.executable, "-m", "mindcore", "version"], cwd=tmp_path, env=environment(),
                          capture_output=True, text=True, timeout=60 * SLOWNESS, check=True)
    assert done.stdout.startswith(f"mindcore {mindcore.__version__}")


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def everything_once(client):
    client.get_recent_messages("ann", "t1")[0].metadata.topics
    client.get_context("ann", "t1", "order")
    client.count_tokens("order")
    for wrong in (lambda: client.get_message("msg_none"), lambda: client.search("ann", topics=["order", 5]),
                  lambda: client.get_recent_messages("ann", "t1", limit=0)):
        with pytest.raises(mindcore.MindcoreError):
            wrong()


@pytest.mark.plain_only
def test_no_leak(client):
    """Neither Python's memory nor the process's grows over 30,000 calls, good and bad."""
    say(client)
    assert client.drain(60 * SLOWNESS)
    for _ in range(1000):
        everything_once(client)
    gc.collect()
    resident = resident_bytes()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(500):
        everything_once(client)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 50_000
    for _ in range(4000):
        everything_once(client)
    gc.collect()
    # One kept object a round would be 0.5 MB at least, and every result is more than that.
    assert resident_bytes() - resident < 4_000_000
