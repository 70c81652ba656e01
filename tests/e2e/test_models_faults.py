"""
What can go wrong with a model's service: no message is lost, none is enriched twice, the figures are right, health
tells, and all is well again without a restart when the service is.
"""

import time

import pytest

import model_server as faults
from conftest import SLOWNESS, wait_until
from models import check_all_enriched, check_enriched, ingest, prometheus, provider, question, stored

CONFIG = """
llm:
  provider: {provider}
  breaker_failures: {failures}
  breaker_cooldown: 100ms
  breaker_cooldown_max: 200ms
  openai:
    base_url: {url}
    api_key: sk-0123456789
    model: scripted
    timeout: {timeout}ms
    max_retries: {retries}
enrichment:
  workers: 2
  in_flight: 2
  batch: 4
  max_attempts: {attempts}
  retry_min: 20ms
  retry_max: 100ms
"""
COUNT = 40


def start(make_server, models, name="openai", failures=1000, retries=1, attempts=100, timeout=10000):
    return make_server(config=CONFIG.format(url=models.url, provider=name, failures=failures, retries=retries,
                                            attempts=attempts, timeout=timeout * SLOWNESS))



# What goes wrong, and how often.
PASSING = {
    "time-out": (faults.Silence(), 3),
    "slow drip": (faults.Drip(60), 3),
    "500": (faults.Status(500), 12),
    "503": (faults.Status(503, retry_after=0), 5),
    "429": (faults.Status(429, retry_after=0), 8),
    "reset": (faults.Reset(), 8),
    "half an answer": (faults.Half(), 8),
    "not HTTP's JSON": (faults.Garbage(), 6),
    "empty body": (faults.Garbage(b""), 6),
    "other JSON": (faults.Garbage(b'{"choices": [{"message": null}, 7], "usage": {"prompt_tokens": "many"}}'), 6),
    "not the model's JSON": (faults.not_json(), 6),
    "cut off": (faults.cut_off(), 6),
    "huge": (faults.Huge(12_000_000), 2),
}


@pytest.mark.parametrize("what", PASSING)
def test_passing_faults(make_server, make_models, what):
    fault, times = PASSING[what]
    models = make_models()
    models.script(*[fault] * times)
    server = start(make_server, models, timeout=1000 if what in ("time-out", "slow drip") else 10000)
    messages = [question(number) for number in range(COUNT)]
    ingest(server, messages)
    server.drain(30)
    check_all_enriched(server, messages, "scripted")
    assert models.faults.total() == times, "every fault was met"
    model = provider(server, "openai")
    late = model["failures"] - times  # good answers for which a busy machine took longer than the short time-out
    assert late == 0 or late > 0 and what in ("time-out", "slow drip"), model
    assert set(models.answered) == {message["message_id"] for message in messages}
    assert late or set(models.answered.values()) == {1}, "none is enriched twice"
    wait_until(lambda: len(models.requests) == model["calls"], what="requests that were given up before they were read")
    assert model["last_error"] and model["state"] == "ready", model
    assert prometheus(server, 'mindcore_llm_call_failures_total{provider="openai"}') == model["failures"]
    health = server.http.get("/v1/workers/health").json
    assert health["healthy"] and health["issues"] == [], health


@pytest.mark.parametrize("fault", [
    faults.wrong_ids(), faults.missing_items(), faults.doubled_items(), faults.wrong_words()],
    ids=["wrong ids", "missing items", "doubled items", "words of no list"])
def test_answers_that_are_partly_of_use(make_server, make_models, fault):
    """What is missing is asked for again; what is not in the vocabulary is left out."""
    models = make_models()
    models.always(fault, when=lambda asked: len(models.requests) <= 6)
    server = start(make_server, models)
    messages = [question(number) for number in range(COUNT)]
    ingest(server, messages)
    server.drain(30)
    metrics = check_all_enriched(server, messages, "scripted")
    assert metrics["error_count"] == 0, metrics
    assert max(models.asked.values()) <= 2 and max(models.answered.values()) == 1


def test_retry_after_is_respected(make_server, make_models):
    models = make_models()
    models.script(*[faults.Status(429, retry_after=1)] * 2)
    server = start(make_server, models)
    messages = [question(number) for number in range(8)]
    ingest(server, messages)
    server.drain(30)
    check_all_enriched(server, messages)
    for number, limited in enumerate(models.requests[:2]):
        again = next(r for r in models.requests[number + 1:] if set(r.marks) & set(limited.marks))
        assert again.at - limited.at >= 0.95, "not before the service said"


