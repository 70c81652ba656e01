"""Real models for the tests: one of random weights, and llama-server with it."""

import os
import subprocess
import threading
import urllib.request
from pathlib import Path


def llama_prefix(root):
    """Where llama.cpp is installed with its server; None when it is not."""
    given = os.environ.get("MINDCORE_LLAMA_PREFIX")
    if given is None:
        given = subprocess.run([root / "tools" / "get-llama", "--find", "--server"], capture_output=True, text=True,
                               check=True).stdout.strip()
    return Path(given) if given and (Path(given) / "bin" / "llama-server").exists() else None


def make_model(build, path, *options):
    """Writes a model of random weights; None when the build has no libllama, and so no program that does it."""
    target = "tests/support/mkmodel"
    known = subprocess.run(["ninja", "-C", build, "-t", "query", target], capture_output=True, check=False)
    if known.returncode != 0:
        return None
    subprocess.run(["ninja", "-C", build, target], capture_output=True, check=True)
    # What the writer of test data leaks is of no interest.
    environment = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    subprocess.run([build / target, path, *options], capture_output=True, check=True, env=environment)
    return path


class LlamaServer:
    """llama-server with one thread, so that waiting ones do not take the processor from the program under test."""

    def __init__(self, prefix, model, port, api_key=None):
        self.port = port
        command = [prefix / "bin" / "llama-server", "-m", model, "--host", "127.0.0.1", "--port", str(port), "-c",
                   "16384", "-np", "4", "-t", "1", "-tb", "1", "-fa", "off", "--no-ui", "-a", "tiny"]
        if api_key:
            command += ["--api-key", api_key]
        self.lines = []
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True).start()

    @property
    def url(self):
        """For llm.openai.base_url."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def log(self):
        return "".join(self.lines)

    def ready(self):
        assert self.process.poll() is None, f"llama-server ended:\n{self.log}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
