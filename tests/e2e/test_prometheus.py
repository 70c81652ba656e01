"""
A real Prometheus scrapes a real server under load with the configuration of deploy/: the queries of the tuning guide,
of every panel of the dashboard and of every alert give sane values.
"""

import json
import math
import re
import subprocess
import time
import urllib.request

import pytest

from conftest import ROOT, SANITIZER, SLOWNESS, Server, free_port, message, wait_until
from model_server import ModelServer, Status
from models import question
from scraper import RULES, Prometheus, find_prometheus

PROMETHEUS, PROMTOOL = find_prometheus()
needs_prometheus = pytest.mark.skipif(not PROMETHEUS or not PROMTOOL, reason="no Prometheus: apt-get install prometheus")
pytestmark = needs_prometheus

CONFIG = """
llm:
  provider: auto
  openai:
    base_url: {url}
    api_key: sk-0123456789
    model: scripted
    prices: {{"scripted": {{input: 1.0, output: 2.0}}}}
enrichment:
  workers: 2
  retry_min: 10ms
  retry_max: 50ms
context:
  mode: llm
"""
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def fetch(port, accept=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept} if accept else {})
    with urllib.request.urlopen(request, timeout=30 * SLOWNESS) as answer:
        return answer.headers["Content-Type"], answer.read().decode("utf-8")


def samples(text):
    """{series: value} of an exposition."""
    pairs = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, _, value in pairs}


