"""Debian's Prometheus in a temporary folder and on a free port, with the configuration of deploy/prometheus."""

import contextlib
import json
import math
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

from conftest import ROOT, free_port, wait_until

RULES = ROOT / "deploy" / "prometheus"


def find_prometheus():
    return shutil.which("prometheus"), shutil.which("promtool")


class Prometheus:
    """With deploy's own scrape job and rules; only the target's port and the interval are the test's."""

    def __init__(self, folder, target, interval="200ms"):
        self.folder = Path(folder)
        self.port = free_port()
        config = yaml.safe_load((RULES / "prometheus.yml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [target]}]
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        for name in config["rule_files"]:
            shutil.copy(RULES / name, self.folder)
        self.log = open(self.folder / "prometheus.log", "w+", encoding="utf-8")  # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            [find_prometheus()[0], f"--config.file={self.folder / 'prometheus.yml'}",
             f"--storage.tsdb.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            value = json.load(answer)
        assert value["status"] == "success", value
        return value["data"]

    def query(self, expression):
        """[(labels, value)] of an instant query; a scalar has no labels."""
        data = self.get("/api/v1/query", query=expression)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(item["metric"], float(item["value"][1])) for item in data["result"]]

    def numbers(self, expression):
        """The values of a query that are numbers."""
        return [value for _, value in self.query(expression) if not math.isnan(value)]

    def value(self, expression):
        """The sum of them; None when there is none, or Prometheus does not answer yet."""
        with contextlib.suppress(OSError):
            found = self.numbers(expression)
            return sum(found) if found else None
        assert self.process.poll() is None, self.said()
        return None

    def alerts(self):
        """{name: state} of every rule: inactive, pending, firing."""
        rules = [rule for group in self.get("/api/v1/rules")["groups"] for rule in group["rules"]]
        for rule in rules:
            assert rule["health"] != "err", rule
        return {rule["name"]: rule["state"] for rule in rules}

    def said(self):
        return (self.folder / "prometheus.log").read_text(encoding="utf-8")

    def __enter__(self):
        wait_until(lambda: self.value("up") is not None, 30, "a first scrape")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
