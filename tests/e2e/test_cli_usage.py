"""The command line itself: help, wrong usage, completion, configuration, version."""

import ctypes
import ctypes.util
import json
import re
import subprocess

import pytest

from conftest import PROGRAM, ROOT, environment, message

COMMANDS = re.findall(r"^\| `([a-z ]+)` \|", (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), re.M)


def test_the_table_has_the_commands():
    families = {name.split()[0] for name in COMMANDS}
    assert families >= {
        "serve", "ingest", "context", "search", "recent", "status", "workers", "queue", "tiers", "cache", "agents",
        "keys", "preferences", "export", "import", "erase", "backup", "doctor", "config", "models", "loadtest", "crashtest",
        "bench", "version"}


def test_help(cli):
    text = cli("--help", status=0).out
    for name in COMMANDS:
        assert f"  {name} " in text
    assert "crash-writer" not in text
    assert cli("help", status=0).out == text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(cli, name):
    text = cli(*name.split(), "--help", status=0).out
    assert f"mindcore {name}" in text
    assert "--json" in text
    assert cli("help", *name.split(), status=0).out == text


def test_help_of_a_family(cli):
    text = cli("queue", "--help", status=0).out
    assert "queue list" in text and "queue retry" in text and "queue purge" in text
    assert cli("help", "queue", status=0).out == text


def test_docs_are_what_the_table_says(cli):
    stored = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert cli("help", "--markdown", status=0).out == stored, "run: build/mindcore help --markdown > docs/cli.md"


@pytest.mark.parametrize("args, said", [
    ([], "no command given"),
    (["serch"], "did you mean 'search'?"),
    (["queue", "lst"], "did you mean 'queue list'?"),
    (["tiers"], "'tiers' needs one of: migrate, runs, undo"),
    (["nonsense"], "unknown command 'nonsense'"),
    (["search", "--usr", "u"], "did you mean '--user'?"),
    (["search", "--zzz", "u"], "unknown option '--zzz'"),
    (["search", "-Z"], "unknown option '-Z'"),
    (["recent", "--user", "u"], "'recent' needs --thread ID"),
    (["recent", "--user", "u", "--thread"], "--thread needs a value"),
    (["recent", "--user", "u", "--thread", "t", "--limit", "0"], "1..1000"),
    (["recent", "--user", "u", "--thread", "t", "--limit", "ten"], "whole number"),
    (["recent", "--user", "u", "--user", "v", "--thread", "t"], "given twice"),
    (["search", "--user", "u", "x", "--since", "yesterday"], "--since takes a time"),
    (["context", "--user", "u", "--thread", "t", "q", "--mode", "slow"], "auto|fast|llm"),
    (["context", "--user", "u", "--thread", "t"], "--query"),
    (["search", "--user", "u"], "--topic"),
    (["status", "extra"], "does not take 'extra'"),
    (["backup"], "needs FILE"),
    (["export"], "--user ID or --all"),
    (["export", "--user", "u", "--all"], "--user ID or --all"),
    (["erase", "--user", "u"], "--yes"),
    (["cache", "invalidate"], "--topic"),
    (["cache", "invalidate", "--thread", "t", "--all"], "--thread needs --user"),
    (["preferences", "set", "--user", "u"], "--field"),
    (["ingest", "--user", "u"], "--thread"),
    (["completion", "zsh"], "bash"),
    (["status", "--json=yes"], "takes no value"),
])
def test_wrong_usage(cli, db, args, said):
    cli("ingest", "--db", db, input=[message("hello")], status=0)
    result = cli(*args, *(["--db", db] if args else []), status=2)
    assert said in result.err
    assert "--help'" in result.err
    assert result.out == ""


def test_options_may_stand_anywhere(cli, db):
    cli("ingest", "--db", db, input=[message("hello")], status=0)
    assert cli("--db", db, "--json", "status", status=0).json
    assert cli("status", f"--db={db}", "-j", status=0).json
    assert cli("search", "--user", "u", "--db", db, "--", "--strange", status=0).out == ""


