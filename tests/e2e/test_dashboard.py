"""The dashboard in a browser: its numbers are the API's, its buttons work, and it trusts nothing that it shows."""

import re

import pytest

import model_server as faults
from browser import chromium, missing
from conftest import DATA, message, wait_until
from models import ingest, question

pytestmark = pytest.mark.plain_only  # the page is the same whatever the server was built with

KEY = "0123456789abcdef-dashboard"
EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
MODEL = """
llm:
  provider: openai
  breaker_failures: 1000
  openai:
    base_url: {url}
    api_key: sk-0123456789
    model: scripted
    max_retries: 0
    prices: {{"scripted": {{input: 1.0, output: 2.0}}}}
enrichment:
  max_attempts: 2
  retry_min: 20ms
  retry_max: 100ms
"""


@pytest.fixture(scope="module")
def browser():
    if missing():
        pytest.skip(missing())
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser):
    """open_page(server, part, ...) -> the page; in the end nothing was asked elsewhere and nothing complained."""
    contexts = []

    def open_(server, part="overview", expect=(), **options):
        if "not built" in server.http.get("/").json:
            pytest.skip("the dashboard is not built into this program: it needs npm")
        context = browser.new_context(**options)
        page = context.new_page()
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
        contexts.append((context, server.url, asked, complaints, expect))
        page.goto(f"{server.url}/#{part}")
        return page

    yield open_
    for context, url, asked, complaints, expect in contexts:
        assert asked and all(one.startswith(f"{url}/") for one in asked), asked
        assert not [text for text in complaints if not any(word in text for word in expect)], complaints
        context.close()


