"""Meaning: messages that say in other words what a query says, and what becomes of it when the model fails."""

import pytest

from conftest import SANITIZER, wait_until
from model_server import DIMENSION, Garbage, Status, Vectors
from models import ingest, prometheus

CONFIG = """
embeddings:
  provider: openai
  openai:
    base_url: {url}
    model: {model}
    max_retries: 0
    batch: {batch}
{more}
  query_timeout: {query_timeout}
enrichment:
  retry_min: 0.05
  retry_max: 0.2
llm:
  breaker_cooldown: 0.1
  breaker_cooldown_max: 0.2
"""
TEXTS = ["Our puppy chewed up the sofa this morning.", "The lasagna that Maria made was wonderful.",
         "I sold my automobile to a neighbour.", "The physician wants to see me on Friday.",
         "My wage will be paid late again.", "The journey to Norway was cold and beautiful.",
         "The bookshelf in the hall needs two more screws.", "Remind me to water the tomatoes."]
GENEROUS = "60" if SANITIZER else "20"


def config(models, model="small", batch=4, query_timeout=GENEROUS, more=""):
    return CONFIG.format(url=models.url, model=model, batch=batch, query_timeout=query_timeout, more=more)


def messages(texts=None, user="u1", first=0):
    return [{"user_id": user, "thread_id": "t1", "session_id": "s1", "role": "user", "message_id": f"{user}-m{n}",
             "text": text} for n, text in enumerate(texts or TEXTS, first)]


def embeddings(server):
    return server.http.get("/v1/models").json["embeddings"]


def wait_complete(server, count, timeout=60):
    def complete():
        state = embeddings(server)
        return state["complete"] and state["vectors"] == count
    wait_until(complete, timeout, f"{count} vectors")


def becomes(server, series, wanted):
    """What is counted after what was waited for."""
    wait_until(lambda: prometheus(server, series) == wanted, what=f"{series} {wanted}")


def search(server, text, user="u1", **fields):
    answer = server.http.get(f"/v1/users/{user}/search", query={"q": text, "explain": "true", **fields})
    assert answer.status == 200, answer
    return answer.json


def texts_of(found):
    return [hit["message"]["raw_text"] for hit in found["hits"]]


def features(hit):
    return {why["feature"]: why["share"] for why in hit["why"]}


@pytest.fixture
def served(make_server, make_models):
    """A server with all of TEXTS embedded, and its model."""
    models = make_models()
    server = make_server(config=config(models))
    ingest(server, messages())
    wait_complete(server, len(TEXTS))
    return server, models


def test_other_words(served):
    server, models = served
    for query, text in (("dog", TEXTS[0]), ("dinner", TEXTS[1]), ("car", TEXTS[2]), ("doctor", TEXTS[3])):
        found = search(server, query)
        assert found["meaning"] == "used" and texts_of(found)[0] == text, (query, found)
        assert features(found["hits"][0])["meaning"] > 0.5, found["hits"][0]
    both = search(server, "the pet and the sofa")
    assert {"words", "meaning"} <= set(features(both["hits"][0])) and texts_of(both)[0] == TEXTS[0]
    assert texts_of(search(server, "dog", thread_id="t9")) == [], "not of another thread"
    context = server.http.post("/v1/context", {"user_id": "u1", "thread_id": "t2", "query": "Which vehicle?",
                                               "mode": "fast"}).json
    assert TEXTS[2] in context["assembled_context"] and context["metadata"]["meaning"] == "used", context
    requests = len(models.requests)
    search(server, "dog")
    assert len(models.requests) == requests, "the vector of a query is kept"
    assert sum(len(asked.texts) for asked in models.requests if "sofa" in " ".join(asked.texts)) > 1, "in batches"


@pytest.mark.usefixtures("within_a_day")
def test_what_it_cost(served):
    server, _ = served
    search(server, "dog")
    state = embeddings(server)
    assert (state["dimension"], state["provider"], state["state"]) == (DIMENSION, "openai", "ready"), state
    assert prometheus(server, 'mindcore_llm_calls_total{provider="openai",operation="embed"}') == state["calls"] > 2
    becomes(server, 'mindcore_vectors_total{result="made"}', len(TEXTS))
    becomes(server, "mindcore_vectors_waiting", 0)
    becomes(server, 'mindcore_vectors_stored{model="current"}', len(TEXTS))
    becomes(server, 'mindcore_meaning_queries_total{result="used"}', 1)
    usage = server.http.get("/v1/usage").json["usage"]
    assert [row["operation"] for row in usage] == ["embed"] and usage[0]["tokens_in"] > 0, usage


