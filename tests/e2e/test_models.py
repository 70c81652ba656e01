"""Models as people see them: the list, the ledger, the check, over the command line and over HTTP."""

import re
import subprocess

import pytest

from conftest import PROGRAM, SLOWNESS, environment, free_port, message, wait_until
from model_server import ModelServer
from schema_check import check

PRICES = '{"gpt-4o-mini": {"input": 1000, "output": 2000}}'


@pytest.fixture
def models():
    with ModelServer(model="gpt-4o-mini") as server:
        yield server
        assert server.errors == []


@pytest.fixture
def stored(cli, db):
    cli("ingest", "--db", db, input=[message("Where is my order?", message_id="m1")], status=0)
    return db


def options_for(url, *more):
    return ["-o", f"llm.openai.base_url={url}", "-o", f"llm.openai.prices={PRICES}",
            *(part for option in more for part in ("-o", option))]


def has_llama():
    libraries = subprocess.run([str(PROGRAM), "version"], capture_output=True, text=True, check=True,
                               env=environment()).stdout
    return "llama.cpp" in libraries


def test_without_a_model(cli, stored):
    value = cli("models", "--db", stored, "--json", status=0).json
    assert value["provider"] == "builtin"
    assert [(m["provider"], m["state"]) for m in value["models"]][1:] == [("openai", "off"), ("builtin", "ready")]
    assert all(m["detail"] for m in value["models"])
    assert value["caps"]["reached"] is False and value["caps"]["daily_usd"] is None
    out = cli("models", "--db", stored, status=0).out
    assert re.match(r"provider +state +model +context +tokens/s +calls today +USD today +detail\n", out), out
    assert "llm.llama_cpp.model_path" in out or "not in this build" in out
    assert "llm.openai.api_key" in out
    off = cli("models", "--db", stored, "-o", "llm.provider=builtin", "--json", status=0).json
    assert "llm.provider is builtin" in [m["detail"] for m in off["models"]]


def test_an_empty_ledger(cli, stored):
    value = cli("models", "--usage", "--db", stored, "--json", status=0).json
    assert value["usage"] == [] and value["total"]["calls"] == 0
    assert "usage" in cli("models", "--usage", "--db", stored, status=0).out
    result = cli("models", "--check", "--db", stored, status=0)
    assert "no model is configured" in result.err


@pytest.mark.parametrize("args", [["--usage", "--check"], ["--since", "1d"], ["--usage", "--since", "nonsense"]])
def test_command_lines_that_make_no_sense(cli, stored, args):
    assert cli("models", "--db", stored, *args, status=2).err


def test_days_in_the_wrong_order(cli, stored):
    result = cli("models", "--usage", "--since", "2026-11-02", "--until", "2026-11-01", "--db", stored, status=1)
    assert "first day" in result.err


@pytest.mark.usefixtures("within_a_day")
def test_a_check_is_counted(cli, stored, models):
    options = options_for(models.url)
    result = cli("models", "--check", "--db", stored, *options, status=0)
    assert re.match(r"ok +openai: .* answered after", result.out), result.out
    value = cli("models", "--check", "--db", stored, *options, "--json", status=0).json
    assert value["ok"] is True and value["checks"][0]["latency_ms"] > 0
    usage = cli("models", "--usage", "--db", stored, "--json", status=0).json
    row = usage["usage"][0]
    assert (len(usage["usage"]), row["operation"], row["provider"], row["calls"]) == (1, "check", "openai", 2)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["day"])
    assert row["tokens_in"] > 0 and row["tokens_out"] > 0 and row["cost_usd"] > 0
    assert usage["total"]["cost_usd"] == pytest.approx(row["cost_usd"])
    listed = cli("models", "--db", stored, *options, "--json", status=0).json
    openai = listed["models"][0]
    assert (openai["provider"], openai["calls_today"], openai["calls"]) == ("openai", 2, 0)
    assert openai["cost_today_usd"] == pytest.approx(row["cost_usd"])
    assert openai["tokens_per_second"] > 0 and openai["latency_ms"] > 0
    assert re.search(rf"^openai +ready +gpt-4o-mini .* 2 +{row['cost_usd']:.4f}", cli("models", "--db", stored, *options,
                                                                                     status=0).out, re.M)
    assert cli("models", "--usage", "--until", "2001-01-01", "--db", stored, "--json", status=0).json["usage"] == []


@pytest.mark.usefixtures("within_a_day")
def test_a_daily_cap_holds_over_runs(cli, stored, models):
    options = options_for(models.url, "llm.daily_cap_calls=1")
    cli("models", "--check", "--db", stored, *options, status=0)
    asked = len(models.requests)
    result = cli("models", "--check", "--db", stored, *options, status=0)
    assert "daily cap of 1 calls reached" in result.out
    assert len(models.requests) == asked
    value = cli("models", "--db", stored, *options, "--json", status=0).json
    assert value["caps"]["reached"] is True and value["caps"]["calls_today"] == 1
    assert "daily cap" in value["models"][0]["detail"]


