"""ingest, recent, window, search, context from the command line, in a pipe and on a terminal."""

import json
import os
import pty
import re
import select
import subprocess
import time

import pytest

from conftest import PROGRAM, SLOWNESS, environment, message

HOSTILE = "evil \x1b]0;title\x07 \x1b[2J\u009b31m \u202eturned"


def on_terminal(*args, env=None, answer=None, cwd=None):
    """Runs the program on a pseudo-terminal: exit status and what the terminal got."""
    parent, child = pty.openpty()
    process = subprocess.Popen([str(PROGRAM), *map(str, args)], stdin=child, stdout=child, stderr=child, cwd=cwd,
                               env=environment({"TERM": "xterm", **(env or {})}), close_fds=True)
    os.close(child)
    if answer is not None:
        os.write(parent, answer)
    received = b""
    deadline = time.monotonic() + 30 * SLOWNESS
    while time.monotonic() < deadline:
        if not select.select([parent], [], [], 1)[0]:
            continue
        try:
            chunk = os.read(parent, 65536)
        except OSError:
            break
        if not chunk:
            break
        received += chunk
    os.close(parent)
    return process.wait(), received.decode("utf-8", "replace")


def ingest_one(cli, db, text, *args, status=0, user="u1"):
    return cli("ingest", "--db", db, "--user", user, "--thread", "t1", "--session", "s1", "--role", "user", "--text",
               text, *args, status=status)


def plain_lines(text):
    return re.sub(r"\x1b\[\d*m", "", text).replace("\r", "").split("\n")


def test_a_file_is_as_good_as_standard_input(cli, db, tmp_path):
    line = json.dumps({"message_id": "m1", "user_id": "u", "thread_id": "t", "session_id": "s", "role": "user",
                       "text": "I prefer tea."})
    path = tmp_path / "messages.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    assert cli("ingest", path, "--db", db, status=0).out.startswith("stored 1, repeated 0")
    for more, text in ((["-"], line), ([], line), ([path], "")):
        assert cli("ingest", *more, "--db", db, input=text, status=0).out.startswith("stored 0, repeated 1")
    assert "not both" in cli("ingest", path, "--user", "u", "--db", db, status=2).err
    missing = cli("ingest", tmp_path / "missing", "--db", db, status=1)
    assert "missing': No such file" in missing.err and missing.out == ""


def test_one_message(cli, db):
    """By its id, as a dead job or a context names it."""
    ingest_one(cli, db, "The invoice INV-4711 is wrong.", "--message-id", "m1")
    found = cli("messages", "get", "m1", "--db", db, "--json", status=0).json
    assert (found["raw_text"], found["metadata"]["method"]) == ("The invoice INV-4711 is wrong.", "builtin")
    assert "The invoice INV-4711 is wrong." in cli("messages", "get", "m1", "--db", db, status=0).out
    assert "no message 'm2'" in cli("messages", "get", "m2", "--db", db, status=1).err
    assert "needs ID" in cli("messages", "get", "--db", db, status=2).err
    assert cli("messages", "delete", "m1", "--db", db, status=0).out == "deleted m1\n"
    assert "no message 'm1'" in cli("messages", "delete", "m1", "--db", db, status=1).err
    assert cli("search", "--db", db, "--user", "u1", "invoice", "--json", status=0).json["hits"] == []


def test_eighty_columns(cli, db):
    """A terminal that does not tell its width, as here, is taken for one of 80 columns: nothing that says what to do
    is cut, and help fits."""
    ingest_one(cli, db, "The heron stands in the pond. " * 8)
    status, text = on_terminal("models", "--db", db)
    lines = plain_lines(text)
    assert status == 0 and max(map(len, lines)) <= 80, text
    assert "    set llm.openai.api_key, or llm.openai.base_url to a service of your own" in lines
    hits = plain_lines(on_terminal("search", "--db", db, "--user", "u1", "heron", "--explain")[1])
    assert any(line.startswith("    The heron") and len(line) == 80 and line.endswith("…") for line in hits), hits
    for command in ("tiers undo", "loadtest", ""):
        said = cli("help", *command.split(), status=0).out
        assert not [line for line in said.split("\n") if len(line) > 80 and not line.startswith("  mindcore ")], said