def test_deleted(served):
    server, _ = served
    ingest(server, messages(["The hound barks at night."], user="u2"))
    wait_complete(server, len(TEXTS) + 1)
    assert texts_of(search(server, "dog"))[0] == TEXTS[0], "each user finds his own"
    assert texts_of(search(server, "dog", user="u2")) == ["The hound barks at night."]
    assert server.http.delete("/v1/messages/u1-m0").status in (200, 204)
    assert TEXTS[0] not in texts_of(search(server, "dog"))
    erased = server.http.delete("/v1/users/u2")
    assert erased.status == 200 and erased.json["verified"], erased
    assert texts_of(search(server, "dog", user="u2")) == []
    assert embeddings(server)["vectors"] == len(TEXTS) - 1


def test_after_a_restart(served):
    server, models = served
    asked = len(models.requests)
    server.restart()
    assert texts_of(search(server, "dog"))[0] == TEXTS[0]
    assert len(models.requests) == asked + 1, "only the query is embedded"


def test_dead(served):
    server, models = served
    models.stop()
    ingest(server, messages(["A hound ran into the road."], first=20))
    server.drain()
    found = search(server, "dog road")
    assert found["meaning"] == "failed" and texts_of(found)[0] == "A hound ran into the road.", found
    wait_until(lambda: embeddings(server)["issue"], 30, "an issue")
    health = server.http.get("/health").json
    assert health["checks"]["embeddings"]["ok"] is False, health
    assert health["status"] != "red", "words still find"
    wait_until(lambda: prometheus(server, 'mindcore_meaning_queries_total{result="failed"}') >= 1, what="the query")
    wait_until(lambda: prometheus(server, 'mindcore_vectors_total{result="failed"}') >= 1, what="the vector")
    becomes(server, "mindcore_embeddings_circuit_open", 1)
    context = server.http.post("/v1/context", {"user_id": "u1", "thread_id": "t2", "query": "What of the road?"})
    assert context.json["metadata"]["meaning"] == "failed" and context.json["metadata"]["meaning_failed"]
    models.start()
    wait_complete(server, len(TEXTS) + 1)
    assert len(texts_of(search(server, "dog"))) >= 2
    wait_until(lambda: not embeddings(server)["issue"], 30, "no issue any more")


def test_slow(make_server, make_models):
    models = make_models()
    server = make_server(config=config(models, query_timeout="50ms"))
    ingest(server, messages())
    wait_complete(server, len(TEXTS))
    models.latency = 1000
    found = search(server, "sofa")
    assert found["meaning"] == "late" and texts_of(found)[0] == TEXTS[0], found
    becomes(server, 'mindcore_meaning_queries_total{result="late"}', 1)
    ingest(server, messages(["Another message that says something."], first=20))
    server.drain()  # enrichment waits for no vector


@pytest.mark.parametrize("fault", [
    pytest.param(Vectors(lambda vectors: [vector[:7] for vector in vectors]), id="another dimension"),
    pytest.param(Vectors(lambda vectors: [[float("nan")] * DIMENSION for _ in vectors]), id="not a number"),
    pytest.param(Vectors(lambda vectors: [[0.0] * DIMENSION for _ in vectors]), id="zeros"),
    pytest.param(Vectors(lambda vectors: vectors[1:]), id="one too few"),
    pytest.param(Vectors(lambda vectors: ["AAAA" for _ in vectors]), id="no lists"),
    pytest.param(Garbage(), id="garbage"),
    pytest.param(Status(500), id="500"),
    pytest.param(Status(429, retry_after=1), id="429"),
    pytest.param(Status(401), id="401"),
])
def test_faults(served, fault):
    server, models = served
    models.always(fault)
    ingest(server, messages(["A hound ran into the road."], first=20))
    server.drain()
    wait_until(lambda: embeddings(server)["issue"], 60, "an issue")
    assert embeddings(server)["vectors"] == len(TEXTS), "nothing of it is stored"
    assert texts_of(search(server, "road"))[0] == "A hound ran into the road.", "words find it"
    models.heal()
    wait_complete(server, len(TEXTS) + 1)
    assert "A hound ran into the road." in texts_of(search(server, "dog"))


