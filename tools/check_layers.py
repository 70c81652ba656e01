#!/usr/bin/python3
"""The rules of the source tree that a compiler does not know. Prints TAP.

- A folder of src/ includes its own headers and those of lower layers; folders of one layer only as
  PEERS says, without a cycle. Programs (http, mcp, cli) see the public interface and src/base alone;
  the command line also the HTTP client, to drive servers.
- The Python extension sees the public interface, its own headers, and Python.
- A third-party header has one home.
- SQL text exists only in src/store.
- Public headers include only public and standard headers.
- No goto, no dangerous function.

`check_layers.py [ROOT]` checks a tree; the rules themselves are tested first, on small bad trees.
"""

import os
import re
import sys
import tempfile

from tap import Tap

LAYERS = {
    "base": 0,
    "net": 1, "scrape": 1, "text": 1, "vocabulary": 1, "config": 1, "message": 1, "vector": 1,
    "store": 2, "cache": 2, "llm": 2,
    "enrich": 3, "context": 3, "memory": 3,
    "engine": 4,
    "http": 5, "mcp": 5,
    "cli": 6,
}
# Within a layer: who may include whom. A cycle in this table is itself an error.
PEERS = {
    "vocabulary": {"text"},
    "message": {"vocabulary", "text"},
    "config": {"vocabulary", "text"},
    "cli": {"http", "mcp", "net"},
}
PROGRAMS = {"http", "mcp", "cli"}

# Header (or folder of headers) and the places, files or folders, that may include it.
HOMES = {
    "jansson.h": ["src/base/json.c"],
    "utf8proc.h": ["src/base/utf8.c"],
    "pcre2.h": ["src/text/"],
    "libfyaml.h": ["src/config/"],
    "sqlite3.h": ["src/store/sqlite/", "bench/"],
    "libpq-fe.h": ["src/store/postgres/", "bench/", "tests/support/postgres.c"],
    "lmdb.h": ["src/cache/", "bench/"],
    "microhttpd.h": ["src/http/"],
    "curl/": ["src/net/"],
    "zstd.h": ["src/store/"],
    "zdict.h": ["src/store/"],
    "llama.h": ["src/llm/", "bench/", "tests/unit/test_local.c"],
    "ggml.h": ["tests/support/"],
    "gguf.h": ["tests/support/"],
    "sodium.h": ["src/base/hash.c"],
    "Python.h": ["python/src/binding.h"],
}

STANDARD = {
    "assert.h", "errno.h", "float.h", "inttypes.h", "limits.h", "math.h", "stdarg.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "time.h",
}

BANNED = {
    "strcpy": "mc_buf or memcpy with a length", "strcat": "mc_buf", "strncpy": "memcpy with a length",
    "strncat": "mc_buf", "sprintf": "snprintf or mc_buf", "vsprintf": "vsnprintf or mc_buf",
    "gets": "fgets", "strtok": "mc_str_split", "atoi": "mc_str_to_int64", "atol": "mc_str_to_int64",
    "atoll": "mc_str_to_int64", "atof": "mc_str_to_double", "system": "posix_spawn", "popen": "posix_spawn",
    "alloca": "an arena", "rand": "mc_id", "srand": "mc_id", "tmpnam": "mkstemp", "mktemp": "mkstemp",
    "asctime": "mc_time_format", "ctime": "mc_time_format", "gmtime": "gmtime_r",
    "localtime": "localtime_r",
}

# Statements, so that prose such as "select a model" in an error text is not one.
SQL = re.compile(
    r"^\s*(SELECT\s|INSERT\s+(INTO|OR)\b|UPDATE\s+\w+\s+SET\b|DELETE\s+FROM\b|REPLACE\s+INTO\b"
    r"|CREATE\s+(TABLE|INDEX|UNIQUE|VIEW|TRIGGER|VIRTUAL|TEMP|FUNCTION|SCHEMA)\b"
    r"|(DROP|ALTER)\s+(TABLE|INDEX|VIEW|TRIGGER)\b|PRAGMA\s|BEGIN(\s+(IMMEDIATE|EXCLUSIVE|DEFERRED)|;|$)"
    r"|COMMIT(;|$)|ROLLBACK(;|$|\s+TO)|SAVEPOINT\s|VACUUM\b|ATTACH\s|WITH\s+\w+\s+AS\s*\()")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
# Comments, strings and characters, whichever begins first.
TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(text):
    """The text's line breaks alone, so that line numbers stay."""
    return re.sub(r"[^\n]", " ", text)


def without_comments(source):
    return TOKEN.sub(lambda m: blank(m[0]) if m[0].startswith("/") else m[0], source)