def test_one_message_is_stored_once(cli, db):
    assert ingest_one(cli, db, "Where is my order A-1042?", "--message-id", "m1").out == "stored m1\n"
    assert ingest_one(cli, db, "Where is my order A-1042?", "--message-id", "m1").out == "repeated m1\n"
    result = ingest_one(cli, db, "Something else", "--message-id", "m1", status=1)
    assert "m1" in result.err and result.out == ""
    value = ingest_one(cli, db, "Thanks!", "--metadata", '{"channel": "mail"}', "--created-at", "2026-01-31",
                       "--json").json
    assert value["message_id"].startswith("msg_")
    assert value["created_at"].startswith("2026-01-31T00:00:00")
    assert value["metadata"]["extra"] == {"channel": "mail"}


@pytest.mark.parametrize("args, said", [
    (["--metadata", "[1]"], "metadata"),
    (["--metadata", "{"], "metadata"),
    (["--message-id", "a b"], "message_id"),
    (["--message-id", "x" * 256], "message_id"),
])
def test_one_message_refused(cli, db, args, said):
    assert said in ingest_one(cli, db, "text", *args, status=1).err


@pytest.mark.parametrize("text", ["", " \t\n", "x" * 100001])
def test_bad_text_is_refused(cli, db, text):
    assert "text" in ingest_one(cli, db, text, status=1).err


def test_invalid_utf8_is_refused(cli, db):
    done = subprocess.run([str(PROGRAM), "ingest", "--db", db, "--user", "u", "--thread", "t", "--session", "s",
                           "--role", "user", "--text", b"bad \xff byte"], capture_output=True, check=False,
                          env=environment())
    assert done.returncode == 1
    assert b"UTF-8" in done.stderr


def test_messages_are_enriched_when_ingest_returns(cli, db):
    cli("ingest", "--db", db, input=[message("thanks!"), message("I need a refund for invoice 4711, it is urgent")],
        status=0)
    stored = cli("recent", "--db", db, "--user", "u1", "--thread", "t1", "--json", status=0).json["messages"]
    assert [one["enrichment_state"] for one in stored] == ["enriched", "enriched"]
    assert [one["metadata"]["method"] for one in stored] == ["builtin", "trivial"]
    assert "refund" in stored[0]["metadata"]["topics"]


def test_lines_and_their_errors(cli, db):
    good = [json.dumps(message(f"Message {i}", message_id=f"m{i}")) for i in range(3)]
    lines = [
        good[0], "", "not json", good[1] + "\r", '{"user_id": "u1"}', json.dumps(message("x", role="robot")),
        json.dumps(message("x", nonsense=1)), json.dumps(message(5)), json.dumps([1]), "{" * 100,
        json.dumps(message("x", message_id="m0")), good[0], "   ", good[2],
    ]
    result = cli("ingest", "--db", db, input="\n".join(lines), status=1)
    assert result.out == "stored 3, repeated 1, refused 8\n"
    errors = {int(line.split(":")[0].removeprefix("line ")): line for line in result.err.splitlines()
              if line.startswith("line ")}
    assert sorted(errors) == [3, 5, 6, 7, 8, 9, 10, 11]
    assert "role" in errors[6] and "nonsense" in errors[7] and "text" in errors[8] and "m0" in errors[11]


def test_lines_as_json(cli, db):
    result = cli("ingest", "--db", db, "--json", input=[message("one"), message("two", role="robot")], status=1)
    assert result.json["stored"] == 1
    assert [(one["line"], one.get("field")) for one in result.json["refused"]] == [(2, "role")]


def test_nothing_at_all(cli, db):
    assert cli("ingest", "--db", db, input="\n\n", status=0).out == "stored 0, repeated 0, refused 0\n"


def test_many_lines_are_all_stored(cli, db):
    count = 3000
    cli("ingest", "--db", db, input=[message(f"Message number {i} about order {i}", message_id=f"m{i}",
                                             thread_id=f"t{i % 7}") for i in range(count)], status=0)
    assert cli("status", "--db", db, "--json", status=0).json["messages"] == count
    again = cli("ingest", "--db", db, input=[message(f"Message number {i} about order {i}", message_id=f"m{i}",
                                                     thread_id=f"t{i % 7}") for i in range(count)], status=0)
    assert again.out == f"stored 0, repeated {count}, refused 0\n"


