#!/usr/bin/python3
"""Runs the benchmarks of bench/ and writes what they print to bench/RESULTS.md.

    tools/run_bench.py [--build build] [--output FILE] [NAME ...]

Each bench_<name> (and bench/python/bench_python.py) prints what it measured, as ratios to a raw loop in the same
run where there is one, and exits with 0 when every figure reached its target, 1 when one did not. With names,
only those are run and no file is written unless --output names one. Everything together takes a few minutes.
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
             "postgres": ["--messages", "300000"], "store": ["50000"],
             "tiers": ["--messages", "20000"]}


# Not of one program: its half in C, and what is run with that.
PYTHON_PROGRAM, PYTHON_SOURCE = "python_calls", "python/bench_python.py"


def program_of(name):
    return PYTHON_PROGRAM if name == "python" else f"bench_{name}"


def source_of(name):
    return PYTHON_SOURCE if name == "python" else f"bench_{name}.c"


def command_of(name, build):
    """What is run: a program of the build folder, for Python with the package of that folder."""
    program = os.path.join(build, "bench", program_of(name))
    if name != "python":
        return [program]
    return [os.path.join(build, "python-venv", "bin", "python"), os.path.join(ROOT, "bench", PYTHON_SOURCE), program]


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
        ("commit", commit + changed),
        ("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
    ]


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
    parser.add_argument("--output", help="file for the results; bench/RESULTS.md when no names are given")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()

    every = sorted([match[1] for match in (re.fullmatch(r"bench_(\w+)\.c", name) for name in
                                          os.listdir(os.path.join(ROOT, "bench"))) if match] + ["python"])
    unknown = set(options.names) - set(every)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    names = options.names or every
    build = os.path.join(ROOT, options.build)
    if not names:
        parser.error("bench/ holds no benchmark")
    get_llama()
    subprocess.run([os.path.join(ROOT, "tools", "setup-build"), build], check=True)
    subprocess.run(["ninja", "-C", build, "product", *(f"bench/{program_of(name)}" for name in names)], check=True,
                   stdout=subprocess.DEVNULL)
    if "python" in names:
        subprocess.run(["make", "python", f"BUILD={options.build}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    rows = []
    sections = []
    missed = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as folder:
        facts = machine(folder)
        for name in names:
            print(name, flush=True)
            arguments = ARGUMENTS.get(name, [])
            started = time.monotonic()
            reached, output = run_one([*command_of(name, build), *arguments], folder)
            seconds = time.monotonic() - started
            if not reached:
                missed.append(name)
            rows.append(f"| [{name}](#{name}) | {'reached' if reached else '**missed**'} | {seconds:.0f} s |\n")
            command = " ".join([os.path.basename(command_of(name, build)[-1]), *arguments])
            sections.append(f"## {name}\n\n`{command}` ([source]({source_of(name)}))\n\n```\n{output.rstrip()}\n```\n")
    path = options.output or (None if options.names else os.path.join(ROOT, "bench", "RESULTS.md"))
    if path:
        with open(path, "w", encoding="utf-8") as file:
            file.write("# Benchmarks\n\nWritten by `make bench`; what each measures stands at the top of its source.\n\n")
            file.write("| | |\n|---|---|\n" + "".join(f"| {name} | {value} |\n" for name, value in facts))
            file.write("\n| benchmark | targets | took |\n|---|---|---|\n" + "".join(rows) + "\n")
            file.write("\n".join(sections))
    if missed:
        print(f"below a target: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
