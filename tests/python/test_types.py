"""The package, its adapters and the examples have types, as mypy --strict sees them with the real frameworks."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mindcore
from conftest import ROOT, environment

TYPED = Path(__file__).parent / "typed_use.py"
MISTAKES = Path(__file__).parent / "typed_wrong.py"


def mypy(*files):
    if not importlib.util.find_spec("mypy"):
        pytest.skip("mypy is not installed")
    package = Path(mindcore.__file__).parent
    # Beside the packages, whose types it holds: reading these takes half a minute, once.
    cache = Path(sys.prefix) / "mypy-cache"
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, *files], cwd=ROOT,
                          env=environment({"MYPYPATH": str(package.parent)}), capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_package_adapters_and_examples():
    package = Path(mindcore.__file__).parent
    status, output = mypy(*sorted(package.glob("*.py")), *sorted((ROOT / "examples" / "python").glob("*.py")), TYPED)
    assert status == 0, output


def test_typed_program_runs(tmp_path):
    done = subprocess.run([sys.executable, TYPED, tmp_path / "a.db"], cwd=tmp_path, env=environment(),
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "My order is late" in done.stdout and done.stdout.endswith(" 7 6\n")


def test_mistakes_are_found():
    """Each line that says so, with the error that it names, and no other."""
    _, output = mypy(MISTAKES)
    found = {(int(line), code) for line, code in re.findall(r":(\d+): error: .*\[([a-z-]+)\]", output)}
    with open(MISTAKES, encoding="utf-8") as file:
        expected = {(number, line.split("# WRONG ")[1].strip()) for number, line in enumerate(file, 1) if "# WRONG" in line}
    assert found == expected, output
