"""
Whole conversations (tests/data) through the command line and through HTTP: everything comes back, also
after a restart, and facts said long ago are found when they are asked for.
"""

import json

import pytest

from conftest import DATA, Server

NAMES = ["support_acme", "assistant_trip", "coding_helper"]
FIELDS = ["message_id", "user_id", "thread_id", "session_id", "role"]


def turns(name):
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


CONVERSATIONS = {name: turns(name) for name in NAMES}
EVERYTHING = [turn for name in NAMES for turn in CONVERSATIONS[name]]
QUESTIONS = json.loads((DATA / "recall.json").read_text(encoding="utf-8"))
# Tight budgets, so that an answer is found and does not come along with everything.
BUDGET = {"max_tokens": 1200, "max_messages": 25}
LEAST = 0.8


class CommandLine:
    """The program run once for each request."""

    def __init__(self, cli, db):
        self.cli = cli
        self.db = ["--db", db]

    def fill(self):
        result = self.cli("ingest", *self.db, input=EVERYTHING, status=0)
        assert result.out == f"stored {len(EVERYTHING)}, repeated 0, refused 0\n"

    def restart(self):
        """Each run is one."""

    def recent(self, user, thread, limit):
        args = ["recent", *self.db, "--user", user, "--thread", thread, "--limit", limit, "--json"]
        return self.cli(*args, status=0).json["messages"]

    def search(self, user, words):
        return self.cli("search", *self.db, "--user", user, words, "--json", status=0).json["hits"]

    def context(self, user, thread, query):
        options = [part for key, value in BUDGET.items() for part in ("--" + key.replace("_", "-"), value)]
        return self.cli("context", *self.db, "--user", user, "--thread", thread, query, *options, "--json",
                        status=0).json

    def preferences(self, user, patch=None):
        if patch is None:
            return self.cli("preferences", "get", *self.db, "--user", user, "--json", status=0).json
        return self.cli("preferences", "set", *self.db, "--user", user, "--patch", json.dumps(patch), "--json",
                        status=0).json


class OverHttp:
    """A server, restarted in between."""

    def __init__(self, server):
        self.server = server

    def fill(self):
        body = "".join(json.dumps(turn) + "\n" for turn in EVERYTHING)
        answer = self.server.http.post("/v1/messages", body, headers={"Content-Type": "application/x-ndjson"})
        assert (answer.status, answer.json["stored"], answer.json["refused"]) == (200, len(EVERYTHING), [])
        self.server.drain()

    def restart(self):
        self.server.restart()

    def get(self, path, **query):
        answer = self.server.http.get(path, query=query)
        assert answer.status == 200, answer.json
        return answer.json

    def recent(self, user, thread, limit):
        return self.get(f"/v1/users/{user}/threads/{thread}/messages", limit=limit)["messages"]

    def search(self, user, words):
        return self.get(f"/v1/users/{user}/search", q=words)["hits"]

    def context(self, user, thread, query):
        answer = self.server.http.post("/v1/context", {"user_id": user, "thread_id": thread, "query": query, **BUDGET})
        assert answer.status == 200, answer.json
        return answer.json

    def preferences(self, user, patch=None):
        if patch is None:
            return self.get(f"/v1/users/{user}/preferences")
        answer = self.server.http.patch(f"/v1/users/{user}/preferences", patch)
        assert answer.status == 200, answer.json
        return answer.json


@pytest.fixture(params=["command line", "http"])
def memory(request, cli, db, tmp_path):
    if request.param == "command line":
        memory = CommandLine(cli, db)
        memory.fill()
        yield memory
        return
    with Server(tmp_path) as server:
        memory = OverHttp(server)
        memory.fill()
        yield memory


def test_the_data_is_what_it_says():
    assert [len(CONVERSATIONS[name]) >= 80 for name in NAMES] == [True] * 3
    assert len({turn["message_id"] for turn in EVERYTHING}) == len(EVERYTHING)
    assert len(QUESTIONS) == 30


def check_threads(memory):
    """Every message of every thread, as it was said and in order, with its enrichment."""
    for thread in sorted({(turn["user_id"], turn["thread_id"]) for turn in EVERYTHING}):
        said = [turn for turn in EVERYTHING if (turn["user_id"], turn["thread_id"]) == thread]
        found = memory.recent(*thread, 1000)[::-1]
        assert [{**{name: one[name] for name in FIELDS}, "text": one["raw_text"]} for one in found] == \
            [{**{name: one[name] for name in FIELDS}, "text": one["text"]} for one in said]
        assert {one["enrichment_state"] for one in found} == {"enriched"}
        assert {one["created_at"][:19] for one in found} == {one["created_at"][:19] for one in said}


def answered(memory, question):
    context = memory.context(question["user_id"], question["thread_id"], question["query"])
    assert context["metadata"]["tokens"] <= BUDGET["max_tokens"]
    return any(text in context["assembled_context"] for text in question["expect_text"])


def test_a_conversation_is_remembered(memory):
    check_threads(memory)
    first = memory.preferences("daniel", {"language": "en", "custom": {"newsletter": False}})
    assert first["custom"] == {"newsletter": False}

    def pole():
        return [hit["message"]["message_id"] for hit in memory.search("maria.keller", "cracked ridge pole")]

    hits = pole()
    assert "acme-0024" in hits[:5]
    context = memory.context("priya", "payments-service", "How long are idempotency keys kept?")
    memory.restart()
    check_threads(memory)
    assert memory.preferences("daniel") == first
    assert pole() == hits
    again = memory.context("priya", "payments-service", "How long are idempotency keys kept?")
    assert again["relevant_message_ids"] == context["relevant_message_ids"]


def test_questions_are_answered_by_evidence(memory):
    missed = [question["query"] for question in QUESTIONS if not answered(memory, question)]
    assert len(missed) <= (1 - LEAST) * len(QUESTIONS), "no evidence for:\n" + "\n".join(missed)


def test_trivial_turns_are_settled_and_the_rest_is_enriched(memory):
    methods = {}
    for user, thread in sorted({(turn["user_id"], turn["thread_id"]) for turn in EVERYTHING}):
        for one in memory.recent(user, thread, 1000):
            methods[one["raw_text"]] = one["metadata"]["method"]
    for text in ("Hi there!", "ok", "Great, thanks!", "hmm", "👍", "thx", "Goodbye!", "merci"):
        assert methods[text] == "trivial", text
    for text in ("INV-2026-0318. I paid it on February 4, well before the due date.",
                 "Wait, don't close it yet please. I want to pitch it on the weekend first.",
                 "Budget is about 9,000 francs for all three of us, without the flights."):
        assert methods[text] == "builtin", text


def test_users_do_not_see_each_other(memory):
    hits = memory.search("daniel", "hotel idempotency keys refund tent")
    assert hits and {hit["message"]["user_id"] for hit in hits} == {"daniel"}
    context = memory.context("daniel", "acme-orders", "What was the order number of the tent?")
    assert "AC-48213" not in context["assembled_context"]