def test_a_very_long_line_is_refused_and_the_next_is_read(cli, db):
    long = json.dumps(message("x" * (5 << 20)))
    binary = b"\x00\xff\xfe" * 1000
    data = (json.dumps(message("before")) + "\n" + long + "\n").encode() + binary + b"\n" + \
        json.dumps(message("behind")).encode()
    result = cli("ingest", "--db", db, input=data, status=1)
    assert result.out == "stored 2, repeated 0, refused 2\n"
    assert "line 2: " in result.err and "line 3: " in result.err


@pytest.mark.plain_only
def test_memory_does_not_grow_with_the_input(db):
    program = subprocess.Popen([str(PROGRAM), "ingest", "--db", db, "--no-wait", "-q"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
    line = ("z" * 1000 + "\n").encode()
    for _ in range(64):
        program.stdin.write(line * 1024)
    program.stdin.flush()
    with open(f"/proc/{program.pid}/status", encoding="ascii") as status:
        peak = next(int(row.split()[1]) for row in status if row.startswith("VmHWM"))
    program.stdin.close()
    assert b"refused 65536" in program.stdout.read()
    assert program.wait() == 1
    assert peak < 150 * 1024


@pytest.fixture
def stored(cli, db):
    texts = ["I ordered a red kayak, order A-1042, for the summer trip", "Thanks!",
             "The invoice INV-77 is wrong, please send a new one\nwith the right address", HOSTILE]
    cli("ingest", "--db", db, input=[message(text, message_id=f"m{i}", created_at=f"2026-01-0{i + 1}T10:00:00Z")
                                     for i, text in enumerate(texts)], status=0)
    return db


def test_recent(cli, stored):
    out = cli("recent", "--db", stored, "--user", "u1", "--thread", "t1", status=0).out
    assert out.index("kayak") < out.index("Thanks!") < out.index("INV-77")
    assert "2026-01-01 10:00" in out
    value = cli("recent", "--db", stored, "--user", "u1", "--thread", "t1", "--limit", "2", "--json", status=0).json
    assert [one["message_id"] for one in value["messages"]] == ["m3", "m2"]
    value = cli("recent", "--db", stored, "--user", "u1", "--thread", "t1", "--before", "m1", "--json", status=0).json
    assert [one["message_id"] for one in value["messages"]] == ["m0"]
    assert cli("recent", "--db", stored, "--user", "u1", "--thread", "none", status=0).out == ""
    assert cli("recent", "--db", stored, "--user", "u 1", "--thread", "t", status=1).err


def test_window(cli, stored):
    value = cli("window", "--db", stored, "--user", "u1", "--thread", "t1", "--max-messages", "2", "--json",
                status=0).json
    assert [one["message_id"] for one in value["messages"]] == ["m2", "m3"]
    assert "INV-77" in cli("window", "--db", stored, "--user", "u1", "--thread", "t1", status=0).out


def test_search(cli, stored):
    value = cli("search", "--db", stored, "--user", "u1", "kayak", "--json", status=0).json
    assert value["hits"][0]["message"]["message_id"] == "m0" and value["hits"][0]["score"] > 0
    out = cli("search", "--db", stored, "--user", "u1", "--query", "invoice", status=0).out
    assert "INV-77" in out and out.splitlines()[0].split() == ["score", "time", "role", "thread", "text"]
    assert "please send a new one with the right" in out, "a line break would tear the table"
    assert cli("search", "--db", stored, "--user", "u2", "kayak", "--json", status=0).json == {"hits": [], "meaning": "off"}
    value = cli("search", "--db", stored, "--user", "u1", "kayak invoice", "--since", "2026-01-02", "--json",
                status=0).json
    assert "m0" not in [hit["message"]["message_id"] for hit in value["hits"]]
    assert "topic" in cli("search", "--db", stored, "--user", "u1", "--topic", "nonsense", status=1).err
    joined = cli("search", "--db", stored, "--user", "u1", "kayak invoice", status=0).out
    assert cli("search", "--db", stored, "--user", "u1", "kayak", "invoice", status=0).out == joined


def test_search_explains(cli, stored):
    value = cli("search", "--db", stored, "--user", "u1", "kayak", "--explain", "--json", status=0).json
    for hit in value["hits"]:
        assert hit["why"][0]["feature"] == "words" and 0.9 <= sum(one["share"] for one in hit["why"]) <= 1.1
    out = cli("search", "--db", stored, "--user", "u1", "kayak", "--explain", status=0).out
    assert out.splitlines()[0].split() == ["score", "time", "role", "thread", "why", "text"]
    assert re.search(r"words \d\.\d\d, ", out)
    value = cli("search", "--db", stored, "--user", "u1", "kayak", "--json", status=0).json
    assert all("why" not in hit for hit in value["hits"])


def test_context(cli, stored):
    args = ["context", "--db", stored, "--user", "u1", "--thread", "t1", "What did I order for the summer?"]
    value = cli(*args, "--json", status=0).json
    assert "A-1042" in value["assembled_context"]
    assert "m0" in [item["message_id"] for item in value["metadata"]["items"]]
    plain = cli(*args, status=0).out
    assert "A-1042" in plain
    assert cli(*args[:-1], *args[-1].split(), status=0).out == plain, "words may stand without quotes"
    explained = cli(*args, "--explain", status=0).out
    assert explained.startswith(plain) and "tokens" in explained[len(plain):] and "m0" in explained[len(plain):]
    assert "MY OWN NOTE" in cli(*args, "--additional-context", "MY OWN NOTE", status=0).out


def test_a_pipe_gets_the_text_unchanged_and_no_colours(cli, stored):
    assert HOSTILE in cli("recent", "--db", stored, "--user", "u1", "--thread", "t1", status=0).out
    assert "\x1b[" not in cli("search", "--db", stored, "--user", "u1", "kayak", status=0).out


@pytest.mark.parametrize("args", [
    ["recent", "--thread", "t1"], ["window", "--thread", "t1"], ["search", "evil"],
    ["context", "--thread", "t1", "evil title", "--explain"]])
def test_a_terminal_gets_no_escape_sequence_of_a_message(stored, args):
    status, out = on_terminal(*args, "--db", stored, "--user", "u1", env={"NO_COLOR": "1"})
    assert status == 0
    assert "evil" in out
    assert args[0] == "context" or "\\x1b]0;title" in out, "shown, and harmless"
    for harm in ("\x1b", "\x07", "\u009b", "\u202e"):
        assert harm not in out


def test_colours_on_a_terminal(stored):
    assert "\x1b[" in on_terminal("recent", "--db", stored, "--user", "u1", "--thread", "t1")[1]
    assert "\x1b" not in on_terminal("recent", "--db", stored, "--user", "u1", "--thread", "t1",
                                     env={"NO_COLOR": "1"})[1]
    assert "\x1b" not in on_terminal("recent", "--db", stored, "--user", "u1", "--thread", "t1",
                                     env={"TERM": "dumb"})[1]


def test_errors_are_escaped_on_a_terminal(stored):
    status, out = on_terminal("recent", "--db", stored, "--user", "x\x1b[31m", "--thread", "t1",
                              env={"NO_COLOR": "1"})
    assert status == 1 and "\x1b" not in out


def test_ingest_without_input_on_a_terminal(db):
    status, out = on_terminal("ingest", "--db", db)
    assert status == 2 and "JSON Lines" in out


def test_erase_asks_on_a_terminal(cli, stored):
    status, out = on_terminal("erase", "--db", stored, "--user", "u1", answer=b"n\n")
    assert status == 1 and "cannot be undone" in out
    assert cli("search", "--db", stored, "--user", "u1", "kayak", "--json").json["hits"]
    status, out = on_terminal("erase", "--db", stored, "--user", "u1", answer=b"yes\n")
    assert status == 0
    assert not cli("search", "--db", stored, "--user", "u1", "kayak", "--json").json["hits"]