def without_literals(source):
    return TOKEN.sub(lambda m: blank(m[0]), source)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def sources(root, folders):
    """(path relative to the root, text) of every C file below the folders."""
    for folder in folders:
        for base, _, names in sorted(os.walk(os.path.join(root, folder))):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".inc")):
                    path = os.path.join(base, name)
                    with open(path, encoding="utf-8") as file:
                        yield os.path.relpath(path, root), file.read()


def folder_of(path):
    """"store" for src/store/sqlite/reader.c, None outside src."""
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


def may_include(folder, target):
    if folder == target:
        return True
    if folder in PROGRAMS:
        return target == "base" or target in PEERS.get(folder, ())
    return LAYERS[target] < LAYERS[folder] or target in PEERS.get(folder, ())


def check_includes(root, path, text):
    folder = folder_of(path)
    public = path.startswith("include/")
    problems = []
    for match in INCLUDE.finditer(without_comments(text)):
        where = f"{path}:{line_of(text, match.start())}"
        quoted, name = match[1] == '"', match[2]
        if public:
            if not name.startswith("mindcore/") and name not in STANDARD:
                problems.append(f"{where}: a public header includes {name}")
            continue
        problems += [f"{where}: {name} belongs to {' and '.join(places)}"
                     for header, places in HOMES.items()
                     if (name == header or header.endswith("/") and name.startswith(header))
                     and not any(path.startswith(place) for place in places)]
        if quoted and path.startswith("python/") and not os.path.exists(os.path.join(root, "python", "src", name)):
            problems.append(f"{where}: the extension sees include/mindcore and python/src, not {name}")
        if not folder:
            continue
        if quoted and "/" not in name:
            problems.append(f'{where}: write the path from src/: "{folder}/{name}"')
        elif quoted:
            target = name.split("/")[0]
            if target not in LAYERS:
                problems.append(f"{where}: {target}/ is in no layer (LAYERS of tools/check_layers.py)")
            elif not may_include(folder, target):
                problems.append(f"{where}: {folder} must not include {target}/")
            elif not os.path.exists(os.path.join(root, "src", name)):
                problems.append(f"{where}: {name} does not exist in src/")
    return problems


def check_own_header(root, path, text):
    """a.c begins with "a.h" where there is one, which proves the header complete."""
    if not path.startswith("src/") or not path.endswith(".c"):
        return []
    own = path[len("src/"):-len(".c")] + ".h"
    if not os.path.exists(os.path.join(root, "src", own)):
        return []
    first = INCLUDE.search(without_comments(text))
    return [] if first and first[2] == own else [f"{path}: its own header {own} must come first"]


def check_sql(_, path, text):
    if not path.startswith("src/") or path.startswith("src/store/"):
        return []
    return [f"{path}:{line_of(text, match.start())}: SQL outside src/store: {match[0][:40]}"
            for match in TOKEN.finditer(text)
            if match[0].startswith('"') and SQL.match(match[0][1:-1])]


def check_words(_, path, text):
    code = without_literals(text)
    problems = [f"{path}:{line_of(code, match.start())}: goto"
                for match in re.finditer(r"\bgoto\b", code)]
    calls = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    problems += [f"{path}:{line_of(code, match.start())}: {match[1]}() is banned: use {BANNED[match[1]]}"
                 for match in calls.finditer(code)]
    return problems


def check_cycles(root):
    """Cycles among the folders of src/ as they include each other now, and in PEERS."""
    edges = {folder: set(peers) for folder, peers in PEERS.items()}
    for path, text in sources(root, ["src"]):
        folder = folder_of(path)
        for match in INCLUDE.finditer(without_comments(text)):
            target = match[2].split("/")[0]
            if folder and match[1] == '"' and target in LAYERS and target != folder:
                edges.setdefault(folder, set()).add(target)
    problems = []
    done = set()

    def visit(folder, trail):
        if folder in trail:
            problems.append(" -> ".join(trail[trail.index(folder):] + [folder]))
        elif folder not in done:
            for target in sorted(edges.get(folder, ())):
                visit(target, trail + [folder])
            done.add(folder)

    for folder in sorted(edges):
        visit(folder, [])
    return problems


RULES = {
    "includes go down, third-party headers stay at home": check_includes,
    "a file's own header comes first": check_own_header,
    "SQL is in src/store only": check_sql,
    "no goto and no banned function": check_words,
}
FOLDERS = ["include", "src", "tests", "bench", "fuzz", "docs/examples", "python"]