def load(server, first, count=30):
    """A little of everything; returns how many messages were stored."""
    messages = [question(number) for number in range(first, first + count)]
    messages += [message("The parcel from Lyon has a broken lid.", thread_id=f"t{first}")]
    messages += [message("thanks!", thread_id=f"t{number}") for number in range(first, first + count // 2)]
    for item in messages:
        assert server.http.post("/v1/messages", item).status in (200, 201)
    for number in range(first, first + count):
        assert server.http.get(f"/v1/users/u1/threads/t{number}/messages").status == 200
    for _ in range(5):
        assert server.http.post("/v1/context", {"user_id": "u1", "thread_id": f"t{first}", "query": "refund"}).status == 200
        assert server.http.get("/v1/users/u1/search", query={"q": "refund"}).status == 200
    server.drain(60)
    return len(messages)


@pytest.fixture(scope="module", name="bench")
def make_bench(tmp_path_factory):
    """(server, Prometheus, port of the metrics): scraped once before the load, so that every rate has a beginning."""
    folder = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    models = ModelServer().start()
    models.script(*[Status(500)] * 3)  # as many as llm.openai.max_retries: no message fails, even if it meets them all
    server = Server(folder, config=CONFIG.format(url=models.url), args=["-o", f"server.metrics_listen=127.0.0.1:{port}"])
    with server, Prometheus(folder, f"127.0.0.1:{port}") as prometheus:
        wait_until(lambda: prometheus.value("mindcore_messages_ingested_total") == 0, 30, "a scrape of the idle server")
        server.idle = samples(fetch(port)[1])
        stored = load(server, 0)
        wait_until(lambda: prometheus.value("mindcore_messages_ingested_total") == stored, 30, "a scrape")
        assert server.http.post("/v1/cache/invalidate", {"all": True}).status == 200
        for number in range(30):  # each must be read from the store
            assert server.http.get(f"/v1/users/u1/threads/t{number}/messages").status == 200
        stored += load(server, 100)
        fresh = f"timestamp(mindcore_messages_ingested_total) > {time.time()}"
        wait_until(lambda: prometheus.value(f"mindcore_messages_ingested_total and {fresh}") == stored, what="a scrape of all")
        yield server, prometheus, port
    models.stop()


# Query, and what its values must be: those of the tuning guide, as they stand there.
GUIDE = {
    "rate(mindcore_messages_ingested_total[5m]) * 60": lambda values: len(values) == 1 and values[0] > 0,
    "rate(mindcore_messages_enriched_total[5m]) * 60": lambda values: len(values) == 3 and sum(value > 0 for value in values) == 2,
    'sum(rate(mindcore_cache_operations_total{result="hit"}[5m])) /\nsum(rate(mindcore_cache_operations_total[5m]))':
        lambda values: len(values) == 1 and 0 < values[0] < 1,
    "mindcore_enrichment_queue_depth": lambda values: values == [0],
    "histogram_quantile(0.95, rate(mindcore_enrichment_duration_seconds_bucket[5m]))":
        lambda values: len(values) == 2 and all(0 < value <= 60 for value in values),
    "rate(mindcore_errors_total[5m])": lambda values: len(values) == 6 and sum(value > 0 for value in values) == 1,
}


def answered(prometheus, expression):
    """Its values. A scrape that a busy machine leaves out of time is a gap, and the next one ends it."""
    return wait_until(lambda: prometheus.numbers(expression), 30, expression)


@pytest.mark.parametrize("query", GUIDE)
def test_queries_of_the_guide(bench, query):
    values = answered(bench[1], query)
    assert GUIDE[query](values), values


def test_numbers_agree(bench):
    """What Prometheus has is what the interface says."""
    server, prometheus, _ = bench
    told = server.http.get("/v1/metrics").json
    for name, series in {"messages_ingested": "mindcore_messages_ingested_total",
                         "messages_enriched": "sum(mindcore_messages_enriched_total)",
                         "context_requests": "mindcore_context_requests_total",
                         "search_requests": "mindcore_search_requests_total",
                         "cache_hits": 'mindcore_cache_operations_total{result="hit"}',
                         "worker_pool_size": "mindcore_worker_pool_size",
                         "active_workers": "mindcore_active_workers",
                         "errors": "sum(mindcore_errors_total)"}.items():
        wait_until(lambda series=series, name=name: prometheus.value(series) == told[name], what=name)
    assert told["errors"] > 0, "the model's"
    assert prometheus.value("count(mindcore_build_info)") == 1


def panels():
    dashboard = json.loads((ROOT / "deploy/grafana/mindcore.json").read_text(encoding="utf-8"))
    return {f"{panel['title']} {target['refId']}": (target["expr"], panel)
            for panel in dashboard["panels"] for target in panel.get("targets", [])}


# What no server of this test can show: it has no external sources.
WITHOUT_A_VALUE = {"Latency of external sources A"}


@pytest.mark.parametrize("name", panels())
def test_panels_of_the_dashboard(bench, name):
    expression, panel = panels()[name]
    if name in WITHOUT_A_VALUE:
        assert not bench[1].numbers(expression)
        return
    values = answered(bench[1], expression)
    assert all(value >= 0 and math.isfinite(value) for value in values), values
    if panel["fieldConfig"]["defaults"]["unit"] == "percentunit":
        assert all(0 < value < 1 for value in values), values


def test_panels_show_every_metric_and_the_guide():
    expressions = [expression for expression, _ in panels().values()]
    assert set(GUIDE) <= set(expressions)
    table = (ROOT / "src/base/metrics_table.h").read_text(encoding="utf-8")
    names = set(re.findall(r'"(mindcore_\w+)"', table))
    assert len(names) > 20
    unused = {name for name in names if not any(re.search(rf"{name}(_bucket)?\b", text) for text in expressions)}
    assert not unused, "metrics on no panel"


def test_the_dashboard_is_one():
    dashboard = json.loads((ROOT / "deploy/grafana/mindcore.json").read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    assert dashboard["uid"] and dashboard["schemaVersion"] >= 36
    taken = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert [item["name"] for item in dashboard["templating"]["list"]] == ["datasource"]


def test_alerts_are_quiet_at_a_well_server(bench):
    wait_until(lambda: "MindcoreDown" in bench[1].alerts(), 30, "the rules")
    loud = {name for name, state in bench[1].alerts().items() if state == "firing"}
    assert not loud


# ---- Causes ----

# Series that the load does not move, and the test that does: its file, and the words in it that say so.
ELSEWHERE = {
    r"mindcore_(enrichment_queue_depth|enrichment_oldest_job_age_seconds|busy_workers|active_workers|worker_pool_size"
    r"|healthy|store_disk_size_bytes)": ("unit/test_operate.c", '"{name}"'),
    r"mindcore_build_info.*": ("unit/test_metrics.c", '"{name}{{version='),
    r'mindcore_(messages_enriched_total|enrichment_duration_seconds_(count|sum)){method="builtin"}':
        ("unit/test_operate.c", 'metric_is(engine, ENRICHED("builtin"), 1)'),
    r"mindcore_enrichment_dead_jobs": ("unit/test_operate.c", '"{name}", 3'),
    r"mindcore_enrichment_dead_total": ("unit/test_model_stage.c", "MC_COUNT_ENRICHMENT_DEAD)"),
    r"mindcore_enrichment_retries_total": ("unit/test_model_stage.c", "MC_COUNT_ENRICHMENT_RETRY)"),
    r'mindcore_errors_total{error_type="enrichment"}': ("unit/test_model_stage.c", "MC_COUNT_ERROR_ENRICHMENT)"),
    r'mindcore_errors_total{error_type="(ingest|store|cache)"}': ("unit/test_full_disk.c", 'errors_of(engine, "{value}")'),
    r'mindcore_errors_total{error_type="context"}': ("unit/test_engine_memory.c", 'counted(engine, "context"'),
    r"mindcore_llm_(calls|call_failures|tokens|cost_usd)_total.*|mindcore_llm_call_duration_seconds.*":
        ("unit/test_models.c", '"{name}'),
    r'mindcore_llm_circuit_open{provider="llama_cpp"}': ("unit/test_models.c", 'circuit_open{{provider=\\"llama_cpp\\"}}"), 1'),
    r'mindcore_llm_circuit_open{provider="openai"}': ("e2e/test_models_faults.py", "{series}') == 1"),
    r'mindcore_source_lookups_total{result="(\w+)"}': ("unit/test_lookup.c", "counted(MC_COUNT_SOURCE_{VALUE})"),
    r"mindcore_source_lookup_duration_seconds_(count|sum)": ("unit/test_lookup.c", "MC_TIME_SOURCE_LOOKUP"),
    r'mindcore_vectors_total{result="given_up"}': ("unit/test_embedder.c", "MC_COUNT_VECTORS_{VALUE})"),
    r'mindcore_(vectors_total|meaning_queries_total|vectors_stored){\w+="\w+"}|mindcore_embeddings_circuit_open'
    r"|mindcore_vectors_waiting": ("e2e/test_embeddings.py", "{series}"),
    r"mindcore_store_context_reads_total{.*}|mindcore_store_replica(s_serving|_lag_seconds)":
        ("e2e/test_replicas.py", "{name}"),
    r'mindcore_http_requests_total{.*code="(\w+)"}': ("e2e/test_http_metrics.py", '"{value}")'),
    r"mindcore_http_request_duration_seconds_(count|sum){.*}": ("unit/test_metrics.c", "counts.sum_us"),
    r'mindcore_http_rejected_total{reason="(auth|host|size|connections)"}':
        ("e2e/test_http_metrics.py", 'counted.rejected, "{value}"'),
    r'mindcore_http_rejected_total{reason="(concurrency|memory|slow)"}':
        ("e2e/test_http_metrics.py", 'counted.rejected("{value}")'),
    r'mindcore_http_rejected_total{reason="rate"}': ("e2e/test_http_metrics.py", "{series}"),
    r"mindcore_http_(tls_failures_total|connections)": ("e2e/test_http_metrics.py", "{name}"),
    r"process_(max_fds|start_time_seconds)": ("unit/test_metrics.c", "{name} "),
}

# Those that the load may move, or not: which of two alike is enriched first, and what other programs do, decide.
SOMETIMES = {
    r"mindcore_enrichment_reused_total": ("unit/test_model_stage.c", "MC_COUNT_ENRICHMENT_REUSED)"),
    r"mindcore_store_disk_free_bytes": ("unit/test_operate.c", '"{name}"'),
    r"process_(open_fds|(virtual|resident)_memory_bytes)": ("unit/test_metrics.c", "{name} "),
}


def test_every_metric_has_a_cause(bench):
    """No series is without a test that makes it move; a new one fails here until it has one."""
    server, _, port = bench
    now = samples(fetch(port)[1])
    still = {series for series in now if now[series] == server.idle.get(series, 0) and "_bucket" not in series}
    assert len(still) < len(server.idle) / 2
    tests = {**ELSEWHERE, **SOMETIMES}
    unused = set(ELSEWHERE)
    for series in still:
        found = [pattern for pattern in tests if re.fullmatch(pattern, series)]
        assert found, f"{series}: no test causes it"
        path, words = tests[found[0]]
        value = "".join(re.findall(r'"(\w+)"}$', series))
        words = words.format(name=series.partition("{")[0], series=series, value=value, VALUE=value.upper())
        assert words in (ROOT / "tests" / path).read_text(encoding="utf-8"), f"{series}: {path} has no {words}"
        unused -= set(found)
    assert not unused, "the load moves these now"


# ---- The documentation ----

def table(text):
    """What docs/monitoring.md says of the metrics, made from an exposition."""
    rows = []
    for name, help_text in re.findall(r"^# HELP (\S+) (.*)$", text, re.M):
        kind = re.search(rf"^# TYPE {name} (\w+)$", text, re.M)[1]
        values = {}
        for label, value in re.findall(r'(\w+)="([^"]*)"', " ".join(re.findall(rf"^{name}(?:_\w+)?{{(.*)}}", text, re.M))):
            if name.startswith("mindcore_http_request") and label in ("route", "method"):
                value = {"route": "a template, or other", "method": "the route's, or other"}[label]
            values.setdefault(label, [])
            if value not in values[label]:
                values[label].append(value)
        labels = "; ".join(f"{label}: {', '.join(found)}" for label, found in values.items()
                           if label not in ("le", "version"))
        rows.append(f"| `{name}` | {kind} | {labels} | {help_text} |")
    return "\n".join(rows)


def test_the_documentation_has_every_metric(bench):
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    expected = table(fetch(bench[2])[1])
    assert expected in text, f"docs/monitoring.md should have:\n{expected}"


def test_the_documentation_has_every_alert():
    """A section for each, in the order and with the severity of the rules; their links lead there."""
    yaml = pytest.importorskip("yaml")
    groups = yaml.safe_load((RULES / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    text = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    told = re.findall(r"^### (Mindcore\w+)\n\n\*(critical|warning)\*", text, re.M)
    assert told == [(rule["alert"], rule["labels"]["severity"]) for rule in rules]
    for rule in rules:
        assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{rule['alert'].lower()}"


# ---- The text ----

@pytest.mark.parametrize("accept", [None, OPENMETRICS])
def test_the_text_is_in_order(bench, accept):
    content_type, text = fetch(bench[2], accept)
    assert content_type.startswith("application/openmetrics-text" if accept else "text/plain; version=0.0.4")
    if not accept:
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    assert families["mindcore_ingestion_duration_seconds"].unit == "seconds"
    assert families["mindcore_messages_ingested"].type == "counter"
    assert families["mindcore_build"].type == "info"


def test_both_texts_have_the_same_series(bench):
    plain, opened = samples(fetch(bench[2])[1]), samples(fetch(bench[2], OPENMETRICS)[1])
    assert list(plain) == list(opened)
    steady = [series for series in plain if re.match(r"mindcore_(messages|context|cache_operations|enrichment)", series)]
    assert steady and all(plain[series] == opened[series] for series in steady)


def test_prometheus_asks_for_openmetrics(bench):
    """Its scrapes are parsed as what they are, or none of the other tests would mean much."""
    def is_well():
        targets = bench[1].get("/api/v1/targets")["activeTargets"]
        return [(target["health"], target["lastError"]) for target in targets] == [("up", "")]
    wait_until(is_well, what="a scrape that is in time")
    metadata = bench[1].get("/api/v1/metadata", metric="mindcore_ingestion_duration_seconds")
    assert metadata["mindcore_ingestion_duration_seconds"][0]["unit"] == "seconds", "only OpenMetrics has units"


# ---- The rules ----

@pytest.mark.skipif(bool(SANITIZER), reason="does not run the program: once is enough")
@pytest.mark.parametrize("command", [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"),
                                     ("test", "rules", "alerts_test.yml")])
def test_promtool(command):
    done = subprocess.run([PROMTOOL, *command], cwd=RULES, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested():
    """To fire and not to fire: promtool is content with rules that no test names."""
    yaml = pytest.importorskip("yaml")
    groups = yaml.safe_load((RULES / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"]}
    tests = yaml.safe_load((RULES / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    fired, quiet = set(), set()
    for test in tests:
        for case in test["alert_rule_test"]:
            (fired if case["exp_alerts"] else quiet).add(case["alertname"])
            assert all(found["exp_labels"].get("instance", "bad") == "bad" for found in case["exp_alerts"])
    assert fired == quiet == alerts


# The last of all: it ends the server of the others.
def test_a_server_that_ends_is_noticed(bench):
    server, prometheus, _ = bench
    server.stop()
    wait_until(lambda: prometheus.value("up") == 0, what="its end")
    wait_until(lambda: prometheus.alerts()["MindcoreDown"] in ("pending", "firing"), what="the alert")