def test_a_text_that_is_too_long(served):
    server, models = served
    models.always(Status(400, message="maximum context length exceeded: too many tokens"),
                  when=lambda asked: any(len(text) > 2000 for text in asked.texts))
    ingest(server, messages(["A hound. " + "Nothing else happened on that day. " * 200], first=20))
    wait_complete(server, len(TEXTS) + 1)
    assert len(texts_of(search(server, "dog"))) >= 2, "its beginning counts"


def test_another_model(served):
    """Old vectors serve by their own model until they are replaced."""
    server, models = served
    server.stop()
    models.always(Status(500), when=lambda asked: asked.model == "large")
    server.config = config(models, model="large", more="    dimensions: 16\n  previous_model: small")
    server.start()
    found = search(server, "dog")
    assert found["meaning"] == "none" or texts_of(found)[0] == TEXTS[0]
    models.only(Status(500), when=lambda asked: asked.model == "large" and any("Norway" in t for t in asked.texts))
    wait_until(lambda: embeddings(server)["vectors"] == len(TEXTS) - 1, 60, "all but one")
    state = embeddings(server)
    assert (state["old_vectors"], state["dimension"], state["waiting"]) == (1, 16, 1), state
    becomes(server, 'mindcore_vectors_stored{model="old"}', 1)
    becomes(server, "mindcore_vectors_waiting", 1)
    assert texts_of(search(server, "trip"))[0] == TEXTS[5], "by the old model"
    models.heal()
    wait_complete(server, len(TEXTS))
    assert embeddings(server)["old_vectors"] == 0
    assert texts_of(search(server, "dog"))[0] == TEXTS[0], "by the new one"
    assert all(asked.body.get("dimensions") == 16 for asked in models.requests if asked.model == "large")


def test_messages_from_before(make_server, make_models):
    """What was stored without embeddings gets its vectors when they come, newer messages first."""
    server = make_server()
    ingest(server, messages(TEXTS * 30))
    server.drain()
    server.stop()
    models = make_models()
    server.config = config(models, batch=32)
    server.start()
    wait_complete(server, len(TEXTS) * 30)
    assert search(server, "dog")["meaning"] == "used"


def test_local_model(make_server, tiny_model):
    """A real model of random weights: the way there and back. What it thinks is of no use."""
    server = make_server(config=f"""
embeddings:
  provider: llama_cpp
  llama_cpp:
    model_path: {tiny_model}
    n_threads: 1
  query_timeout: {GENEROUS}
""")
    ingest(server, messages())
    wait_complete(server, len(TEXTS), 120)
    state = embeddings(server)
    assert state["provider"] == "llama_cpp" and state["dimension"] > 0, state
    same = search(server, TEXTS[3])
    assert same["meaning"] == "used" and texts_of(same)[0] == TEXTS[3], same
    assert prometheus(server, 'mindcore_llm_calls_total{provider="llama_cpp",operation="embed"}') > 0


def test_command_line(served, cli):
    server, models = served
    options = ["--db", server.db, "-o", "embeddings.provider=openai", "-o", f"embeddings.openai.base_url={models.url}",
               "-o", "embeddings.openai.model=small", "-o", f"embeddings.query_timeout={GENEROUS}"]
    assert f"{len(TEXTS)} vectors" in cli("models", *options, status=0).out
    assert "ok   embeddings: " in cli("doctor", *options, status=0).out
    found = cli("search", "dog", "--user", "u1", "--explain", "--json", *options, status=0).json
    assert found["meaning"] == "used" and texts_of(found)[0] == TEXTS[0], found
    models.always(Status(401))
    refused = cli("models", "--check", *options)
    assert refused.status != 0 and "does not accept" in refused.out + refused.err or "wants a key" in refused.out, refused