def test_version(cli):
    text = cli("version", status=0).out
    assert re.match(r"mindcore \d+\.\d+\.\d+\n", text)
    assert "sqlite3" in text
    assert cli("--version", status=0).out == text
    value = cli("version", "--json", status=0).json
    assert value["version"] in text
    library = ctypes.util.find_library("sqlite3")
    real = ctypes.CDLL(library).sqlite3_libversion
    real.restype = ctypes.c_char_p
    assert value["libraries"]["sqlite3"] == real().decode()
    assert set(value["libraries"]) - {"llama.cpp", "libpq"} == {
        "sqlite3", "jansson", "utf8proc", "pcre2", "zstd", "fyaml", "lmdb", "microhttpd", "curl", "sodium"}
    assert all(re.fullmatch(r"[1-9]\d*\.\d+(\.\d+)*|0\.[1-9]\d*(\.\d+)*", v) for v in value["libraries"].values())


def complete(script, *words):
    program = (f"source {script}; COMP_WORDS=({' '.join(repr(word) for word in words)}); "
               f"COMP_CWORD={len(words) - 1}; _mindcore; echo \"${{COMPREPLY[*]}}\"")
    return subprocess.run(["bash", "-c", program], check=True, capture_output=True, text=True).stdout.split()


def test_completion(cli, tmp_path):
    script = tmp_path / "complete"
    script.write_text(cli("completion", "bash", status=0).out, encoding="utf-8")
    assert complete(script, "mindcore", "que") == ["queue"]
    assert complete(script, "mindcore", "queue", "") == ["list", "retry", "purge"]
    assert complete(script, "mindcore", "ingest", "--role", "") == ["user", "assistant", "system", "tool"]
    assert complete(script, "mindcore", "--db", "x", "context", "--mo") == ["--mode"]
    assert complete(script, "mindcore", "import", str(script)[:-2]) == [str(script)]
    assert complete(script, "mindcore", "bench", "") == ["recall"]
    assert complete(script, "mindcore", "bench", "recall", str(script)[:-2]) == [str(script)]
    assert complete(script, "mindcore", "search", "--ex") == ["--explain"]


def test_configuration_errors_say_where(cli, tmp_path):
    path = tmp_path / "mindcore.yaml"
    path.write_text("database:\n  path: x.db\nenrichment:\n  workers: 99\n", encoding="utf-8")
    result = cli("status", "--config", path, status=1)
    assert f"{path}:4:" in result.err and "enrichment.workers" in result.err and "1..16" in result.err
    path.write_text("enrichment:\n  wrkers: 2\n", encoding="utf-8")
    result = cli("config", "check", path, status=1)
    assert f"{path}:2:" in result.err and "enrichment.workers" in result.err
    value = cli("config", "check", path, "--json", status=1).json
    assert value["ok"] is False and "wrkers" in value["error"]
    assert "does not exist" in cli("status", "--config", tmp_path / "missing.yaml", status=1).err


@pytest.mark.parametrize("text, said", [
    ("trivial:\n  patterns:\n    - {category: greeting, pattern: '(moin'}\n", "trivial.patterns 1"),
    ("trivial:\n  patterns:\n    - {category: nonsense, pattern: moin}\n", "trivial.patterns 1"),
    ("server:\n  api_keys: [short]\n", "server.api_keys"),
    ("server:\n  tls_cert: cert.pem\n", "server.tls_key"),
    ("multi_agent:\n  default_sharing_groups: ['a\\tb', ' ']\n", "multi_agent.default_sharing_groups"),
])
def test_check_finds_what_would_fail_at_the_start(cli, tmp_path, text, said):
    path = tmp_path / "mindcore.yaml"
    path.write_text(f"database:\n  path: {tmp_path}/my.db\n{text}", encoding="utf-8")
    assert said in cli("config", "check", path, status=1).err
    path.write_text(f"database:\n  path: {tmp_path}/my.db\n", encoding="utf-8")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    assert "right" in cli("config", "check", path, status=0, env={"TMPDIR": str(temporary)}).out
    assert not list(temporary.iterdir()) and not list(tmp_path.glob("my.db*")), "nothing is left behind"


def test_check_names_variables_that_set_nothing(cli, tmp_path):
    """A misspelt one would be passed over without a word; what comes with a container is no error."""
    env = {"MINDCORE_ENRICHMENT_WORKER": "4", "MINDCORE_PORT_8000_TCP": "tcp://10.0.0.1:8000",
           "MINDCORE_DB_POOL_SIZE": "5", "MINDCORE_CACHE_MAX_SIZE": "7", "MINDCORE_ENRICHMENT_WORKERS": "2",
           "MINDCORE_DATABASE_PATH": str(tmp_path / "m.db")}
    result = cli("config", "check", env=env, status=0)
    named = re.findall(r"MINDCORE_\w+", result.err)
    assert sorted(named) == ["MINDCORE_ENRICHMENT_WORKER", "MINDCORE_PORT_8000_TCP"], result
    assert sorted(cli("config", "check", "--json", env=env, status=0).json["unknown_variables"]) == sorted(named)
    assert cli("config", "check", "--quiet", env=env, status=0).err == ""


