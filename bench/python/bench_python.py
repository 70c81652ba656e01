"""What does a call from Python cost over the same call from C, and how far do eight threads get?

    bench_python.py PROGRAM

PROGRAM is python_calls, the C half (calls.c). Each half has a database of its own with the same messages; blocks of
calls alternate between them, with the other one idle, and each figure is the median of its blocks. "recent" makes the
list of 20 Message objects, "context" an AssembledContext; what is read of them afterwards costs more.

Target: ingest from 8 threads reaches 0.7 of what 8 threads reach in C.
"""

import statistics
import subprocess
import sys
import tempfile
import threading
import time

from mindcore import MindcoreClient

ROUNDS = 9
CALLS = {"ingest": 1500, "recent": 3000, "context": 60}
THREADS = 8
GOAL = 0.7


class Python:
    """The Python half: the same calls as call() in calls.c."""

    def __init__(self, path):
        self.client = MindcoreClient(use_sqlite=True, sqlite_path=path, persistent_cache=False)
        self.next = 0

    def call(self, operation):
        client = self.client
        return {
            "ingest": lambda n: client.ingest("ann", f"t{n % 50}", "s1", "user",
                                              f"Where is my order ORD-{n}? It has not arrived."),
            "recent": lambda n: client.get_recent_messages("ann", f"t{n % 50}", limit=20),
            "context": lambda n: client.get_context("ann", f"t{n % 50}", "Has my order arrived?"),
        }[operation]

    def run(self, operation, first, count, taken):
        call = self.call(operation)
        clock = time.perf_counter_ns
        for n in range(first, first + count):
            start = clock()
            call(n)
            taken.append(clock() - start)

    def measure(self, operation, count, threads):
        taken = [[] for _ in range(threads)]
        workers = [threading.Thread(target=self.run, args=(operation, self.next + i * count, count, taken[i]))
                   for i in range(threads)]
        self.next += count * threads
        start = time.perf_counter_ns()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        total = time.perf_counter_ns() - start
        return statistics.median(value for part in taken for value in part), total

    def drain(self):
        self.client.drain()


class C:
    def __init__(self, program, path):
        self.process = subprocess.Popen([program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def measure(self, operation, count, threads):
        self.process.stdin.write(f"{operation} {count} {threads}\n")
        self.process.stdin.flush()
        p50, total = self.process.stdout.readline().split()
        return float(p50), float(total)

    def drain(self):
        self.measure("drain", 1, 1)


def compare(halves, operation, count, threads):
    """The medians of (p50, total) of each half."""
    blocks = {half: [] for half in halves}
    for number in range(ROUNDS):
        for half in halves if number % 2 else halves[::-1]:
            blocks[half].append(half.measure(operation, count, threads))
            half.drain()
    return [tuple(statistics.median(column) for column in zip(*blocks[half])) for half in halves]


def main():
    program = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        halves = [C(program, f"{folder}/c.db"), Python(f"{folder}/python.db")]
        print(f"{'p50 of a call':<28}{'C':>10}{'Python':>12}{'over C':>12}")
        for operation, count in CALLS.items():
            c, python = compare(halves, operation, count, 1)
            print(f"{operation:<28}{c[0] / 1e3:>7.2f} us{python[0] / 1e3:>9.2f} us{(python[0] - c[0]) / 1e3:>9.2f} us")
        count = CALLS["ingest"] // THREADS * 4
        c, python = compare(halves, "ingest", count, THREADS)
        rates = [count * THREADS / half[1] * 1e9 for half in (c, python)]
        ratio = rates[1] / rates[0]
        print(f"ingest, {THREADS} threads: {rates[1]:,.0f} messages/s, C {rates[0]:,.0f}")
        reached = ratio >= GOAL
        print(f"target: ingest from {THREADS} threads, of C's rate {ratio:>13.2f}, at least {GOAL:>9.2f}: "
              f"{'reached' if reached else 'MISSED'}")
        halves[1].client.close()
        halves[0].process.stdin.close()
        halves[0].process.wait()
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
