"""Does a server hold ten times the load of the guide's highest level, on SQLite and on PostgreSQL?

    loadtest.py MINDCORE [TIME]

Starts a server on each, both at once, with the default options (eight workers on PostgreSQL, as the guide recommends
there) and drives it with `mindcore loadtest --profile high --times 10` for TIME (10m), after three minutes of fifty
times the load that fill its caches. PostgreSQL is a server of its own with its default options (synchronous commits); it is
left out where none is installed.

Targets: no operation failed or was left out, the queue was empty within a second after the load, and the server's
memory did not grow by more than 16 MiB, whose caches were full before.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ["MINDCORE_BUILD"] = str(Path(sys.argv[1]).resolve().parent)
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

from conftest import PROGRAM, Server  # noqa: E402: found by the line above
from postgres import Postgres, find_postgres  # noqa: E402

MIB = 1 << 20
WARM_UP = ["--times", "50", "--duration", "3m"]
GROWTH_MAX_MIB = 16
EMPTY_SECONDS_MAX = 1


class Run:
    """One server and the load on it, in a thread of its own."""

    def __init__(self, name, folder, *args, db=None):
        self.name = name
        self.server = Server(folder, db=db, args=["-o", f"cache.dir={folder}/cache", *args])
        self.error = None
        self.result = None

    def drive(self, *options):
        done = subprocess.run([PROGRAM, "loadtest", "--profile", "high", "--url", self.server.url, "--keep", "--json",
                               "--quiet", *options], capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or not done.stdout:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout)

    def run(self, duration):
        try:
            with self.server:
                self.drive(*WARM_UP)
                self.result = self.drive("--times", "10", "--duration", duration)
        except (AssertionError, RuntimeError) as error:
            self.error = error

    def judge(self):
        """Prints what was measured; how many targets were missed."""
        if self.error:
            print(f"{self.name}: {self.error}")
            return 1
        queue, memory, operations = (self.result[key] for key in ("queue", "resident_bytes", "operations"))
        print(f"{self.name:12}{'wanted/s':>9} {'achieved/s':>10} {'done':>7} {'errors':>6} {'not sent':>8}"
              f" {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'max ms':>8}")
        for name, row in operations.items():
            print(f"{name:12}{row['wanted_per_second']:9.2f} {row['achieved_per_second']:10.2f} {row['done']:7}"
                  f" {row['errors']:6} {row['not_sent']:8} {row['p50_ms']:8.2f} {row['p95_ms']:8.2f}"
                  f" {row['p99_ms']:8.2f} {row['max_ms']:8.2f}")
        print(f"queue: at most {queue['depth_max']:.0f}, {queue['depth_at_end_of_load']:.0f} at the end of the load")
        print("memory, MiB: " + ", ".join(f"{when} {memory[when] / MIB:.1f}" for when in ("start", "half", "end", "max")))
        empty = queue["empty_after_seconds"]
        failed = sum(row["errors"] + row["not_sent"] for row in operations.values())
        targets = [("operations that failed or were left out", failed, 0, "d"),
                   ("seconds until the queue was empty", float("inf") if empty is None else empty, EMPTY_SECONDS_MAX, ".3f"),
                   ("growth of memory, MiB", (memory["end"] - memory["start"]) / MIB, GROWTH_MAX_MIB, ".1f")]
        for name, value, limit, form in targets:
            print(f"target: {name:45} {value:>8{form}}, at most {limit:5}: {'reached' if value <= limit else 'MISSED'}")
        return sum(value > limit for _, value, limit, _ in targets)


def main():
    duration = sys.argv[2] if len(sys.argv) > 2 else "10m"
    binaries = find_postgres()
    postgres = Postgres(binaries, fsync="on") if binaries else None
    with tempfile.TemporaryDirectory(prefix="loadtest-") as folder:
        places = [Path(folder, name) for name in ("sqlite", "postgresql")]
        for place in places:
            place.mkdir()
        runs = [Run("SQLite", places[0])]
        try:
            if postgres:
                postgres.start()
                runs.append(Run("PostgreSQL", places[1], "-o", "enrichment.workers=8", db=postgres.url(postgres.create())))
            else:
                print("PostgreSQL is left out: there is no server")
            threads = [threading.Thread(target=run.run, args=(duration,)) for run in runs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            if postgres:
                postgres.stop()
    return 1 if sum([run.judge() for run in runs]) else 0


if __name__ == "__main__":
    sys.exit(main())
