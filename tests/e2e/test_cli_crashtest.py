"""A writer killed again and again loses nothing; and the test for it can fail."""

import pytest

from conftest import SANITIZER


def run(cli, *args, status):
    return cli("crashtest", "--json", "-q", *args, status=status, timeout=300)


@pytest.mark.parametrize("args", [[], ["--synchronous", "full", "--batch"]])
def test_twenty_kills(cli, tmp_path, args):
    kills = 20 if not SANITIZER else 5
    folder = tmp_path / "work"
    value = run(cli, "--kills", kills, "--dir", folder, *args, status=0).json
    assert value["kills"] == kills
    assert value["acknowledged"] > 0 and value["verified"] == value["acknowledged"]
    for violation in ("lost", "duplicated", "altered", "stuck", "unsound", "failed_processes"):
        assert value[violation] == 0
    assert not folder.exists()


def test_a_message_acknowledged_and_never_stored_is_found(cli, tmp_path):
    result = run(cli, "--kills", 2, "--dir", tmp_path / "work", "--sabotage", "drop-ack", "--seed", 7, status=1)
    assert result.json["lost"] > 0 and "never-" in result.err
    assert (tmp_path / "work" / "round-1" / "mindcore.db").exists(), "the folder stays for inspection"


def test_content_that_was_not_acknowledged_is_found(cli, tmp_path):
    result = run(cli, "--kills", 2, "--dir", tmp_path / "work", "--sabotage", "alter-ack", "--seed", 7, status=1)
    assert result.json["altered"] > 0 and result.json["lost"] == 0


def test_it_does_not_touch_a_folder_in_use(cli, tmp_path):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    assert "empty folder" in run(cli, "--kills", 1, "--dir", tmp_path, status=1).err
    assert (tmp_path / "file").exists()