def fill(server):
    """The conversations of tests/data, and some reading."""
    lines = [line for name in ("support_acme", "assistant_trip") for line in
             (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
    server.http.post("/v1/messages", body="\n".join(lines), headers={"Content-Type": "application/x-ndjson"})
    server.drain()
    for _ in range(3):
        server.http.post("/v1/context", {"user_id": "maria.keller", "thread_id": "acme-orders", "query": "my tent"})
    server.http.get("/v1/users/maria.keller/search", query={"q": "tent"})
    return lines


def figure(page, name):
    return page.locator(f'[data-metric="{name}"]').first.inner_text()


def shows(page, name, text):
    """Waits until the figure has this text."""
    wait_until(lambda: figure(page, name) == text or page.wait_for_timeout(20), 20, f"{name} as {text!r}")


def milliseconds(text):
    value, unit = text.split()
    return float(value) * {"ms": 1, "s": 1000}[unit]


def test_numbers_are_those_of_the_api(make_server, open_page):
    server = make_server()
    page = open_page(server)
    shows(page, "ingest_note", "0 since the start")
    fill(server)
    page.reload()
    metrics, status = server.http.get("/v1/metrics").json, server.http.get("/v1/status").json
    shows(page, "messages", f"{status['messages']:,}")
    shows(page, "messages_note", f"{status['users']} users, {status['threads']} threads")
    shows(page, "ingest_note", f"{metrics['messages_ingested']:,} since the start")
    shows(page, "enrich_note", f"{metrics['messages_enriched']:,} since the start")
    shows(page, "queue_depth", "0")
    shows(page, "workers", f"{metrics['active_workers']} of {metrics['worker_pool_size']}")
    shows(page, "cache_note", f"{metrics['cache_hits']} of {metrics['cache_hits'] + metrics['cache_misses']} reads")
    assert float(figure(page, "cache_hit_rate").rstrip("%")) == pytest.approx(100 * metrics["cache_hit_rate"], abs=0.06)
    shows(page, "errors", str(metrics["errors"]))
    rows = {row.locator("td").first.inner_text(): row.locator("td").all_inner_texts()[1:]
            for row in page.locator("#latency tbody tr").all()}
    for name, expected in metrics["latency_ms"].items():
        assert [milliseconds(text) for text in rows["enrichment by rules" if name == "enrichment" else name]] == \
            pytest.approx([expected[nth] for nth in ("p50", "p95", "p99")], rel=0.01, abs=0.0006), name
    tiers = page.locator("#tiers .legend").inner_text().split()
    assert dict(zip(tiers[::2], map(int, tiers[1::2]))) == status["messages_by_tier"]
    page.locator("#health").get_by_text("healthy", exact=True).wait_for()
    page.locator("#chart-throughput canvas").wait_for()  # the only one, or it would complain

    # What happens while somebody looks: rates are told from two readings.
    # The page notes what it shows: the next reading, after which nothing happened, makes the rate 0 again.
    page.evaluate("""() => { window.seen = []; setInterval(() => window.seen.push(['ingest_note', 'ingest_rate'].map(
        (name) => document.querySelector(`[data-metric="${name}"]`).textContent)), 50); }""")
    ingest(server, [question(number) for number in range(50)])
    note = f"{metrics['messages_ingested'] + 50:,} since the start"
    wait_until(lambda: any(told == note and re.fullmatch(r"[\d.,]*[1-9][\d.,]* /s", rate)
                           for told, rate in page.evaluate("window.seen")), what=f"a rate, with {note}")

    page.click("#migrate")
    page.wait_for_function("document.getElementById('migration').textContent.startsWith('Due now')")
    due = server.http.post("/v1/tiers/migrate", {"dry_run": True}).json
    text = page.locator("#migration").inner_text()
    assert f"{due['messages_migrated']} messages to move, {due['threads_summarized']} threads to summarise" in text
    assert due["messages_migrated"] > 0, "and nothing was changed: all of it is still due"
    assert server.http.get("/v1/status").json["messages_by_tier"]["short"] == status["messages"] + 50


@pytest.mark.usefixtures("within_a_day")
def test_models_and_dead_jobs(make_server, make_models, open_page):
    """Usage and cost as the API tells them; a dead job says why, and is tried again by its button."""
    models = make_models()
    models.always(faults.Status(500, message="cannot <b>digest</b>"), when=lambda asked: "[m1]" in asked.user)
    server = make_server(config=MODEL.format(url=models.url))
    ingest(server, [question(number) for number in range(4)])
    server.drain()
    page = open_page(server, "queue")
    row = page.locator("#dead tbody tr")
    row.wait_for()
    dead = server.http.get("/v1/queue").json["dead_jobs"][0]
    assert row.locator("td").all_inner_texts()[:4] == [dead["message_id"], dead["user_id"], dead["error"], "2"]
    assert "cannot <b>digest</b>" in dead["error"], "and it was shown as text"
    shows(page, "queue_dead", "1")
    page.locator("#problems").get_by_text("cannot <b>digest</b>").first.wait_for()
    failures = page.locator("#failures .legend").inner_text().split()
    by_kind = dict(re.findall(r'mindcore_errors_total\{error_type="(\w+)"\} ([1-9]\d*)', server.http.get("/metrics").json))
    assert dict(zip(failures[::2], failures[1::2])) == by_kind

    page.goto(f"{server.url}/#models")
    page.locator("#usage tbody tr").first.wait_for()
    total = server.http.get("/v1/usage").json["total"]
    cells = page.locator("#usage tbody tr").first.locator("td").all_inner_texts()
    assert cells[:1] + cells[3:7] == ["Total", *(f"{total[name]:,}" for name in
                                                 ("calls", "failures", "tokens_in", "tokens_out"))]
    assert float(cells[7].lstrip("$")) == pytest.approx(total["cost_usd"], rel=0.01) and total["cost_usd"] > 0
    listed = server.http.get("/v1/models").json
    shows(page, "cost_note", f"{listed['caps']['calls_today']} calls")
    asked = next(model for model in listed["models"] if model["provider"] == "openai")
    card = page.locator('.model[data-provider="openai"]').inner_text()
    assert f"{asked['calls']}, {asked['failures']} failed" in card and asked["model"] in card

    models.heal()
    page.goto(f"{server.url}/#queue")
    page.locator('#dead button[data-message="m1"]').click()
    page.get_by_text("1 job made ready again.").wait_for()
    page.get_by_text("No job was given up.").wait_for()
    server.drain()
    assert server.http.get("/v1/messages/m1").json["metadata"]["method"] == "llm"


def test_a_memory_is_browsed(make_server, open_page):
    server = make_server()
    fill(server)
    page = open_page(server, "memory")
    page.locator("#users button").first.wait_for()
    assert page.locator("#users .name").all_inner_texts() == \
        [user["user_id"] for user in server.http.get("/v1/users").json["users"]]
    page.fill("#user", "mar")
    wait_until(lambda: page.locator("#users .name").all_inner_texts() == ["maria.keller"]
               or page.wait_for_timeout(20), 20, "the users that begin so")
    page.locator("#users button").click()
    page.locator("#threads button").first.wait_for()
    threads = server.http.get("/v1/users/maria.keller/threads").json["threads"]
    assert page.locator("#threads .name").all_inner_texts() == [thread["thread_id"] for thread in threads]
    page.locator("#messages .message").first.wait_for()
    newest = server.http.get("/v1/users/maria.keller/threads/acme-orders/messages", query={"limit": 50}).json["messages"]
    assert page.locator("#messages .message").evaluate_all("all => all.map(one => one.dataset.message)") == \
        [one["message_id"] for one in newest]
    told = next(one for one in newest if one["metadata"].get("entities") and one["metadata"].get("intent"))
    card = page.locator(f'#messages [data-message="{told["message_id"]}"]').inner_text()
    metadata = told["metadata"]
    for text in [told["raw_text"], str(metadata["importance"]), metadata["sentiment"]["overall"], metadata["method"],
                 metadata["intent"].replace("_", " "), *(topic.replace("_", " ") for topic in metadata["topics"]),
                 *(entity["value"] for entity in metadata["entities"]), *metadata["key_phrases"]]:
        assert text in card, text
    page.get_by_role("button", name="Older messages").click()
    wait_until(lambda: page.locator("#messages .message").count() == 100 or page.wait_for_timeout(20), 20, "a second page")

    page.click('[data-tab="search"]')
    page.fill('[name="q"]', "tent refund")
    page.click("#search-form .primary")
    page.locator("#hits .message").first.wait_for()
    hits = server.http.get("/v1/users/maria.keller/search",
                           query={"q": "tent refund", "limit": 30, "explain": "true"}).json["hits"]
    assert page.locator("#hits .message").evaluate_all("all => all.map(one => one.dataset.message)") == \
        [hit["message"]["message_id"] for hit in hits]
    why = page.locator("#hits .message").first.locator(".why .legend li").all_inner_texts()
    assert [text.split() for text in why] == \
        [[*part["feature"].split("_"), f"{round(100 * part['share'])}%"] for part in hits[0]["why"]]

    page.click('[data-tab="context"]')
    page.fill('[name="query"]', "When does my order arrive?")
    page.click("#context-form .primary")
    page.locator("#context .assembled").wait_for()
    context = server.http.post("/v1/context", {"user_id": "maria.keller", "thread_id": "acme-orders",
                                               "query": "When does my order arrive?", "mode": "auto"}).json
    assert page.locator("#context .assembled").text_content() == context["assembled_context"]
    shown = page.locator("#context [data-item]").evaluate_all("all => all.map(one => one.dataset.item)")
    assert sorted(shown) == sorted(item["message_id"] for item in context["metadata"]["items"])
    first = next(item for item in context["metadata"]["items"] if item["section"] == "relevant")
    item = page.locator(f'#context [data-item="{first["message_id"]}"]')
    assert all(part["feature"].replace("_", " ") in item.inner_text() for part in first["why"])
    text = server.http.get(f"/v1/messages/{first['message_id']}").json["raw_text"]
    item.locator(".said", has_text=text[:160]).wait_for()
    item.locator("summary").click()
    item.locator(".message .text").wait_for()
    assert not item.locator(".said").is_visible()


def test_hostile_messages_are_text(make_server, open_page):
    server = make_server()
    server.http.post("/v1/messages", message(f"Refund order A-1042! {EVIL}", message_id="evil",
                                             metadata={"note": EVIL}))
    server.drain()
    page = open_page(server, "memory")
    page.locator("#users button").click()
    page.locator("#messages .text").wait_for()
    assert page.locator("#messages .text").text_content() == f"Refund order A-1042! {EVIL}"
    page.click('[data-tab="search"]')
    page.fill('[name="q"]', "refund")
    page.click("#search-form .primary")
    page.locator("#hits .text").wait_for()
    page.click('[data-tab="context"]')
    page.fill('[name="query"]', EVIL + " refund")
    page.click("#context-form .primary")
    page.locator("#context .assembled").wait_for()
    assert EVIL in page.locator("#context .assembled").text_content()
    assert page.title() == "Mindcore"
    assert page.locator("main img, main script").count() == 0


def test_the_policy_of_the_page(make_server, open_page):
    server = make_server()
    page = open_page(server, expect=("Content Security Policy", "TrustedHTML", "Trusted Type"))
    policy = dict(part.strip().partition(" ")[::2] for part in
                  server.http.get("/").headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    html = server.http.get("/").json
    assert not re.search(r"\son\w+=|<script>|<style|style=|https?:", html), "nothing inline, nothing from elsewhere"
    for path, kind in (("/dashboard.js", "text/javascript"), ("/dashboard.css", "text/css"), ("/dashboard.svg", "image/svg+xml")):
        answer = server.http.get(path)
        assert answer.status == 200 and answer.headers["content-type"].startswith(kind), path
        assert answer.headers["x-content-type-options"] == "nosniff"
    # What a hole in the page would try is refused by the browser.
    assert page.evaluate("""() => {
        try { document.body.innerHTML = '<b>x</b>'; return 'set'; } catch (error) { return error.name; } }""") == "TypeError"


def test_keys(make_server, open_page):
    """The page itself is open; it asks for a key once, keeps it for the tab, and puts it in no address."""
    server = make_server(config=f"server:\n  api_keys: [{KEY}]\n", headers={"Authorization": f"Bearer {KEY}"})
    fill(server)
    page = open_page(server, expect=("401",))
    dialog = page.locator("#key-dialog")
    dialog.wait_for(state="visible")
    page.fill("#key", "a-key-that-nobody-knows")
    page.click("#key-form .primary")
    page.get_by_text("The server does not know this key.").wait_for()
    page.fill("#key", KEY)
    page.click("#key-form .primary")
    shows(page, "messages", str(server.http.get("/v1/status").json["messages"]))
    assert not dialog.is_visible() and page.locator("#banner").is_hidden()
    assert page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [1, 0, ""]
    page.reload()
    shows(page, "messages", str(server.http.get("/v1/status").json["messages"]))
    assert KEY not in page.content() and KEY not in page.url
    page.click("#key-button")
    page.click("#key-forget")
    dialog.wait_for(state="visible")
    assert page.evaluate("sessionStorage.length") == 0
    page.close()
    assert KEY not in server.stderr


def test_a_server_that_is_away(make_server, open_page):
    server = make_server()
    page = open_page(server, expect=("ERR_CONNECTION_REFUSED", "Failed to load"))
    shows(page, "messages", "0")
    server.stop()
    page.get_by_text("The server does not answer; trying again.").wait_for()
    page.locator("#health").get_by_text("no answer").wait_for()
    server.start()
    page.locator("#health").get_by_text("healthy").wait_for()
    page.locator("#banner").wait_for(state="hidden")


def test_on_a_phone_and_in_the_dark(make_server, open_page):
    server = make_server()
    fill(server)
    server.http.post("/v1/messages", message("x" * 3000, user_id="a", thread_id="y" * 255, message_id="z" * 255))
    server.drain()
    page = open_page(server, viewport={"width": 360, "height": 740}, color_scheme="dark")
    shows(page, "messages", str(server.http.get("/v1/status").json["messages"]))
    for part in ("overview", "queue", "models", "memory"):
        page.goto(f"{server.url}/#{part}")
        page.locator(f"#{part}").wait_for()
        if part == "memory":
            page.locator("#users button").first.click()
            page.locator("#messages .message").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") == 360, part
    lightness = "sum(getComputedStyle(document.body)[name].match(/\\d+/g).slice(0, 3).map(Number))"
    sums = {}
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        sums[scheme] = [page.evaluate("(name) => { const sum = (all) => all.reduce((a, b) => a + b, 0); return " + lightness + " }", name)
                        for name in ("backgroundColor", "color")]
    assert sums["dark"][0] < 150 < 600 < sums["dark"][1], sums
    assert sums["light"][1] < 150 < 600 < sums["light"][0], sums
