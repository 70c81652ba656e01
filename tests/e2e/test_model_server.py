"""The model server of these tests does what the tests of models rely on."""

import http.client
import json
import random
import time

import pytest

import model_server as models
from schema_answers import answer, spoil_enumerations
from schema_check import check

RESULT = {
    "type": "object", "additionalProperties": False, "required": ["topics", "importance", "tags", "what", "sure"],
    "properties": {
        "topics": {"type": "array", "items": {"enum": ["billing", "refund", "order"]}, "minItems": 1, "maxItems": 3,
                   "uniqueItems": True},
        "importance": {"type": "integer", "minimum": 0, "maximum": 10},
        "tags": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 12}, "maxItems": 4},
        "what": {"anyOf": [{"type": "object", "properties": {"kind": {"const": "none"}}, "required": ["kind"]},
                           {"type": "object", "properties": {"kind": {"const": "some"}, "of": {"type": "number"}},
                            "required": ["kind", "of"]}]},
        "sure": {"type": "boolean"},
    },
}
WRAPPED = {"type": "object", "additionalProperties": False, "required": ["results"], "properties": {
    "results": {"type": "array", "maxItems": 16, "items": {
        "type": "object", "additionalProperties": False, "required": ["id", "result"],
        "properties": {"id": {"type": "string", "maxLength": 8}, "result": RESULT}}}}}


@pytest.fixture
def models_server(make_models):
    return make_models()


def ask(server, text="[m1] where is my refund?", schema=RESULT, timeout=30, **more):
    """(status, headers, body) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    body = {"messages": [{"role": "system", "content": "Describe."}, {"role": "user", "content": text}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}, **more}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer sk-1"})
        reply = connection.getresponse()
        return reply.status, dict(reply.getheaders()), reply.read()
    finally:
        connection.close()


def content(body):
    return json.loads(json.loads(body)["choices"][0]["message"]["content"])


def test_made_up_answers_follow_their_schema():
    for seed in range(300):
        value = answer(RESULT, random.Random(seed))
        check(value, RESULT, RESULT)
    with pytest.raises(AssertionError, match="florb"):
        check(spoil_enumerations(value, RESULT), RESULT, RESULT)


def test_one_question(models_server):
    status, _, body = ask(models_server)
    assert status == 200
    check(content(body), RESULT, RESULT)
    assert content(body) == content(ask(models_server)[2]), "the same question gets the same answer"
    assert models_server.asked == {"m1": 2} and models_server.answered == {"m1": 2}


def test_several_questions(models_server):
    items = [{"id": str(number), "text": f"[m{number}] hello"} for number in range(5)]
    value = content(ask(models_server, json.dumps({"messages": items}), WRAPPED)[2])
    check(value, WRAPPED, WRAPPED)
    assert {item["id"] for item in value["results"]} == {"0", "1", "2", "3", "4"}
    assert models_server.answered.total() == 5
    models_server.script(models.missing_items(), models.wrong_ids())
    assert len(content(ask(models_server, json.dumps(items), WRAPPED)[2])["results"]) == 2
    value = content(ask(models_server, json.dumps(items), WRAPPED)[2])
    assert {item["id"] for item in value["results"]} == {"no-such-id"}
    assert models_server.answered.total() == 5


@pytest.mark.parametrize("fault, expected", [
    (models.Status(429, retry_after=7), 429), (models.Status(500), 500), (models.RefuseSchema(), 400),
    (models.Unauthorized(), 401)])
def test_errors_of_http(models_server, fault, expected):
    models_server.script(fault)
    status, headers, body = ask(models_server)
    assert status == expected
    assert headers.get("Retry-After") == ("7" if expected == 429 else None)
    assert expected != 401 or b"sk-1" in body
    assert ask(models_server)[0] == 200, "only the next request was scripted"


@pytest.mark.parametrize("fault, error", [
    (models.Reset(), ConnectionResetError), (models.Half(), http.client.IncompleteRead),
    (models.Silence(), TimeoutError)])
def test_broken_connections(models_server, fault, error):
    models_server.always(fault)
    with pytest.raises(error):
        ask(models_server, timeout=0.3 if error is TimeoutError else 30)
    models_server.heal()
    assert ask(models_server)[0] == 200


def test_slow_answer(models_server):
    models_server.script(models.Drip(0.3))
    began = time.monotonic()
    check(content(ask(models_server)[2]), RESULT, RESULT)
    assert time.monotonic() - began > 0.25


def test_bad_answers(models_server):
    models_server.script(models.Garbage(), models.not_json(), models.cut_off(), models.wrong_words(),
                         models.Huge(3_000_000))
    with pytest.raises(ValueError):
        json.loads(ask(models_server)[2])
    for _ in range(2):
        with pytest.raises(ValueError):
            content(ask(models_server)[2])
    with pytest.raises(AssertionError, match="florb"):
        check(content(ask(models_server)[2]), RESULT, RESULT)
    assert len(ask(models_server)[2]) > 3_000_000
    assert models_server.answered == {} and models_server.asked == {"m1": 5}


def test_stops_and_listens_again(models_server):
    port = models_server.port
    models_server.stop()
    with pytest.raises(ConnectionError):
        ask(models_server)
    models_server.start()
    assert models_server.port == port
    began = time.monotonic()
    models_server.latency = 0.05
    assert ask(models_server)[0] == 200
    assert time.monotonic() - began >= 0.05


def test_llama_server_answers(llama_server):
    topics = {**RESULT["properties"]["topics"], "uniqueItems": False}  # it does not see to that
    schema = {**RESULT, "properties": {**RESULT["properties"], "topics": topics}}
    for number in range(3):
        status, _, body = ask(llama_server, f"[m{number}] where is my refund?", schema, temperature=0, timeout=30)
        assert status == 200, llama_server.log
        check(content(body), schema, schema)
