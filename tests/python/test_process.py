"""Threads, event loops, forks, and the end of the interpreter."""

import asyncio
import multiprocessing
import os
import threading
import time

import pytest

import mindcore
from clients import client, run_python, say  # pylint: disable=unused-import
from conftest import SLOWNESS
from mindcore import AsyncMindcoreClient, MindcoreClient, Message


def metric(text, name):
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.split(" ")[0].split("{")[0] == name)


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


def test_threads_read_one_message(client):
    """A message's metadata are made on first use, by whichever thread comes first."""
    say(client)
    for _ in range(20):
        message = client.get_recent_messages("ann", "t1")[0]
        barrier = threading.Barrier(8)
        seen = []

        def read(message=message, barrier=barrier, seen=seen):
            barrier.wait()
            seen.append((message.metadata.topics, message.to_dict(), hash(message)))
        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 8 and all(item == seen[0] for item in seen)


def test_close_while_threads_call(tmp_path):
    """A close under load: each call is done or is told that the client is closed, and what was stored is there."""
    client = MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db", persistent_cache=False)
    stored, outcomes = [], []
    begun = threading.Event()

    def work(number):
        try:
            for i in range(1_000_000):
                stored.append(client.ingest("ann", f"t{number}", "s1", "user", f"message {i}").message_id)
                begun.set()
        except mindcore.ClientClosedError:
            outcomes.append("closed")
    callers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    closers = [threading.Thread(target=client.close) for _ in range(2)]
    for thread in callers:
        thread.start()
    assert begun.wait(60 * SLOWNESS)
    for thread in closers:
        thread.start()
    for thread in closers + callers:
        thread.join()
    assert outcomes == ["closed"] * 4
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db", persistent_cache=False) as again:
        assert all(again.get_message(message_id) for message_id in stored)


def test_many_clients_on_one_file(tmp_path):
    clients = [MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db") for _ in range(4)]
    for number, client in enumerate(clients):
        say(client, f"message {number}")
    for client in clients:
        assert [message.text for message in client.get_recent_messages("ann", "t1")] == \
            [f"message {number}" for number in (3, 2, 1, 0)]
        client.close()


async def occupy(client):
    """Has the only thread of a client in a call, until the event that is given with it is set."""
    asked, release = asyncio.Event(), asyncio.Event()

    async def slow(_):
        asked.set()
        await release.wait()
        return "an answer"
    await client.register_source("slow", slow, ["order"], timeout=60.0)
    call = asyncio.ensure_future(client.get_context("ann", "t1", "Where is my order?"))
    await asked.wait()
    return call, release


def test_asyncio_shares_commits(tmp_path):
    """Calls that wait for a thread are stored together."""
    async def main():
        async with AsyncMindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db", threads=1) as client:
            before = await client.get_prometheus_text()
            first, release = await occupy(client)
            waiting = [asyncio.ensure_future(client.ingest("ann", "t1", "s1", "user", f"message {i}")) for i in range(1000)]
            await asyncio.sleep(0)
            release.set()
            await asyncio.gather(first, *waiting)
            after = await client.get_prometheus_text()
            texts = [message.text for message in await client.get_recent_messages("ann", "t1", limit=1000)]
            assert texts == [f"message {i}" for i in reversed(range(1000))]
            commits = metric(after, "mindcore_store_commits_total") - metric(before, "mindcore_store_commits_total")
            assert 0 < commits < 500  # alone they would be 1000, and those of the workers with them
    asyncio.run(main())


def test_asyncio_outcomes(tmp_path):
    async def main():
        async with AsyncMindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db") as client:
            results = await asyncio.gather(client.ingest("ann", "t1", "s1", "user", "good"),
                                           client.ingest("ann", "t1", "s1", "user", " "),
                                           client.ingest("ann", "t1", "s1", "user", "good too"),
                                           return_exceptions=True)
            assert isinstance(results[0], Message) and results[2].text == "good too"
            assert isinstance(results[1], mindcore.InvalidArgumentError) and results[1].field == "text"
            with pytest.raises(mindcore.ArgumentTypeError):
                await client.ingest("ann", "t1", "s1", "user", 5)
        with pytest.raises(mindcore.ClientClosedError):
            await client.get_status()
    asyncio.run(main())


def test_asyncio_cancellation(tmp_path):
    """A cancelled call that has not begun is not made, others go on; the loop is not held up by any of them."""
    async def main():
        async with AsyncMindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db", threads=1) as client:
            first, release = await occupy(client)
            waiting = [asyncio.ensure_future(client.ingest("ann", "t1", "s1", "user", f"message {i}")) for i in range(50)]
            await asyncio.sleep(0)
            for task in waiting[:40]:
                task.cancel()
            release.set()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results[:40])
            assert "an answer" in (await first).assembled_context
            texts = [message.text for message in await client.get_recent_messages("ann", "t1", limit=100)]
            assert texts == [f"message {i}" for i in reversed(range(40, 50))]
    asyncio.run(main())