@pytest.mark.parametrize("types", [("json_schema",), ("json_schema", "json_object")],
                         ids=["schema", "schema and object"])
def test_a_service_without_schemas(make_server, make_models, types):
    """It is asked with less, and what it takes is remembered."""
    models = make_models()
    models.always(faults.RefuseSchema(*types))
    server = start(make_server, models)
    messages = [question(number) for number in range(COUNT)]
    ingest(server, messages)
    server.drain(30)
    check_all_enriched(server, messages, "scripted")
    refused = sum(request.format.get("type") in types for request in models.requests)
    assert refused <= 4 * (len(types) + 1), "only the requests that were under way at first"
    seen = len(models.requests)
    later = [question(number) for number in range(COUNT, COUNT + 8)]
    ingest(server, later)
    server.drain(30)
    metrics = check_all_enriched(server, messages + later, "scripted")
    assert metrics["error_count"] == 0, metrics
    assert not {request.format.get("type") for request in models.requests[seen:]} & set(types)


def test_a_poisonous_message(make_server, make_models, cli):
    """It does not hold up the others, is set aside with the reason, and can be tried again."""
    models = make_models()
    models.always(faults.Status(500, message="cannot digest"), when=lambda asked: "m7" in asked.marks)
    server = start(make_server, models, attempts=3, retries=0)
    messages = [question(number) for number in range(COUNT)]
    ingest(server, messages)
    server.drain(30)
    others = [message for message in messages if message["message_id"] != "m7"]
    for message in stored(server, others):
        check_enriched(message)
    poisonous = server.http.get("/v1/messages/m7").json
    assert poisonous["enrichment_state"] == "failed", poisonous
    assert poisonous["metadata"]["method"] == "builtin" and poisonous["metadata"]["topics"], "what rules know is kept"
    assert poisonous["metadata"]["enrichment_failed"] and "cannot digest" in poisonous["metadata"]["enrichment_error"]
    dead = server.http.get("/v1/queue").json["dead_jobs"]
    assert [(job["message_id"], job["attempts"]) for job in dead] == [("m7", 3)], dead
    metrics = server.http.get("/v1/enrichment/metrics").json
    assert metrics["dead_count"] == 1 and metrics["processed_count"] == COUNT - 1, metrics
    assert metrics["error_rate"] == pytest.approx(metrics["error_count"] / (metrics["error_count"] + COUNT - 1))
    models.heal()
    options = ["--config", server.folder / "mindcore.yaml", "--db", server.db]
    cli("queue", "retry", *options, status=0)
    wait_until(lambda: server.http.get("/v1/messages/m7").json["enrichment_state"] == "enriched", 60, "a second chance")
    check_enriched(server.http.get("/v1/messages/m7").json)


def health_of(server):
    return server.http.get("/v1/workers/health").json


def is_left_alone(server):
    """The circuit is open; half open in between, as long as a probe is due or on its way."""
    return provider(server, "openai")["state"] in ("open", "half_open")


def test_the_circuit_opens_and_closes(make_server, make_models):
    models = make_models()
    server = start(make_server, models, failures=4, retries=0)
    models.always(faults.Status(500, message="out of order"))
    messages = [question(number) for number in range(COUNT)]
    ingest(server, messages)
    wait_until(lambda: is_left_alone(server), what="an open circuit")
    wait_until(lambda: prometheus(server, 'mindcore_llm_circuit_open{provider="openai"}') == 1, what="the metric")
    wait_until(lambda: not health_of(server)["healthy"], what="health that tells")
    assert any("openai" in issue and "out of order" in issue for issue in health_of(server)["issues"])
    assert server.http.get("/health").status == 503
    under_way = 4  # requests that began before the circuit opened may come in after
    seen = len(models.requests) + under_way
    wait_until(lambda: len(models.requests) >= seen + 3, what="probes")
    first, _, last = models.requests[seen:seen + 3]
    assert last.at - first.at >= 0.25, "one probe at a time, with its pause"
    for message in stored(server, messages):
        assert message["enrichment_state"] == "pending" and message["metadata"]["method"] == "builtin", message
    models.heal()
    server.drain(30)
    check_all_enriched(server, messages)
    assert provider(server, "openai")["state"] == "ready"
    assert prometheus(server, 'mindcore_llm_circuit_open{provider="openai"}') == 0
    assert health_of(server)["healthy"]
    wait_until(lambda: server.http.get("/health").status == 200, what="health, which may be a second old")
    assert models.answered == {message["message_id"]: 1 for message in messages}