def check_tree(root):
    """{rule: problems} of a tree."""
    result = {rule: [] for rule in RULES}
    for path, text in sources(root, FOLDERS):
        for rule, check in RULES.items():
            result[rule] += check(root, path, text)
    result["no cycle among folders"] = check_cycles(root)
    folders = os.path.join(root, "src")
    result["every folder of src/ has a layer"] = [
        f"src/{name}" for name in sorted(os.listdir(folders))
        if os.path.isdir(os.path.join(folders, name)) and name not in LAYERS
    ] if os.path.isdir(folders) else []
    return result


# What each rule must find: {path: text} and a part of the complaint; None where there must be none.
FIXTURES = [
    ("upward include", {"src/base/a.c": '#include "store/store.h"\n', "src/store/store.h": ""},
     "base must not include store/"),
    ("downward include", {"src/store/a.c": '#include "base/b.h"\n', "src/base/b.h": ""}, None),
    ("sideways include", {"src/cache/a.c": '#include "store/b.h"\n', "src/store/b.h": ""},
     "cache must not include store/"),
    ("permitted peer", {"src/vocabulary/a.c": '#include "text/b.h"\n', "src/text/b.h": ""}, None),
    ("a program inside the library", {"src/http/a.c": '#include "engine/b.h"\n', "src/engine/b.h": ""},
     "http must not include engine/"),
    ("a program over base", {"src/cli/a.c": '#include "base/b.h"\n#include <mindcore/engine.h>\n',
                             "src/base/b.h": ""}, None),
    ("the extension inside the library", {"python/src/a.c": '#include "base/b.h"\n', "src/base/b.h": ""},
     "the extension sees include/mindcore and python/src, not base/b.h"),
    ("the extension over the public interface", {"python/src/a.c": '#include "a.h"\n', "python/src/a.h": "",
                                                 "python/src/binding.h": "#include <Python.h>\n#include <mindcore/mindcore.h>\n"},
     None),
    ("Python's header away from home", {"src/engine/a.c": "#include <Python.h>\n"}, "Python.h belongs to"),
    ("include without a path", {"src/base/a.c": '#include "b.h"\n'}, "write the path from src/"),
    ("a header that is missing", {"src/base/a.c": '#include "base/nothing.h"\n'}, "does not exist"),
    ("unknown folder", {"src/odd/a.c": "int x;\n"}, "src/odd"),
    ("third-party header away from home", {"src/engine/a.c": "#include <sqlite3.h>\n"},
     "sqlite3.h belongs to"),
    ("third-party header at home", {"src/store/sqlite/a.c": "#include <sqlite3.h>\n"}, None),
    ("a folder of headers", {"src/http/a.c": "#include <curl/curl.h>\n"}, "curl/curl.h belongs to"),
    ("include in a comment", {"src/engine/a.c": "/* #include <sqlite3.h>\n */\nint x;\n"}, None),
    ("public header with a private one", {"include/mindcore/a.h": "#include <jansson.h>\n"},
     "a public header includes jansson.h"),
    ("public header with standard ones", {"include/mindcore/a.h": "#include <stdint.h>\n"}, None),
    ("own header not first", {"src/base/a.c": '#include <stdio.h>\n#include "base/a.h"\n',
                              "src/base/a.h": ""}, "must come first"),
    ("SQL in the engine", {"src/engine/a.c": 'const char *q = "SELECT id FROM messages";\n'},
     "SQL outside src/store"),
    ("SQL in the store", {"src/store/a.c": 'const char *q = "SELECT id FROM messages";\n'}, None),
    ("prose that resembles SQL", {"src/cli/a.c": 'const char *q = "select a model or update it";\n'},
     None),
    ("goto", {"src/base/a.c": "void f(void)\n{\n    goto out;\nout:;\n}\n"}, "a.c:3: goto"),
    ("goto in text", {"src/base/a.c": 'const char *s = "goto"; /* goto */\n'}, None),
    ("banned function", {"tests/a.c": "void f(char *a) { strcpy(a, a); }\n"}, "strcpy() is banned"),
    ("similar names", {"src/base/a.c": "int x(void) { return my_system(1) + a.system(2); }\n"}, None),
    ("cycle", {"src/text/a.c": '#include "message/m.h"\n', "src/text/t.h": "",
               "src/message/m.h": '#include "text/t.h"\n'}, "text -> message -> text"),
]


def self_test(tap):
    for what, files, complaint in FIXTURES:
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            problems = [problem for found in check_tree(root).values() for problem in found]
        passed = any(complaint in problem for problem in problems) if complaint else not problems
        tap.ok(passed, f"self-test: {what}", problems or ["no complaint"])


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    tap = Tap()
    self_test(tap)
    for rule, problems in check_tree(root).items():
        tap.none(problems, rule)
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
