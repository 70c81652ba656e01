"""Models behind an OpenAI-compatible service: llama-server, and a scripted one that shows what it was asked."""

import pytest

from conftest import SANITIZER, wait_until
from model_server import Unauthorized
from models import check_all_enriched, check_enriched, ingest, prometheus, provider, question, stored

KEY = "sk-secret-0123456789-abcdefgh"
CONFIG = """
llm:
  provider: {provider}
  openai:
    base_url: {url}
    api_key: {key}
    model: {model}
    timeout: 60
    prices: {{"scripted": {{input: 1.0, output: 2.0}}}}
{more}
enrichment:
  workers: {workers}
  in_flight: {in_flight}
  batch: {batch}
"""


def config(url, name="openai", key=KEY, model="scripted", workers=4, in_flight=2, batch=8, more=""):
    return CONFIG.format(provider=name, url=url, key=key, model=model, workers=workers, in_flight=in_flight,
                         batch=batch, more=more)


def test_llama_server(make_server, llama_server):
    """
    A real server, one question a request and several: what a model of random weights says under its grammar. It
    takes a tenth of a second over an answer, mostly to find tokens that the grammar allows.
    """
    server = make_server(config=config(llama_server.url, model="tiny", batch=1))
    messages = [question(number) for number in range(20 if SANITIZER else 100)]
    ingest(server, messages)
    server.drain(400)
    metrics = check_all_enriched(server, messages, "tiny")
    assert metrics["error_count"] == 0, metrics
    assert provider(server, "openai")["tokens_cached"] > 0, "the server keeps the prompt"
    server.stop()
    server.config = config(llama_server.url, model="tiny", batch=4)
    server.start()
    more = [question(number) for number in range(1000, 1012)]
    ingest(server, more)
    server.drain(60)
    check_all_enriched(server, more, "tiny")


def test_every_answer_is_of_use(make_server, make_models):
    models = make_models(latency=0.02)
    server = make_server(config=config(models.url))
    messages = [question(number) for number in range(100 if SANITIZER else 500)]
    ingest(server, messages)
    server.drain(60)
    metrics = check_all_enriched(server, messages, "scripted")
    assert metrics["error_count"] == 0, metrics
    assert models.asked == {message["message_id"]: 1 for message in messages} == models.answered
    assert models.most_busy <= 8 and len(models.sockets) <= 8, "four workers with two requests each"
    assert len(models.requests) <= len(messages) / 4, "most requests carry several messages"


def test_requests(make_server, make_models):
    models = make_models()
    server = make_server(config=config(models.url, batch=1))
    ingest(server, [question(number) for number in range(3)])
    server.drain()
    for asked in models.requests:
        assert asked.path == "/v1/chat/completions"
        assert asked.headers["authorization"] == f"Bearer {KEY}"
        assert asked.body["model"] == "scripted" and asked.body["temperature"] == 0
        assert asked.format["type"] == "json_schema" and asked.format["json_schema"]["strict"] is True
        assert asked.schema["additionalProperties"] is False
        assert sorted(asked.schema["required"]) == sorted(asked.schema["properties"])
        assert [message["role"] for message in asked.messages] == ["system", "user"]
        assert asked.system == models.requests[0].system, "the same prompt each time, which services keep"
    assert not models.others, "nothing but completions is asked for"


def test_no_key(make_server, make_models):
    models = make_models()
    server = make_server(config=config(models.url, key='""'))
    ingest(server, [question(1)])
    server.drain()
    assert "authorization" not in models.requests[0].headers


def test_cost(make_server, make_models):
    models = make_models()
    server = make_server(config=config(models.url))
    messages = [question(number) for number in range(40)]
    ingest(server, messages)
    server.drain()
    model = provider(server, "openai")
    assert model["calls"] == len(models.requests) and model["cost_usd"] > 0, model
    expected = (model["tokens_in"] + 2 * model["tokens_out"]) / 1e6
    assert model["cost_usd"] == pytest.approx(expected, rel=0.01), model
    assert prometheus(server, 'mindcore_llm_cost_usd_total{provider="openai"}') == pytest.approx(expected, rel=0.01)
    assert prometheus(server, 'mindcore_llm_tokens_total{provider="openai",direction="in"}') == model["tokens_in"]


