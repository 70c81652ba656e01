"""bench recall: measuring on a data set in the form of LoCoMo, here a small one of our own."""

import json

import pytest

from conftest import message


def turn(session, number, speaker, text, **more):
    return {"dia_id": f"D{session}:{number}", "speaker": speaker, "text": text, **more}


def question(text, evidence, category=4):
    return {"question": text, "answer": "?", "evidence": evidence, "category": category}


def sample(questions):
    talk = ["The rain never stops here.", "Then stay inside.", "I baked bread instead.", "Which one?",
            "Rye, with caraway.", "I would rather have a cake.", "You always would.", "Guilty.",
            "See you on Sunday.", "Until then."]
    return {
        "sample_id": "one",
        "conversation": {
            "speaker_a": "Zora", "speaker_b": "Yuri",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [turn(1, 1, "Zora", "I saw a falcon on the tower this morning."),
                          turn(1, 2, "Yuri", "Did it nest there?"),
                          turn(1, 3, "Zora", "Not yet.", blip_caption="a lighthouse at dusk")]
            + [turn(1, 4 + i, ("Yuri", "Zora")[i % 2], text) for i, text in enumerate(talk)],
            "session_2_date_time": "12:05 am on 1 June, 2023",
            "session_2": [turn(2, 1, "Yuri", "My sister moved to Lisbon."),
                          turn(2, 2, "Zora", "I sold the piano last week.")],
            "session_3_date_time": "6:00 pm on 2 June, 2023",
            "session_3": [],
            "session_7_date_time": "6:00 pm on 2 July, 2023",
        },
        "qa": questions,
    }


QUESTIONS = [
    question("Which bird did Zora see on the tower?", ["D1:1"]),
    question("Where does the sister of Yuri live?", ["D2:1"], 1),
    question("What was in the picture of the lighthouse?", ["D1:3"], 2),
    question("Who sold the piano and saw the falcon?", ["D1:1; D2:02"], 1),
    question("What rye was baked?", ["D:1:8"], 3),
    question("Who wrote a zeppelin?", ["D1:2"], 5),
    question("No evidence?", []),
    question("Evidence of another form?", ["see above", "D", "D1", 7, None]),
    question("Who sits in no category?", ["D1:1"], 9),
    question("", ["D1:1"]),
    {"evidence": ["D1:1"], "category": 1},
    {"question": "Who?", "category": 1},
    {},
]


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data.json"

    def write(value):
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return path

    return write


def test_numbers(cli, data, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = data([sample(QUESTIONS)])
    value = cli("bench", "recall", path, "--json", status=0, env={"TMPDIR": str(temporary)}).json
    assert value["messages"] == 15
    assert [value[f"category_{i}"]["questions"] for i in range(1, 6)] == [2, 1, 1, 1, 1]
    assert value["all"]["questions"] == 5, "category 5 is apart"
    assert value["category_4"]["recall_at_5"] == 100.0 and value["category_4"]["mrr"] == 100.0
    assert value["category_1"]["recall_at_5"] == 100.0, "evidence in one text and with odd zeros is found"
    assert value["category_2"]["recall_at_5"] == 100.0, "a caption is part of its turn"
    assert value["category_3"]["recall_at_10"] == 100.0, "an id with an odd colon"
    for score in (value["all"], *(value[f"category_{i}"] for i in range(1, 6))):
        recalls = [score[f"recall_at_{k}"] for k in (5, 10, 25, 50)]
        assert recalls == sorted(recalls) and 0 <= recalls[0] and recalls[-1] <= 100
        assert 0 <= score["mrr"] <= 100 and 0 <= score["in_context"] <= 100
        assert score["context_tokens"] > 0
    assert 0 < value["search_p50_ms"] <= value["search_p95_ms"]
    assert 0 < value["context_p50_ms"] <= value["context_p95_ms"]
    assert not list(temporary.iterdir()), "the database is gone"


def test_missed_evidence_counts_as_missed(cli, data):
    questions = [question("Which bird did Zora see on the tower?", ["D1:1", "D9:9"]),
                 question("Qwertz asdfgh?", ["D1:1"])]
    value = cli("bench", "recall", data([sample(questions)]), "--json", status=0).json
    assert value["all"]["questions"] == 2
    assert value["all"]["recall_at_50"] == 25.0 and value["all"]["mrr"] == 50.0


def test_table(cli, data):
    other = dict(sample([question("Who sold the piano?", ["D2:2"])]))
    del other["sample_id"]
    out = cli("bench", "recall", data([sample(QUESTIONS), other]), status=0).out
    lines = out.splitlines()
    assert lines[0] == "30 messages"
    assert lines[1].split()[:6] == ["questions", "n", "R@5", "R@10", "R@25", "R@50"]
    assert any(line.startswith("categories 1 to 4") and " 6 " in line for line in lines)
    assert any(line.startswith("category 5 (apart)") for line in lines)
    assert "search p50" in lines[-1] and "context p50" in lines[-1]


def test_it_leaves_the_configured_database_alone(cli, data, db):
    cli("ingest", "--db", db, input=[message("hello")], status=0)
    before = cli("status", "--db", db, "--json", status=0).json["messages"]
    cli("bench", "recall", data([sample(QUESTIONS)]), "--db", db, "--json", status=0)
    assert cli("status", "--db", db, "--json", status=0).json["messages"] == before


@pytest.mark.parametrize("text, said", [
    ("", "data.json"), ("[", "data.json"), ("{}", "array"), ("[]", "array"), ("[1]", "array"), ("[{}]", "array"),
    ('[{"qa": []}]', "array"),
    ('[{"conversation": {"session_1": [{"speaker": "Zora", "text": "x", "dia_id": "D1:1"}]}}]', "session_1"),
    ('[{"conversation": {"session_1_date_time": "yesterday", "session_1": [{"speaker": "Z", "text": "x", "dia_id": "D1:1"}]}}]',
     "session_1"),
    ('[{"conversation": {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": [7]}}]', "a turn in session_1"),
    ('[{"conversation": {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": [{"speaker": "Z", "text": "x"}]}}]',
     "dia_id"),
])
def test_bad_files(cli, data, text, said):
    result = cli("bench", "recall", data(text), status=1)
    assert said in result.err and result.out == ""


def test_missing_keys_are_nothing_to_do(cli, data):
    value = cli("bench", "recall", data([{"conversation": {}}]), "--json", status=0).json
    assert value["messages"] == 0 and value["all"]["questions"] == 0
    assert value["search_p95_ms"] == 0
    value = cli("bench", "recall", data([sample([]), {"qa": QUESTIONS}]), "--json", status=0).json
    assert value["messages"] == 15, "an object without a conversation has no turns"


def test_wrong_usage(cli, tmp_path):
    assert "DATA" in cli("bench", "recall", status=2).err
    assert "'bench' needs one of: recall" in cli("bench", status=2).err
    assert "missing.json" in cli("bench", "recall", tmp_path / "missing.json", status=1).err
    assert cli("bench", "recall", tmp_path, status=1).err
