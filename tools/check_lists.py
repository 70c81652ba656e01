#!/usr/bin/python3
"""No file is forgotten: every source, test, benchmark, fuzz target, example, public header and man page
is named in the meson.build that should name it, and every command in the man page. Prints TAP. `check_lists.py [ROOT]`
"""

import os
import re
import sys

from tap import Tap

# (what, meson.build, folder of the files, pattern of their names; group 1 is what the list says)
LISTS = [
    ("unit tests", "tests/unit/meson.build", "tests/unit", r"test_(\w+)\.c"),
    ("contract tests", "tests/contract/meson.build", "tests/contract", r"test_(\w+)\.c"),
    ("benchmarks", "bench/meson.build", "bench", r"bench_(\w+)\.c"),
    ("fuzz targets", "fuzz/meson.build", "fuzz", r"fuzz_(\w+)\.c"),
    ("examples", "docs/examples/meson.build", "docs/examples", r"(\w+)\.c"),
    ("public headers", "meson.build", "include/mindcore", r"(\w+\.h)"),
    ("man pages", "meson.build", "docs/man", r"(\w+\.[13])"),
]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def named(text, name):
    return re.search(rf"['/]{re.escape(name)}'", text) is not None


def unlisted(root, listing, folder, pattern):
    text = read(os.path.join(root, listing))
    names = (re.fullmatch(pattern, name) for name in sorted(os.listdir(os.path.join(root, folder))))
    return [f"{folder}/{match[0]} is not in {listing}" for match in names if match and not named(text, match[1])]


def unlisted_sources(root):
    """Sources of src/, each named by the meson.build of its first folder."""
    problems = []
    for folder in sorted(os.listdir(os.path.join(root, "src"))):
        top = os.path.join(root, "src", folder)
        listing = os.path.join(top, "meson.build")
        found = [os.path.relpath(os.path.join(base, name), top)
                 for base, _, names in os.walk(top) for name in names if name.endswith(".c")]
        if found and not os.path.exists(listing):
            problems.append(f"src/{folder}/meson.build is missing")
            continue
        text = read(listing) if found else ""
        nested = "".join(read(os.path.join(base, "meson.build")) for base, _, names in os.walk(top)
                         if "meson.build" in names and base != top)
        problems += [f"src/{folder}/{path} is not in src/{folder}/meson.build" for path in sorted(found)
                     if not named(text, path) and not named(nested, os.path.basename(path))]
    return problems


def undocumented_commands(root):
    """Commands of the table that the man page leaves out; hidden ones are internal."""
    source = os.path.join(root, "src", "cli", "commands.c")
    if not os.path.exists(source):
        return []
    page = read(os.path.join(root, "docs", "man", "mindcore.1"))
    table = re.search(r"mc_cli_command commands\[\] = \{\n(.*?)^\};", read(source), re.M | re.S)
    rows = re.findall(r'^ {4}\{"([^"]+)"(.*?)\},$', table[1], re.M | re.S) if table else []
    problems = [f"{name} is not in docs/man/mindcore.1" for name, row in rows
                if not "HIDDEN_COMMAND" in row
                and not re.search(rf"^\.It Ic {name.split()[0]}\b.*{name.split()[-1]}\b", page, re.M)
                and not re.search(rf"^\.It Ic {name}\b", page, re.M)]
    return problems if rows else ["src/cli/commands.c: no command was recognised"]


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    tap = Tap()
    tap.none(unlisted_sources(root), "every source of src/ is built")
    for what, listing, folder, pattern in LISTS:
        tap.none(unlisted(root, listing, folder, pattern), f"all {what} are listed")
    tap.none(undocumented_commands(root), "the man page knows every command")
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
