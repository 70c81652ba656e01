"""Every Python block of docs/python.md and of the README, as a reader runs them: in order, in one program."""

import importlib.util
import subprocess
import sys

import pytest

import guide
from conftest import ROOT, environment
from model_server import ModelServer

PACKAGES = ("langchain_core", "llama_index", "openai")


@pytest.mark.parametrize(("page", "least"), [("docs/python.md", 12), ("README.md", 1)])
def test_blocks_run(page, least, tmp_path):
    missing = [package for package in PACKAGES if not importlib.util.find_spec(package)]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    blocks = [block for block in guide.read(ROOT / page) if block.language == "python"]
    assert len(blocks) >= least
    program = tmp_path / "page.py"
    program.write_text("\n".join(f"# line {block.line}\n{block.text}" for block in blocks), encoding="utf-8")
    with ModelServer() as services:
        done = subprocess.run([sys.executable, program], cwd=tmp_path, capture_output=True, text=True, check=False,
                              env=environment({"OPENAI_BASE_URL": services.url, "OPENAI_API_KEY": "sk-test",
                                               "MINDCORE_LLM_PROVIDER": "builtin"}))
        assert services.errors == []
    assert done.returncode == 0, done.stderr
    assert "peanuts" in done.stdout