def test_asyncio_close_while_calls_wait(tmp_path):
    """Those that were submitted are finished, or told that it is closed; none waits for ever."""
    async def main():
        client = AsyncMindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db", threads=1)
        await client.get_status()
        waiting = [asyncio.ensure_future(client.ingest("ann", "t1", "s1", "user", f"message {i}")) for i in range(200)]
        await asyncio.sleep(0)
        await client.close()
        results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 60 * SLOWNESS)
        assert all(isinstance(result, (Message, mindcore.ClientClosedError)) for result in results)
        return sum(isinstance(result, Message) for result in results)
    stored = asyncio.run(main())
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db") as again:
        assert len(again.get_recent_messages("ann", "t1", limit=1000)) == stored


def test_event_loops_share_a_client(tmp_path):
    client = AsyncMindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db")

    async def work(number):
        await asyncio.gather(*(client.ingest("ann", f"t{number}", "s1", "user", f"message {i}") for i in range(50)))
        return len(await client.get_recent_messages("ann", f"t{number}", limit=100))
    counts = []
    threads = [threading.Thread(target=lambda number=number: counts.append(asyncio.run(work(number))))
               for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [50] * 4
    asyncio.run(client.close())


def in_child(function):
    """The exit status of a forked child: 0 when the function returns true."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if function() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def refused(function):
    try:
        function()
    except mindcore.ForkedClientError:
        return True
    return False


@pytest.mark.filterwarnings("ignore:This process")
def test_fork_with_a_client_open(tmp_path, client):
    """The child may neither use it nor open another: SQLite's mutexes may be held by threads that it has not."""
    def child():
        uses = [lambda: say(client), client.get_status, client.close, lambda: client.count_tokens("x"),
                lambda: MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "b.db")]
        return all(refused(use) for use in uses) and client.closed and "closed" in repr(client)
    for _ in range(20):
        assert in_child(child) == 0
    assert say(client).text and not client.closed


@pytest.mark.filterwarnings("ignore:This process")
def test_fork_before_and_after_clients(tmp_path):
    """With none open a child opens its own, also on the file of its parent."""
    def child():
        with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db") as own:
            return say(own).text
    for _ in range(5):
        assert in_child(child) == 0
        child()
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db") as client:
        assert len(client.get_recent_messages("ann", "t1")) == 10


def store_in_process(path):
    with MindcoreClient(use_sqlite=True, sqlite_path=path) as client:
        say(client)


def test_spawned_process(tmp_path, client):
    """The way that works with a client open."""
    process = multiprocessing.get_context("spawn").Process(target=store_in_process, args=(tmp_path / "a.db",))
    process.start()
    process.join()
    assert process.exitcode == 0 and len(client.get_recent_messages("ann", "t1")) == 1


ENDS = {
    "nothing more": "",
    "exit": "raise SystemExit(0)",
    "an event loop": "import asyncio\na = mindcore.AsyncMindcoreClient(use_sqlite=True)\n"
                     "asyncio.run(a.ingest('ann', 't', 's', 'user', 'hello'))",
    "a thread in a call": "import threading\nthreading.Thread(target=c.drain, daemon=True).start()",
    "threads that go on": "import threading\nfor _ in range(4):\n    threading.Thread(target=lambda: [c.ingest('ann', 't', "
                          "'s', 'user', 'x') for _ in range(10**9)], daemon=True).start()\n"
                          "while len(c.get_recent_messages('ann', 't')) < 10: pass",
    "a child": "import os, sys\npid = os.fork()\nif pid == 0: sys.exit(0)\nassert os.waitpid(pid, 0)[1] == 0",
}


@pytest.mark.parametrize("end", ENDS)
def test_exit_without_close(tmp_path, end):
    """With clients open, a source that sleeps, and more: the process ends at once, without a word of a crash."""
    code = ("import mindcore, time, warnings\nwarnings.simplefilter('ignore')\n"
            "c = mindcore.MindcoreClient(use_sqlite=True)\nd = mindcore.MindcoreClient(use_sqlite=True)\n"
            "c.register_source('slow', lambda q: time.sleep(3600), ['order'])\n"
            "c.ingest('ann', 't', 's', 'user', 'hello order')\nc.get_context('ann', 't', 'my order')\n" + ENDS[end])
    start = time.monotonic()
    done = run_python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - start < 50 * SLOWNESS
    # A thread that goes on is told that the client is closed; that is all.
    assert "Error" not in done.stderr or "ClientClosedError" in done.stderr
    assert "Fatal" not in done.stderr and "Sanitizer" not in done.stderr