def test_the_service_dies_and_comes_back(make_server, make_models):
    models = make_models(latency=0.02)
    server = start(make_server, models, failures=3)
    messages = [question(number) for number in range(100)]
    ingest(server, messages[:50])
    wait_until(lambda: len(models.requests) >= 3, what="some requests")
    models.stop()
    ingest(server, messages[50:])
    wait_until(lambda: is_left_alone(server), what="an open circuit")
    models.start()
    server.drain(30)
    check_all_enriched(server, messages)


def test_a_long_outage_kills_no_message(make_server, make_models):
    """Whoever is asked about while the service is tried again is not to blame when that fails."""
    models = make_models()
    models.always(faults.Status(503))
    server = start(make_server, models, failures=2, retries=0, attempts=3)
    messages = [question(number) for number in range(4)]
    ingest(server, messages)
    wait_until(lambda: len(models.requests) >= 16, 30, "many probes")
    assert server.http.get("/v1/queue").json["dead"] == 0
    models.heal()
    server.drain(30)
    check_all_enriched(server, messages)


def test_one_message_opens_the_circuit_for_none_but_itself(make_server, make_models):
    """When all that is asked fails because of one message, others find their way past it."""
    models = make_models()
    models.always(faults.Status(500), when=lambda asked: "m0" in asked.marks)
    server = start(make_server, models, failures=2, retries=0, attempts=3)
    ingest(server, [question(0)])
    wait_until(lambda: is_left_alone(server), what="an open circuit")
    others = [question(number) for number in range(1, 20)]
    ingest(server, others)
    wait_until(lambda: all(m["enrichment_state"] == "enriched" for m in stored(server, others)), 60, "the others")
    for message in stored(server, others):
        check_enriched(message)


def test_a_wrong_key(make_server, make_models):
    """It needs a person: health says what to do, and nothing is lost until then."""
    models = make_models()
    models.always(faults.Unauthorized())
    server = start(make_server, models)
    messages = [question(number) for number in range(8)]
    ingest(server, messages)
    wait_until(lambda: not health_of(server)["healthy"], what="health that tells")
    assert any("OPENAI_API_KEY" in issue for issue in health_of(server)["issues"])
    wait_until(lambda: is_left_alone(server), what="an open circuit")
    models.heal()
    server.drain(30)
    check_all_enriched(server, messages)


def test_auto_does_without(make_server, make_models):
    """With llm.provider auto the rules take over, and say why."""
    models = make_models()
    models.always(faults.Status(500, message="out of order"))
    server = start(make_server, models, "auto", failures=3, retries=0)
    messages = [question(number) for number in range(COUNT)]
    ingest(server, messages)
    server.drain(30)
    for message in stored(server, messages):
        assert message["enrichment_state"] == "enriched" and message["metadata"]["method"] == "builtin", message
        assert "out of order" in message["metadata"]["fallback_reason"], message
    metrics = server.http.get("/v1/enrichment/metrics").json
    assert (metrics["builtin_count"], metrics["llm_count"], metrics["dead_count"]) == (COUNT, 0, 0), metrics
    health = health_of(server)
    assert health["healthy"] and any("openai" in issue for issue in health["issues"]), health
    models.heal()
    wait_until(lambda: enriched_by_model(server), 60, "the model's return")


def enriched_by_model(server, numbers=iter(range(1000, 100000))):
    message = question(next(numbers))
    ingest(server, [message])
    server.drain()
    return stored(server, [message])[0]["metadata"]["method"] == "llm"


def test_stopping_does_not_wait_for_a_model(make_server, make_models):
    models = make_models()
    models.always(faults.Silence())
    server = start(make_server, models, timeout=60000)
    messages = [question(number) for number in range(COUNT)]
    ingest(server, messages)
    # All that there can be, so that none is answered after the service is well again and the server has gone.
    wait_until(lambda: models.busy == 4, what="requests under way")
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 20 * SLOWNESS, "a third of the model's time"
    wait_until(lambda: models.busy == 0, what="their end")
    models.heal()
    server.start()
    server.drain(30)
    check_all_enriched(server, messages)
    assert models.answered == {message["message_id"]: 1 for message in messages}