def test_no_price(cli, stored, models):
    options = ["-o", f"llm.openai.base_url={models.url}"]
    value = cli("models", "--db", stored, *options, "--json", status=0).json
    assert "no price configured" in value["models"][0]["detail"]
    result = cli("models", "--db", stored, *options, "-o", "llm.daily_cap_usd=5", "-v", status=0)
    assert "llm.daily_cap_usd has no effect" in result.err


def test_the_doctor_asks_each_model(cli, stored, models):
    assert "ok   model openai: " in cli("doctor", "--db", stored, *options_for(models.url), status=0).out
    dead = f"http://127.0.0.1:{free_port()}/v1"
    result = cli("doctor", "--db", stored, *options_for(dead, "llm.openai.max_retries=0"), status=1)
    assert re.search(r"FAIL model openai: .+\n +.*llm.openai.base_url", result.out), result.out


def test_what_is_missing_is_named_at_the_start(cli, stored):
    result = cli("status", "--db", stored, "-o", "llm.provider=openai", status=1)
    assert "llm.openai.api_key" in result.err
    result = cli("status", "--db", stored, "-o", "llm.provider=llama_cpp", status=1)
    assert "llm.llama_cpp.model_path" in result.err
    result = cli("status", "--db", stored, "-o", "llm.provider=llama_cpp", "-o",
                 "llm.llama_cpp.model_path=/nonexistent/model.gguf", status=0 if has_llama() else 1)
    assert has_llama() or "llama.cpp" in result.err


def test_a_file_that_is_no_model(cli, stored, tmp_path, make_server):
    (tmp_path / "model.gguf").write_text("no model", encoding="utf-8")
    options = ["-o", f"llm.llama_cpp.model_path={tmp_path / 'model.gguf'}"]
    # What is stored can be seen without it.
    assert cli("recent", "--db", stored, "--user", "u1", "--thread", "t1", "--json", *options,
               status=0).json["messages"]
    if not has_llama():
        result = cli("models", "--db", stored, *options, "-v", status=0)
        assert "not in this build" in result.out and "no llama.cpp" in result.err
        return
    assert re.search(r"^llama_cpp +not loaded +model.gguf", cli("models", "--db", stored, *options, status=0).out, re.M)
    result = cli("models", "--check", "--db", stored, *options, status=1)
    assert re.match(r"FAIL +llama_cpp: .+\n +.+", result.out), result.out
    server = make_server(start=False, db=stored, args=options)
    server.launch()
    assert server.process.wait(30 * SLOWNESS) == 1
    server.process = None
    wait_until(lambda: "llm.llama_cpp.model_path" in server.stderr or "model.gguf" in server.stderr, what="the reason")


def test_over_http(make_server, models):
    server = make_server(args=options_for(models.url, "llm.daily_cap_calls=100"))
    document = server.http.get("/openapi.json").json
    value = server.http.get("/v1/models").json
    check(value, {"$ref": "#/components/schemas/ModelList"}, document)
    assert [m["provider"] for m in value["models"]] == ["openai", "llama_cpp", "builtin"]
    assert value["provider"] == "openai" and value["caps"]["daily_calls"] == 100
    usage = server.http.get("/v1/usage")
    assert usage.status == 200
    check(usage.json, {"$ref": "#/components/schemas/Usage"}, document)
    assert server.http.get("/v1/usage", query={"since": "2026-11-01", "until": "2026-11-30"}).status == 200
    for query, field in (({"since": "x"}, "since"), ({"until": "2026-02-30"}, "until"),
                         ({"since": "2026-11-02", "until": "2026-11-01"}, "since")):
        refused = server.http.get("/v1/usage", query=query)
        assert (refused.status, refused.json["field"]) == (400, field), refused
    health = server.http.get("/health").json
    assert health["checks"]["models"] == {"ok": True, "detail": "openai"}
    metrics = server.http.get("/metrics").json
    assert 'mindcore_llm_circuit_open{provider="openai"} 0' in metrics
    assert 'mindcore_llm_cost_usd_total{provider="openai"} 0.' in metrics


@pytest.mark.usefixtures("within_a_day")
def test_a_server_and_a_command_share_the_ledger(cli, make_server, models):
    server = make_server(args=options_for(models.url))
    cli("models", "--check", "--db", server.db, *options_for(models.url), status=0)
    assert server.http.get("/v1/models").json["models"][0]["calls_today"] == 1
    assert server.http.get("/v1/usage").json["total"]["calls"] == 1