def test_option_errors(cli, db):
    assert "enrichment.workers" in cli("status", "--db", db, "-o", "enrichment.wrkers=2", status=2).err
    assert "1..16" in cli("status", "--db", db, "--option", "enrichment.workers=17", status=2).err
    assert "KEY=VALUE" in cli("status", "--db", db, "-o", "enrichment.workers", status=2).err
    assert "MINDCORE_ENRICHMENT_WORKERS" in cli(
        "status", "--db", db, env={"MINDCORE_ENRICHMENT_WORKERS": "many"}, status=1).err


def in_force(cli, *args, **options):
    return cli("config", "show", "--json", *args, status=0, **options).json["options"]


def test_command_line_wins_over_environment_over_file(cli, tmp_path):
    path = tmp_path / "mindcore.yaml"
    path.write_text("enrichment:\n  workers: 2\ncache:\n  max_size: 11\n", encoding="utf-8")
    env = {"MINDCORE_ENRICHMENT_WORKERS": "3"}
    options = in_force(cli, "--config", path)
    assert options["enrichment.workers"] == {"value": "2", "source": "file"}
    options = in_force(cli, "--config", path, env=env)
    assert options["enrichment.workers"] == {"value": "3", "source": "environment"}
    options = in_force(cli, "--config", path, "-o", "enrichment.workers=4", env=env)
    assert options["enrichment.workers"] == {"value": "4", "source": "command line"}
    assert options["cache.max_size"] == {"value": "11", "source": "file"}
    options = in_force(cli, env={"MINDCORE_CONFIG": str(path)})
    assert options["cache.max_size"]["value"] == "11"


def test_secrets_are_not_shown(cli):
    url = "postgresql://ann:p%40ssw0rd@db.example:6432/memory?sslmode=require"
    keys = "server.api_keys=[\"a-key-that-nobody-may-see\"]"
    text = cli("config", "show", "--db", url, "-o", keys, status=0).out
    shown = in_force(cli, "--db", url, "-o", keys)
    assert shown["database.backend"]["value"] == "postgresql"
    assert shown["database.host"]["value"] == "db.example"
    assert shown["database.port"]["value"] == "6432"
    assert shown["database.name"]["value"] == "memory"
    assert shown["database.sslmode"]["value"] == "require"
    for secret in ("p@ssw0rd", "p%40ssw0rd", "nobody-may-see"):
        assert secret not in text and secret not in json.dumps(shown)


@pytest.mark.parametrize("url, said", [
    ("mysql:x", "sqlite:PATH"),
    ("sqlite:", "needs a path"),
    ("postgresql://h/db?timeout=3", "only sslmode"),
    ("postgresql://h:70000/db", "1..65535"),
    ("postgresql://a%zz@h/db", "hexadecimal"),
])
def test_bad_database_urls(cli, url, said):
    assert said in cli("status", "--db", url, status=2).err


def test_sample_and_docs_of_the_options(cli, tmp_path):
    path = tmp_path / "sample.yaml"
    path.write_text(cli("config", "sample", status=0).out, encoding="utf-8")
    assert "right" in cli("config", "check", path, status=0).out
    assert "enrichment.workers" in cli("config", "docs", status=0).out


def test_output_that_cannot_be_written_is_a_failure():
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([str(PROGRAM), "help", "--markdown"], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=environment(), check=False)
    assert done.returncode == 1
    assert "cannot write" in done.stderr


def test_closed_descriptors_do_not_harm(tmp_path, db):
    command = f"exec {PROGRAM} agents register --agent a --name A --db '{db}' >&- 2>&- <&-"
    done = subprocess.run(["sh", "-c", command], env=environment(), cwd=tmp_path, check=False)
    assert done.returncode in (0, 1)
    header = (tmp_path / "mindcore.db").read_bytes()[:16]
    assert header == b"SQLite format 3\0"
