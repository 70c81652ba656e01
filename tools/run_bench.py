#!/usr/bin/python3
"""Runs the benchmarks of bench/ and writes what they print to bench/RESULTS.md.

    tools/run_bench.py [--build build] [--update] [NAME ...]

Each bench_<name> (and the programs in Python) prints what it measured, as ratios to a raw loop in the same
run where there is one, and exits with 0 when every figure reached its target, 1 when one did not. Without names all are
run but the long ones, which take half an hour. With names only those are run, and the file stays as it is unless
--update is given. What was not run keeps its section.
"""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# The sizes at which each is run, where they are not its own.
ARGUMENTS = {"context": ["100000", "300000"], "engine": ["50000"],
             "postgres": ["--messages", "1000000"], "store": ["50000"],
             "tiers": ["--messages", "20000", "--undo"], "tiers_million": ["--messages", "1000000"]}


# Only run when they are named.
LONG = ["loadtest", "tiers_million"]

# Programs in Python, and what of the build folder they are run with.
SCRIPTS = {"loadtest": ("loadtest.py", "mindcore"), "python": ("python/bench_python.py", "bench/python_calls")}


def program_of(name):
    """The target of the build that is run, or that a script runs."""
    if name in SCRIPTS:
        return SCRIPTS[name][1]
    return "bench/bench_" + name.removesuffix("_million")


def source_of(name):
    return SCRIPTS[name][0] if name in SCRIPTS else os.path.basename(program_of(name)) + ".c"


def command_of(name, build):
    """What is run: a program of the build folder, or a script with one; bench_python with the package of that folder."""
    program = os.path.join(build, program_of(name))
    if name not in SCRIPTS:
        return [program]
    python = os.path.join(build, "python-venv", "bin", "python") if name == "python" else "/usr/bin/python3"
    return [python, os.path.join(ROOT, "bench", source_of(name)), program]


def first_match(path, pattern):
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(pattern, file.read(), re.M)
    except OSError:
        return "unknown"
    return found[1] if found else "unknown"


def output_of(*command):
    try:
        return subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine(folder):
    memory_kb = first_match("/proc/meminfo", r"^MemTotal:\s+(\d+)")
    memory = f"{int(memory_kb) / 1024 / 1024:.0f} GiB" if memory_kb.isdigit() else "unknown"
    processor = first_match("/proc/cpuinfo", r"^model name\s*:\s*(.+)$")
    system = first_match("/etc/os-release", r'^PRETTY_NAME="(.*)"$')
    commit = output_of("git", "rev-parse", "--short", "HEAD") or "none"
    changed = " with changes" if output_of("git", "status", "--porcelain", "--untracked-files=no") else ""
    return [
        ("processor", f"{processor}, {os.cpu_count()} cores"),
        ("memory", memory),
        ("system", f"{system}, Linux {platform.release()}"),
        ("file system", output_of("stat", "-f", "-c", "%T", folder) or "unknown"),
    ], f"{commit}{changed} | {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC"


def read_results(path):
    """({name: row of the table}, {name: section}) of an earlier run."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return {}, {}
    rows = {match[1]: match[0] for match in re.finditer(r"^\| \[(\w+)\]\(#.*\n", text, re.M)}
    sections = {match[1]: match[0] for match in re.finditer(r"^## (\w+)\n.*?^```\n.*?^```\n", text, re.M | re.S)}
    return rows, sections


def write_results(path, facts, rows, sections):
    with open(path, "w", encoding="utf-8") as file:
        file.write("# Benchmarks\n\nWritten by `make bench`, the long ones by `make bench ARGS=\"--update NAME\"`; what each"
                   " measures stands at the top of its source.\n\n")
        file.write("| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in facts))
        file.write("\n| benchmark | targets | took | commit | date |\n|---|---|---|---|---|\n")
        file.write("".join(rows[name] for name in sorted(rows)) + "\n")
        file.write("\n".join(sections[name] for name in sorted(sections)))


def get_llama():
    """llama.cpp with its server, which benchmarks of models use; LLAMA=no leaves it out."""
    if os.environ.get("LLAMA") == "no":
        return
    os.environ.pop("LLAMA", None)  # what there is after this is used
    prefix = output_of("tools/get-llama", "--find", "--server")
    if not prefix:
        subprocess.run("tools/install-deps llama && tools/get-llama --server", shell=True, cwd=ROOT, check=True,
                       stdout=sys.stderr)
        prefix = output_of("tools/get-llama", "--find", "--server")
    os.environ["MINDCORE_LLAMA_PREFIX"] = prefix


def run_one(command, folder):
    """(reached its targets, output), the output shown as it comes."""
    process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace",
                               env={**os.environ, "TMPDIR": folder})
    lines = []
    for line in process.stdout:
        print("  " + line, end="", flush=True)
        lines.append(line)
    return process.wait() == 0, "".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build")
    parser.add_argument("--update", action="store_true", help="replaces the sections of the names in bench/RESULTS.md")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()

    every = sorted([match[1] for match in (re.fullmatch(r"bench_(\w+)\.c", name) for name in
                                          os.listdir(os.path.join(ROOT, "bench"))) if match] + LONG + ["python"])
    unknown = set(options.names) - set(every)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    names = options.names or [name for name in every if name not in LONG]
    build = os.path.join(ROOT, options.build)
    if not names:
        parser.error("bench/ holds no benchmark")
    get_llama()
    subprocess.run([os.path.join(ROOT, "tools", "setup-build"), build], check=True)
    subprocess.run(["ninja", "-C", build, "product", *map(program_of, names)], check=True,
                   stdout=subprocess.DEVNULL)
    if "python" in names:
        subprocess.run(["make", "python", f"BUILD={options.build}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    path = os.path.join(ROOT, "bench", "RESULTS.md")
    rows, sections = read_results(path)
    missed = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as folder:
        os.chmod(folder, 0o755)  # PostgreSQL's server runs as another user where this one is root
        facts, when = machine(folder)
        for name in names:
            print(name, flush=True)
            arguments = ARGUMENTS.get(name, [])
            started = time.monotonic()
            reached, output = run_one([*command_of(name, build), *arguments], folder)
            seconds = time.monotonic() - started
            if not reached:
                missed.append(name)
            verdict = "reached" if reached else "**missed**"
            rows[name] = f"| [{name}](#{name}) | {verdict} | {seconds:.0f} s | {when} |\n"
            command = " ".join([os.path.basename(source_of(name)).removesuffix(".c"), *arguments])
            sections[name] = f"## {name}\n\n`{command}` ([source]({source_of(name)}))\n\n```\n{output.rstrip()}\n```\n"
            if options.update or not options.names:
                write_results(path, facts, rows, sections)
    if missed:
        print(f"below a target: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
