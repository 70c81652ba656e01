"""Meaning on a PostgreSQL with pgvector: several servers, directly, through PgBouncer and with a replica; and when it goes."""

import concurrent.futures
import subprocess
import tempfile
from pathlib import Path

import pytest

from conftest import ROOT, wait_until
from models import ingest
from postgres import Postgres, Replica, find_bouncer, other_user
from test_embeddings import TEXTS, config, embeddings, messages, search, texts_of, wait_complete
from test_postgres import Place, is_built, make_servers  # pylint: disable=unused-import

SEARCHES = 8  # more than the database answers before vectors are read into memory


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    if other_user() is None:
        pytest.skip("there is no user that PostgreSQL could run as")
    if not is_built(tmp_path_factory.mktemp("built")):
        pytest.skip("built without PostgreSQL")
    # Not below pytest's own folder, which its owner alone may enter.
    with tempfile.TemporaryDirectory(prefix="mindcore-pgvector-") as folder:
        Path(folder).chmod(0o755)
        copied = subprocess.run([ROOT / "tools/get-pgvector", "--copy", f"{folder}/server"], check=False)
        if copied.returncode != 0:
            pytest.skip("there is no PostgreSQL with pgvector: tools/get-pgvector")
        server = Postgres(Path(folder) / "server/bin")
        try:
            yield server.start()
        finally:
            server.stop()


def column(place):
    """The type of the column, how many rows it has and how many are filled; None while it is not there."""
    kind = place.sql("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass('vectors')"
                     " AND attname = 'embedding' AND NOT attisdropped")
    if not kind:
        return None
    count, filled = place.sql("SELECT count(*), count(embedding) FROM vectors")[0].split("|")
    return kind[0], int(count), int(filled)


def finds(server):
    """The same, by the database and then in memory."""
    for _ in range(SEARCHES):
        for query, text in (("dog", TEXTS[0]), ("dinner", TEXTS[1]), ("doctor", TEXTS[3])):
            found = search(server, query)
            assert found["meaning"] == "used"
            assert texts_of(found)[0] == text, found


def several_servers(postgres, bouncer, make_servers, make_models):
    """They use the extension as soon as somebody who may has created it, or not at all when they are told so."""
    place = Place(postgres, bouncer)
    models = make_models()
    options = config(models, more="  cache_bytes: 0")
    first, = make_servers(place, 1, ["-o", "embeddings.pgvector=off"], config=options)
    ingest(first, messages())
    wait_complete(first, len(TEXTS))
    finds(first)
    assert column(place) is None, "off"
    second, third = make_servers(place, 2, config=options)
    wait_until(lambda: "pgvector is not used: " in second.stderr, 60, "the log")
    finds(second)
    place.sql("CREATE EXTENSION vector")
    wait_until(lambda: column(place) == ("halfvec", len(TEXTS), len(TEXTS)), 120, "vectors to be moved")
    finds(second)
    finds(third)
    finds(first)
    first.http.delete("/v1/messages/u1-m0")
    assert TEXTS[0] not in texts_of(search(third, "dog"))

    place.sql("DROP EXTENSION vector CASCADE")
    assert texts_of(search(second, "doctor"))[0] == TEXTS[3]
    ingest(second, messages(["The dentist was friendly."], first=20))
    wait_until(lambda: embeddings(second)["vectors"] == len(TEXTS), 60, "a vector without pgvector")
    assert search(second, "doctor")["meaning"] == "used"
    place.sql("CREATE EXTENSION vector")
    wait_until(lambda: column(place) == ("halfvec", len(TEXTS), len(TEXTS)), 120, "pgvector again")
    assert texts_of(search(third, "doctor"))[0] == TEXTS[3]


def test_several_servers(postgres, make_servers, make_models):
    """Directly and through PgBouncer at once: both wait half a minute now and then until a server looks."""
    program = find_bouncer()
    if program:
        postgres.start_bouncer(program)
    ways = [False, True] if program else [False]
    with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        list(pool.map(lambda bouncer: several_servers(postgres, bouncer, make_servers, make_models), ways))


def test_replica(postgres, make_servers, make_models):
    replica = Replica(postgres)
    try:
        replica.start()
        place = Place(postgres, False)
        place.sql("CREATE EXTENSION vector")
        options = config(make_models(), more="  cache_bytes: 0")
        options += f"database:\n  replica_max_lag: 1h\n  replicas:\n    - \"{replica.url(place.name)}\"\n"
        server, = make_servers(place, 1, config=options)
        ingest(server, messages())
        wait_until(lambda: column(place) == ("halfvec", len(TEXTS), len(TEXTS)), 90, "vectors")
        replica.catch_up()
        finds(server)
    finally:
        replica.stop()
