"""What the package has to do with outside: logging, Prometheus, PostgreSQL."""

import asyncio
import logging
import urllib.error
import urllib.request

import pytest

import mindcore
from clients import client, say  # pylint: disable=unused-import
from conftest import free_port, wait_until
from mindcore import AsyncMindcoreClient, MindcoreClient
from postgres import PASSWORD, USER, Postgres, find_postgres, other_user


@pytest.fixture
def log(caplog):
    """Records of the library at every level; the level is that of a process that asks for nothing afterwards."""
    caplog.set_level(logging.DEBUG, logger="mindcore")
    mindcore.set_log_level(logging.DEBUG)
    yield caplog
    mindcore.set_log_level(logging.WARNING)


def library_records(log):
    return [record for record in log.records if record.name.startswith("mindcore.")]


def test_log_goes_to_logging(log, tmp_path):
    """Unchanged, whatever it holds, by a thread of its own to the logger of the module."""
    path = tmp_path / "100%s.db"
    with MindcoreClient(use_sqlite=True, sqlite_path=path):
        record = wait_until(lambda: library_records(log), 30, "a record of the library")[0]
    assert (record.name, record.levelno, record.threadName) == ("mindcore.engine", logging.INFO, "mindcore-log")
    assert f"opened {path}" in record.getMessage()


def test_log_level(log, tmp_path):
    mindcore.set_log_level("ERROR")
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db"):
        pass
    mindcore.set_log_level("INFO")
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "b.db"):
        wait_until(lambda: library_records(log), 30, "a record of the library")
    assert "a.db" not in log.text and "b.db" in log.text
    for wrong in ("LOUD", 1.5, None):
        with pytest.raises(ValueError):
            mindcore.set_log_level(wrong)


def test_log_filter_that_fails(log, tmp_path):
    def fail(record):
        if "a.db" in record.getMessage():
            raise RuntimeError("a filter of the application")
        return True
    logger = logging.getLogger("mindcore.engine")
    logger.addFilter(fail)
    try:
        for name in ("a.db", "b.db"):
            MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / name).close()
        wait_until(lambda: "b.db" in log.text, 30, "a record after the one that failed")
    finally:
        logger.removeFilter(fail)
    assert "a.db" not in log.text


def scrape(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return answer.read().decode()


def test_metrics_server(client, tmp_path, caplog):
    port = free_port()
    assert client.start_metrics_server(port) is True and client.prometheus_enabled
    say(client)
    assert "mindcore_" in scrape(port)
    assert client.start_metrics_server(port) is True  # it serves already
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "b.db") as other:
        assert other.start_metrics_server(port) is False and not other.prometheus_enabled
        assert "no metrics are served" in caplog.text
        assert other.start_metrics_server(0) is True
    client.close()
    with pytest.raises(urllib.error.URLError):
        scrape(port)


@pytest.fixture(scope="module")
def postgres():
    binaries = find_postgres()
    if not binaries or other_user() is None:
        pytest.skip("PostgreSQL is not installed, or may not run as root here")
    server = Postgres(binaries)
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def database(postgres):
    return {"use_sqlite": False, "persistent_cache": False, "options": {
        "database.host": "127.0.0.1", "database.port": postgres.port, "database.name": postgres.create(),
        "database.user": USER, "database.password": PASSWORD}}


def test_postgres(database):
    with MindcoreClient(**database) as client:
        assert client.backend_name == "postgresql" and "postgresql" in repr(client)
        message = say(client, source="web")
        assert client.drain(60)
        assert client.get_message(message.message_id).enrichment_state == "enriched"
        assert "ORD-48213" in client.get_context("ann", "t2", "Where is my order?").assembled_context
        assert [hit.message for hit in client.search("ann", "order")] == client.get_recent_messages("ann", "t1")
        assert client.get_health()["healthy"]


def test_postgres_asyncio(database):
    async def main():
        async with AsyncMindcoreClient(**database) as client:
            await asyncio.gather(*(client.ingest("ann", "t1", "s1", "user", f"message {i}") for i in range(200)))
            texts = [message.text for message in await client.get_recent_messages("ann", "t1", limit=200)]
            assert texts == [f"message {i}" for i in reversed(range(200))]
    asyncio.run(main())


def test_postgres_that_is_away():
    with pytest.raises(mindcore.UnavailableError) as caught:
        MindcoreClient(use_sqlite=False, options={"database.host": "127.0.0.1", "database.port": free_port()})
    assert "127.0.0.1" in str(caught.value)
