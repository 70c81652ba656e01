"""The adapters and the examples have types, as mypy --strict sees them with the real packages."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import mindcore
from conftest import ROOT, environment


def test_adapters_and_examples():
    if not importlib.util.find_spec("mypy"):
        pytest.skip("mypy is not installed")
    package = Path(mindcore.__file__).parent
    files = [*(package / f"{name}.py" for name in ("_thread", "langchain", "llamaindex", "openai")),
             *sorted((ROOT / "examples" / "python").glob("*.py"))]
    # Beside the packages, whose types it holds: reading these takes half a minute, once.
    cache = Path(sys.prefix) / "mypy-cache"
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, *files], cwd=ROOT,
                          env=environment({"MYPYPATH": str(package.parent)}), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
