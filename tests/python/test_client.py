"""The package as a program sees it: values, errors, threads, asyncio, fork, exit, sources, logging."""

import asyncio
import os
import pickle
import subprocess
import sys
import threading

import pytest

import mindcore
from mindcore import AsyncMindcoreClient, MindcoreClient, Message, MultiAgentConfig, VocabularyManager, _mindcore


@pytest.fixture
def client(tmp_path):
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db", persistent_cache=False) as opened:
        yield opened


def say(client, text="Where is my order ORD-48213?", **more):
    return client.ingest("ann", "t1", "s1", "user", text, **more)


def run_python(code, folder):
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120,
                          check=False)


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


@pytest.mark.parametrize("limit", [0, -1, 1001, 2**70, 1.5, True, "20"])
def test_bad_limit(client, limit):
    with pytest.raises(ValueError) as caught:
        client.get_recent_messages("ann", "t1", limit=limit)
    assert caught.value.field == "limit"


def test_bad_options(tmp_path):
    for arguments in ({"enrichment_workers": 17}, {"enrichment_workers": "4"}, {"llm_provider": "none"},
                      {"use_sqlite": "yes"}, {"multi_agent_config": {}}, {"options": {"no.such": 1}},
                      {"cache_dir": "a\0b"}):
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


def test_threads_share_a_client(client):
    def work(number):
        for i in range(50):
            client.ingest("ann", f"t{number}", "s1", "user", f"message {i}")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(8):
        texts = [message.text for message in client.get_recent_messages("ann", f"t{number}", limit=100)]
        assert texts == [f"message {i}" for i in reversed(range(50))]


def test_asyncio(tmp_path):
    async def main():
        async with AsyncMindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db") as client:
            await asyncio.gather(*(client.ingest("ann", "t1", "s1", "user", f"message {i}") for i in range(300)))
            texts = [message.text for message in await client.get_recent_messages("ann", "t1", limit=300)]
            assert texts == [f"message {i}" for i in reversed(range(300))]
            results = await asyncio.gather(client.ingest("ann", "t1", "s1", "user", "good"),
                                           client.ingest("ann", "t1", "s1", "user", " "),
                                           return_exceptions=True)
            assert isinstance(results[0], Message) and isinstance(results[1], mindcore.InvalidArgumentError)
            waiting = [asyncio.ensure_future(client.get_context("ann", "t1", "message")) for _ in range(50)]
            await asyncio.sleep(0)
            for task in waiting:
                task.cancel()
            assert all(isinstance(result, asyncio.CancelledError)
                       for result in await asyncio.gather(*waiting, return_exceptions=True))
        with pytest.raises(mindcore.ClientClosedError):
            await client.get_status()
    asyncio.run(main())


def test_fork(tmp_path):
    client = MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db", persistent_cache=False)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            try:
                say(client)
            except mindcore.ForkedClientError:
                del client
                with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "b.db") as own:
                    status = 0 if say(own).text else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert say(client).text
    client.close()


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "import threading; threading.Thread(target=lambda: "
                                 "[c.drain(0.1) for _ in range(10**6)], daemon=True).start()"])
def test_exit_without_close(tmp_path, end):
    code = ("import mindcore\nc = mindcore.MindcoreClient(use_sqlite=True)\n"
            "d = mindcore.MindcoreClient(use_sqlite=True)\n"
            "c.register_source('slow', lambda q: __import__('time').sleep(3600), ['order'])\n"
            "c.ingest('ann', 't', 's', 'user', 'hello order')\nc.get_context('ann', 't', 'my order')\n" + end)
    done = run_python(code, tmp_path)
    # A thread that goes on is told that the client is closed; that is all.
    assert done.returncode == 0
    assert "Error" not in done.stderr or "ClientClosedError" in done.stderr


def test_subinterpreter_is_refused(tmp_path):
    done = run_python("import _xxsubinterpreters as s\ni = s.create()\ns.run_string(i, 'import mindcore')", tmp_path)
    assert "subinterpreter" in done.stderr


def test_sources(client):
    asked = []

    @client.source("orders", topics=["order"])
    def orders(query):
        asked.append(query)
        return [("Order 48213", "a desk lamp, sent on Monday")]
    client.register_source("broken", lambda query: 1 / 0, ["order"])
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
        assert client.drain(60)
        assert "warranty" in client.get_message(message.message_id).metadata.topics


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
    done = subprocess.run([sys.executable, "-m", "mindcore", "version"], cwd=tmp_path, capture_output=True, text=True,
                          timeout=60, check=True)
    assert done.stdout.startswith(f"mindcore {mindcore.__version__}")


def test_no_leak(client):
    import gc
    import tracemalloc
    say(client)

    def calls(count):
        for _ in range(count):
            client.get_recent_messages("ann", "t1")[0].metadata.topics
            try:
                client.get_message("msg_none")
            except mindcore.NotFoundError:
                pass
    calls(200)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    calls(10_000)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 20_000
