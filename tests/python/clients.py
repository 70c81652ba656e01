"""What the tests of the package share: a client on a database of its own, and programs in a process of their own."""

import subprocess
import sys

import pytest

from conftest import SLOWNESS, environment
from mindcore import MindcoreClient


@pytest.fixture
def client(tmp_path):
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "a.db", persistent_cache=False) as opened:
        yield opened


def say(client, text="Where is my order ORD-48213?", **more):
    return client.ingest("ann", "t1", "s1", "user", text, **more)


def run_python(code, folder, seconds=60):
    """A program of its own; one that does not end in time fails the test."""
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment(), capture_output=True, text=True,
                          timeout=seconds * SLOWNESS, check=False)
