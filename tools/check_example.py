#!/usr/bin/python3
"""Runs a program of docs/examples on an empty database and checks what it prints. Prints TAP.

`check_example.py NAME PROGRAM`
"""

import os
import re
import subprocess
import sys
import tempfile

from tap import Tap

BATCH = """\
{"user_id": "u1", "thread_id": "t1", "session_id": "s1", "role": "user", "text": "Where is my order?", "message_id": "m1"}
{"user_id": "u1", "thread_id": "t1", "session_id": "s1", "role": "user"}
{"user_id": "u1", "thread_id": "t1", "session_id": "s1", "role": "pirate", "text": "Arr"}
not JSON
{"user_id": "u1", "thread_id": "t1", "session_id": "s1", "role": "user", "text": "Where is my order?", "message_id": "m1"}
"""

# What each prints, as regular expressions that match somewhere, and what must not appear.
EXPECTED = {
    "quickstart": ("", [r"(?m)^stored msg_[0-9a-f]{32}$", r"broken screen", r"249\.90",
                        r"(?m)^\d+ tokens of 500$"], []),
    "search": ("", [r"words: [1-9]\d* found\n  \d+\.\d+  \[parcel\]", r"topics: [2-9]\d* found",
                    r"one thread: [12] found\n.*March invoice"], []),
    "batch": (BATCH, [r"line 2 refused: .*text", r"line 3 refused: .*role", r"line 4 refused: ",
                      r"1 stored, 1 there already, 3 refused"], [r"line [15] refused"]),
    "agents": ("", [r"support sees 2\n", r"billing sees 1\n  shared, by support: Amara wants",
                    r"marketing sees 0\n"], [r"billing sees \d\n(  .*\n)*.*Draft"]),
    "preferences": ("", [r'language: .*"language": ?"de"', r"in force: .*cycling", r"in force: .*aisle",
                         r"in force: .*Europe/Berlin", r"learned: .*signals"], [r"in force: .*chess"]),
    "sources": ("", [r"lena asks: .*\n## External data\n- \[orders: Order 4711\] a desk lamp, .*\n- \[orders: Order 4388\]",
                     r"The lamp is a present.*\n\(from the cache\)\n", r"marco asks: .*\n.*\n- \[orders: Order 5002\] a kettle",
                     r'"lookups":2,"cache_hits":1,"failures":0'], [r"marco asks: .*\n.*\n.*Order 4711"]),
    "window": ("", [r"(?m)^5 messages, \d+ tokens$", r"Turn 26: (.|\n)*Turn 30: ",
                    r"importance in 0 days: 0\.\d*[1-9]"], [r"Turn 25:"]),
}


def run(program, arguments, text, folder):
    environment = dict(os.environ, HOME=folder, XDG_CACHE_HOME=folder)
    return subprocess.run([os.path.abspath(program), *arguments], input=text, text=True, cwd=folder,
                          env=environment, capture_output=True, timeout=250, check=False)


def main():
    name, program = sys.argv[1:]
    text, wanted, unwanted = EXPECTED[name]
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        done = run(program, [os.path.join(folder, "example.db")], text, folder)
        output = done.stdout.splitlines() + done.stderr.splitlines()
        tap.ok(done.returncode == 0, f"{name} exits with 0", [f"exit status {done.returncode}"] + output)
        for pattern in wanted:
            tap.ok(re.search(pattern, done.stdout), f"{name} prints {pattern!r}".replace("#", ""), output)
        for pattern in unwanted:
            tap.ok(not re.search(pattern, done.stdout), f"{name} does not print {pattern!r}", output)
        tap.ok(not done.stderr, f"{name} is silent on standard error", done.stderr.splitlines())

        tap.ok(run(program, [], "", folder).returncode == 2, f"{name} without a database: wrong usage")
        broken = os.path.join(folder, "broken.db")
        with open(broken, "w", encoding="utf-8") as file:
            file.write("this is no database\n" * 1000)
        failed = run(program, [broken], text, folder)
        tap.ok(failed.returncode == 1 and failed.stderr.startswith(f"{name}: "),
               f"{name} reports a file that is no database", [f"exit status {failed.returncode}", failed.stderr])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