@pytest.mark.usefixtures("within_a_day")
def test_cap_on_requests(make_server, make_models):
    """With auto, what the cap leaves over is enriched without a model; a restart does not lift the cap."""
    models = make_models()
    server = make_server(config=config(models.url, "auto", batch=1, workers=1, in_flight=1,
                                       more="  daily_cap_calls: 5"))
    first = [question(number) for number in range(10)]
    ingest(server, first)
    server.drain()
    asked = len(models.requests)
    assert asked >= 5, "the cap may be passed by what is under way, not be missed"
    second = [question(number) for number in range(10, 20)]
    ingest(server, second)
    server.drain()
    server.restart()
    ingest(server, [question(20)])
    server.drain()
    assert len(models.requests) == asked
    for message in stored(server, [*second, question(20)]):
        assert message["metadata"]["method"] == "builtin" and "cap" in message["metadata"]["fallback_reason"], message
    caps = server.http.get("/v1/models").json["caps"]
    assert (caps["daily_calls"], caps["calls_today"], caps["reached"]) == (5, asked, True), caps


def test_auto_prefers_the_local_model(make_server, make_models, tiny_model):
    models = make_models()
    server = make_server(config=config(models.url, "auto", more=f"  llama_cpp:\n    model_path: {tiny_model}\n"
                                                                "    n_threads: 1"))
    ingest(server, [question(number) for number in range(8)])
    server.drain()
    assert not models.requests
    listed = [model["provider"] for model in server.http.get("/v1/models").json["models"]]
    assert listed == ["llama_cpp", "openai", "builtin"]
    for message in stored(server, [question(number) for number in range(8)]):
        check_enriched(message)


def test_commands_tell_of_it(make_server, make_models, cli):
    models = make_models()
    server = make_server(config=config(models.url))
    options = ["--config", server.folder / "mindcore.yaml", "--db", server.db]
    ingest(server, [question(1)])
    server.drain()
    listed = {model["provider"]: model for model in cli("models", *options, "--json", status=0).json["models"]}
    assert listed["openai"]["state"] == "ready" and listed["openai"]["model"] == "scripted"
    assert listed["llama_cpp"]["state"] in ("off", "not in this build") and listed["llama_cpp"]["detail"]
    asked = len(models.requests)
    checks = cli("doctor", *options, "--json", status=0).json["checks"]
    found = next(check for check in checks if "openai" in check["name"])
    assert found["ok"] and len(models.requests) == asked + 1, "one small question is asked"
    models.always(Unauthorized())
    result = cli("doctor", *options, "--json", status=1)
    found = next(check for check in result.json["checks"] if "openai" in check["name"])
    assert not found["ok"] and "401" in found["detail"] and "OPENAI_API_KEY" in found["detail"] + found["advice"], found
    models.stop()
    result = cli("doctor", *options, status=1)
    assert "FAIL" in result.out and models.url.removesuffix("/v1") in result.out, result


def test_the_key_is_never_told(make_server, make_models, cli):
    """Not even by a service that repeats it in its errors."""
    models = make_models()
    models.always(Unauthorized())
    more = "logging:\n  level: debug\n"
    server = make_server(config=config(models.url, batch=1, more="  breaker_cooldown: 20ms") + more, args=["-vv"])
    options = ["--config", server.folder / "mindcore.yaml", "--db", server.db]
    messages = [question(number) for number in range(4)]
    ingest(server, messages)
    wait_until(lambda: not server.http.get("/v1/workers/health").json["healthy"], what="health that tells")
    paths = "models queue workers/health enrichment/metrics metrics".split()
    told = [server.http.get(path).body.decode() for path in ["/metrics", "/health", *(f"/v1/{path}" for path in paths)]]
    told.append(str(stored(server, messages)))
    for command in (["models"], ["doctor"], ["config", "show"], ["queue", "list"], ["status"]):
        result = cli(*command, *options)
        told += [result.out, result.err]
    told.append(server.stderr)
    assert any("401" in text for text in told), "the error is told"
    for text in told:
        assert KEY not in text and KEY[3:] not in text
