#!/usr/bin/python3
"""Runs the tests and ends with the line "N passed, N failed"; exit status 1 when any failed.

Builds plain, with address+undefined and with thread sanitizers, and the fuzz targets; runs the C tests
of each build, the end-to-end tests against each program, the fuzz targets for a few seconds, and the
lint. Every test case counts: TAP lines, pytest cases, single checks; a build that fails is one failure.

    tools/run_tests.py                      everything
    tools/run_tests.py --plain              the plain build only, without fuzzing
    tools/run_tests.py --suite unit         one of: unit contract checks examples e2e python lint fuzz
    tools/run_tests.py --suite asan         everything of one build: plain asan tsan
"""

import argparse
import concurrent.futures
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHON = "/usr/bin/python3"
C_SUITES = ["unit", "contract", "checks", "examples"]
SUITES = C_SUITES + ["e2e", "python", "lint", "fuzz"]
FUZZ_SECONDS = 10
LOG_LINES = 80  # of a failing test on the screen; the whole log is named beside them
TELLING = r"\| (not ok|FAILED|ERROR)\b|exit status -?\d|Sanitizer:|runtime error:|: error:|killed after"
TOLD_LINES = 10  # of a suite's failures, at the end of all
TOLD_LENGTH = 400

SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
}


class Build:
    """One build folder: its options, and what is run in it."""

    def __init__(self, name, folder, options, compiler=None, timeout_factor=1):
        self.name = name
        self.folder = os.path.join(ROOT, folder)
        self.options = ["-Dwerror=true"] + options
        self.compiler = compiler
        self.timeout_factor = timeout_factor


PLAIN = Build("plain", "build", [])
ASAN = Build("asan", "build-asan", ["-Db_sanitize=address,undefined", "-Doptimization=1", "-Dbench=false",
                                    "-Dpython=true"], timeout_factor=4)
TSAN = Build("tsan", "build-tsan", ["-Db_sanitize=thread", "-Doptimization=1", "-Dbench=false"],
             timeout_factor=8)
FUZZ = Build("fuzz", "build-fuzz", ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfuzz=true",
                                    "-Dllama=disabled", "-Doptimization=1", "-Dtests=false", "-Dexamples=false", "-Dbench=false"],
             compiler="clang")


class Report:
    """Counts, and one line for each suite as it ends."""

    def __init__(self):
        self.lock = threading.Lock()  # guards the counts and the order of the output
        self.passed = 0
        self.failed = 0
        self.failures = []  # (suite, log)

    def add(self, name, passed, failed, seconds, note="", log=""):
        mark = "FAILED" if failed else "ok"
        with self.lock:
            self.passed += passed
            self.failed += failed
            if failed:
                self.failures.append((name, log))
            print(f"{name:<22}{mark:<8}{passed:>6} passed {failed:>4} failed {seconds:>7.1f} s  {note}".rstrip(),
                  flush=True)
            if log:
                print(log.rstrip(), flush=True)

    def check(self, name, passed, seconds, log="", note=""):
        self.add(name, int(passed), int(not passed), seconds, note, "" if passed else log)

    def repeat_failures(self):
        """The lines that say what failed, once more at the end: of a long output often the end alone is kept."""
        for name, log in self.failures:
            lines = [line.rstrip() for line in log.splitlines()]
            said = [line for line, before in zip(lines, ["", *lines])
                    if re.search(TELLING, line) or "| not ok" in before] or lines[-TOLD_LINES:]
            print("\n".join([f"{name} FAILED", *(line[:TOLD_LENGTH] for line in said[:TOLD_LINES])]))


def run(command, timeout, environment=None, folder=ROOT, text=None):
    """(exit status, output) of a command in its own process group, which is killed at the time limit."""
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **(environment or {})},
                               stdin=subprocess.PIPE if text is not None else subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(text and text.encode(), timeout=timeout)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output += f"\nkilled after {timeout} s\n".encode()
        status = -signal.SIGKILL
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return status, output.decode("utf-8", "replace")


def fetch(command, timeout):
    """As run, and once more after a failure: what it downloads may not come at the first time."""
    status, output = run(command, timeout)
    return (status, output) if status == 0 else run(command, timeout)


def head(text):
    """The first lines of a compiler's output: the first error is the one that matters."""
    lines = text.strip().splitlines()
    shown = ["    | " + line for line in lines[:LOG_LINES]]
    if len(lines) > LOG_LINES:
        shown.append(f"    | ... {len(lines) - LOG_LINES} lines more")
    return "\n".join(shown)


def tail(text, path=None):
    lines = text.rstrip().splitlines()
    shown = ["    | " + line for line in lines[-LOG_LINES:]]
    if len(lines) > LOG_LINES:
        shown.insert(0, f"    | ... {len(lines) - LOG_LINES} lines more" + (f" in {path}" if path else ""))
    return "\n".join(shown)


def meson():
    """Debian's meson with Debian's Python, whatever comes first on PATH."""
    return [PYTHON, "/usr/bin/meson"] if os.path.exists("/usr/bin/meson") else ["meson"]


def without_randomization():
    """The thread sanitizer of gcc 12 cannot start under some address layouts; this fixes the layout."""
    command = ["setarch", os.uname().machine, "-R"]
    works = shutil.which("setarch") and run(command + ["true"], 60)[0] == 0
    return command if works else []


def get_llama(report):
    """llama.cpp with its server, which tests of local models and of services use; LLAMA=no leaves it out."""
    if os.environ.get("LLAMA") == "no":
        return
    os.environ.pop("LLAMA", None)  # what there is after this is used
    start = time.monotonic()
    status, output = run(["tools/get-llama", "--find", "--server"], 60)
    if not output.strip():
        status, output = fetch(["sh", "-c", "tools/install-deps llama && tools/get-llama --server"], 3600)
        report.check("llama.cpp", status == 0, time.monotonic() - start, tail(output + "\nLLAMA=no leaves it out"))
    if status == 0:
        os.environ["MINDCORE_LLAMA_PREFIX"] = output.strip().splitlines()[-1]


def get_playwright(report):
    """What leads the browser in the tests of the dashboard."""
    start = time.monotonic()
    status, output = fetch(["tools/get-playwright"], 600)
    if status != 0:
        report.check("playwright", False, time.monotonic() - start, tail(output))


def get_pgvector(report):
    """A PostgreSQL that has pgvector, for the tests of searching vectors there."""
    start = time.monotonic()
    status, output = fetch(["tools/get-pgvector"], 900)
    if status != 0:
        report.check("pgvector", False, time.monotonic() - start, tail(output))


def configure(report, target):
    """Sets the build folder up where needed; false, and one failure counted, when that did not work."""
    new = not os.path.exists(os.path.join(target.folder, "build.ninja"))
    start = time.monotonic()
    environment = {"CC": target.compiler} if target.compiler else {}
    status, output = run(["tools/setup-build", target.folder] + target.options, 900, environment)
    if status != 0:
        if new:
            shutil.rmtree(target.folder, ignore_errors=True)
        report.check(f"{target.name} setup", False, time.monotonic() - start, tail(output))
    return status == 0


def build(report, target, jobs, targets):
    """Configures and builds; false, and one failure counted, when that did not work."""
    if not configure(report, target):
        return False
    start = time.monotonic()
    status, output = run(["ninja", "-C", target.folder, "-j", str(jobs), "-k", "0", *targets], 1800)
    output = re.sub(r"^\[\d+/\d+\].*\n", "", output, flags=re.M)
    report.check(f"{target.name} build", status == 0, time.monotonic() - start, head(output))
    return status == 0


def count_tap(result):
    """(passed, failed, skipped) of one entry of Meson's test log."""
    lines = re.findall(r"^(ok|not ok)\b([^\n]*)", result.get("stdout", ""), re.M)
    skipped = sum(1 for _, rest in lines if re.search(r"# SKIP\b", rest, re.I))
    failed = sum(1 for word, _ in lines if word == "not ok")
    passed = len(lines) - failed - skipped
    if result["result"] not in ("OK", "SKIP") and failed == 0:
        failed = 1  # it crashed, ran out of time, or ended before its plan
    return passed, failed, skipped


def run_c_tests(report, target, suites, jobs):
    start = time.monotonic()
    log = os.path.join(target.folder, "meson-logs", "testlog.json")
    if os.path.exists(log):
        os.unlink(log)
    command = (without_randomization() if target is TSAN else []) + meson() + [
        "test", "-C", target.folder, "--no-rebuild", "--num-processes", str(jobs),
        "--timeout-multiplier", str(target.timeout_factor)]
    for suite in suites:
        command += ["--suite", suite]
    status, output = run(command, 3600, {**SANITIZER_ENVIRONMENT, "MESON_TESTTHREADS": str(jobs)})
    if not os.path.exists(log):
        report.check(f"{target.name} tests", False, time.monotonic() - start, tail(output))
        return

    totals = {}
    logs = {}
    with open(log, encoding="utf-8") as file:
        results = [json.loads(line) for line in file]
    for result in results:
        # "mindcore:unit / arena" is the name in the log, "unit" its suite.
        suite = result["name"].split(" / ")[0].split(":")[-1]
        counts = count_tap(result)
        total = totals.setdefault(suite, [0, 0, 0, 0.0])
        for i, count in enumerate(counts):
            total[i] += count
        total[3] += result["duration"]
        if counts[1]:
            text = "\n".join(line for line in (result.get("stdout", "") + "\n" + result.get("stderr", "")).splitlines()
                             if not re.match(r"ok\b", line))
            logs.setdefault(suite, []).append(
                f"    {result['name']}: {result['result']}, exit status {result['returncode']}\n" + tail(text, log))
    for suite, (passed, failed, skipped, seconds) in totals.items():
        report.add(f"{target.name} {suite}", passed, failed, seconds,
                   f"{skipped} skipped" if skipped else "", "\n".join(logs.get(suite, [])))
    if status != 0 and not logs:
        report.check(f"{target.name} tests", False, time.monotonic() - start, tail(output))


def run_pytest(report, name, target, interpreter, tests, environment, options):
    start = time.monotonic()
    results = os.path.join(target.folder, f"{name}.xml")
    if os.path.exists(results):
        os.unlink(results)
    status, output = run(interpreter + ["-m", "pytest", "-q", "--maxfail=20", "-p", "no:cacheprovider", "--tb=short",
                                        f"--junitxml={results}", tests, *options], 3600,
                         {**environment, "PYTHONDONTWRITEBYTECODE": "1"})
    log = os.path.join(target.folder, f"{name}.log")
    with open(log, "w", encoding="utf-8") as file:
        file.write(output)
    try:
        suite = next(xml.etree.ElementTree.parse(results).iter("testsuite"))
        tests, failures, errors, skipped = (int(suite.get(key, "0")) for key in
                                            ("tests", "failures", "errors", "skipped"))
    except (OSError, StopIteration, xml.etree.ElementTree.ParseError):
        report.check(f"{target.name} {name}", False, time.monotonic() - start, tail(output, log))
        return
    failed = failures + errors or int(status not in (0, 5))
    report.add(f"{target.name} {name}", max(0, tests - skipped - failures - errors), failed,
               time.monotonic() - start, f"{skipped} skipped" if skipped else "",
               tail(output, log) if failed else "")


def run_e2e(report, target, only, workers):
    """The end-to-end tests, which wait more than they work, a file at a time in each of several processes."""
    folder = os.path.join(ROOT, "tests", "e2e")
    if not any(name.startswith("test_") for name in os.listdir(folder)):
        return
    environment = {**SANITIZER_ENVIRONMENT, "MINDCORE_BUILD": target.folder,
                   "MINDCORE_SANITIZER": "" if target is PLAIN else target.name}
    options = ["-n", str(workers), "--dist", "loadfile"]
    if target is not PLAIN:
        options += ["-m", "not plain_only"]
    if only:
        options += ["-k", only]
    interpreter = (without_randomization() if target is TSAN else []) + [PYTHON]
    run_pytest(report, "e2e", target, interpreter, folder, environment, options)


def get_package(report):
    """The folder with the package that its wheel installs; "" and one failure counted when that did not work."""
    start = time.monotonic()
    folder = os.path.join(PLAIN.folder, "python-package")
    shutil.rmtree(folder, ignore_errors=True)
    status, output = run(["make", "python"], 900)
    wheels = glob.glob(os.path.join(PLAIN.folder, "wheel", "*.whl"))
    if status == 0:
        status, output = run([PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder,
                              *wheels], 120)
    report.check("python wheel", status == 0, time.monotonic() - start, tail(output), " ".join(map(os.path.basename, wheels)))
    return folder if status == 0 else ""


def other_python():
    """A Python that comes first on PATH and is not Debian's; "" when there is none that the package serves."""
    python = shutil.which("python3")
    question = ["-c", "import sys; print(sys.version_info[:3], sys.version_info >= (3, 9))"]
    if not python or not os.path.exists(PYTHON):
        return ""
    own, other = run([PYTHON, *question], 30), run([python, *question], 30)
    return python if other[0] == 0 and other != own and other[1].strip().endswith("True") else ""


def run_python(report):
    """The package's tests: with the frameworks that it has adapters for, and the same wheel with another Python."""
    package = get_package(report)
    if not package:
        return
    environment = {"PYTHONPATH": package, "MINDCORE_BUILD": PLAIN.folder}
    start = time.monotonic()
    status, output = fetch(["tools/get-python-packages", PYTHON], 900)
    report.check("python packages", status == 0, time.monotonic() - start, tail(output))
    if status == 0:
        run_pytest(report, "python", PLAIN, [output.strip().splitlines()[-1]], "tests/python", environment, [])
    other = other_python()
    if other:
        start = time.monotonic()
        folder = os.path.join(PLAIN.folder, "python-other")
        status, output = run([other, "-m", "venv", "--clear", folder], 120)
        if status == 0:
            status, output = fetch([os.path.join(folder, "bin", "pip"), "install", "--quiet", "pytest"], 300)
        if status == 0:
            run_pytest(report, "python-other", PLAIN, [os.path.join(folder, "bin", "python")], "tests/python", environment,
                       ["-m", "not plain_only", "-k", "test_client or test_process"])
        else:
            report.check("plain python-other", False, time.monotonic() - start, tail(output))


def run_python_sanitized(report, target):
    """The extension under the address sanitizer, in an interpreter that is not; what this one leaks is not asked."""
    package = os.path.join(target.folder, "python-package", "mindcore")
    shutil.rmtree(os.path.dirname(package), ignore_errors=True)
    os.makedirs(os.path.join(package, "bin"))
    sources = os.path.join(ROOT, "python", "mindcore")
    links = {name: os.path.join(sources, name) for name in os.listdir(sources)}
    links["_mindcore.abi3.so"] = os.path.join(target.folder, "python", "_mindcore.abi3.so")
    links["bin/mindcore"] = os.path.join(target.folder, "mindcore")
    for name, path in links.items():
        os.symlink(path, os.path.join(package, name))
    libraries = [run(["gcc", f"-print-file-name={name}"], 30)[1].strip() for name in ("libasan.so", "libubsan.so")]
    environment = {**SANITIZER_ENVIRONMENT, "LD_PRELOAD": " ".join(libraries), "MINDCORE_BUILD": target.folder,
                   "ASAN_OPTIONS": "detect_leaks=0:strict_string_checks=1", "MINDCORE_SANITIZER": target.name,
                   "PYTHONPATH": os.path.dirname(package)}
    run_pytest(report, "python", target, [PYTHON], "tests/python", environment,
               # PostgreSQL's own programs do not start with the sanitizer preloaded.
               ["-m", "not plain_only", "-k", "(test_client or test_process or test_services) and not postgres"])


def tracked(*patterns):
    """Files of the source tree, whether or not it is a git checkout."""
    status, output = run(["git", "ls-files", "-co", "--exclude-standard", "--", *patterns], 30)
    if status == 0:
        return [path for path in sorted(set(output.split("\n"))) if path and os.path.exists(os.path.join(ROOT, path))]
    suffixes = tuple(pattern.lstrip("*") for pattern in patterns)
    return sorted(os.path.relpath(os.path.join(base, name), ROOT)
                  for base, folders, names in os.walk(ROOT) for name in names
                  if name.endswith(suffixes) and "/build" not in base and "/." not in base)


def in_parallel(jobs, function, items):
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(function, items))


def lint_format(_):
    status, output = run(["clang-format", "--dry-run", "--Werror", *tracked("*.c", "*.h")], 300)
    files = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error:", output, re.M)))
    return status == 0, "\n".join(files + ["make format repairs this"]) if files else output


def lint_cppcheck(jobs):
    status, output = run(
        ["cppcheck", "--quiet", "--std=c11", "--language=c", "--enable=warning,performance,portability",
         "--inline-suppr", "--error-exitcode=1", f"-j{jobs}", "-D_GNU_SOURCE", "-D__GNUC__=12",
         '-DMC_LIBRARIES=""',
         "-Iinclude", "-Isrc", "--suppress=missingInclude", "--suppress=missingIncludeSystem",
         "--suppress=normalCheckLevelMaxBranches", "--suppress=unmatchedSuppression",
         # Variables with the cleanup attribute are freed where cppcheck sees no call.
         "--suppress=memleak", "--suppress=resourceLeak", "--suppress=unknownMacro",
         # It takes the address of a variable for a use of it.
         "--suppress=uninitvar",
         # POSIX defines NULL as a pointer; an address of a local may outlive a call, not the local.
         "--suppress=varFuncNullUB", "--suppress=autoVariables", "src"], 900)
    return status == 0, output


def compiled_in(target):
    """The sources that a build folder knows how to compile."""
    try:
        with open(os.path.join(target.folder, "compile_commands.json"), encoding="utf-8") as file:
            return {os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT) for entry in json.load(file)}
    except OSError:
        return set()


def lint_tidy(checks):
    def tidy(jobs):
        # Clang's own build knows all but what needs llama.cpp.
        clang, plain = compiled_in(FUZZ), compiled_in(PLAIN)
        if not clang:
            return False, f"{FUZZ.folder} is not configured"
        options = ["-quiet"] + ([f"--checks={checks}"] if checks else [])

        def look(path):
            folder = ["-p", FUZZ.folder] if path in clang else \
                ["-p", PLAIN.folder, "--extra-arg=-Wno-unknown-warning-option"]
            return run(["clang-tidy", *options, *folder, path], 300)
        results = in_parallel(jobs, look, [path for path in tracked("src/*.c") if path in clang | plain])
        return (all(status == 0 for status, _ in results),
                "\n".join(output for status, output in results if status != 0))
    return tidy


def lint_man(_):
    if not shutil.which("mandoc"):
        return None, ""
    status, output = run(["mandoc", "-Tlint", "-Wwarning", *tracked("docs/man/*")], 60)
    return status == 0, output


def lint_scripts(_):
    problems = ""
    for path in [".ci/run", "tools/install-deps", "tools/get-llama", "tools/get-pgvector",
                 "tools/get-python-packages", "tools/setup-build"]:
        status, output = run(["bash" if path == ".ci/run" else "sh", "-n", path], 30)
        problems += output if status else ""
    for path in tracked("*.py"):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            try:
                compile(file.read(), path, "exec")
            except SyntaxError as error:
                problems += f"{path}:{error.lineno}: {error.msg}\n"
    return not problems, problems


def lint_text(_):
    """White space and characters that an editor should have kept out."""
    problems = []
    for path in tracked("*.c", "*.h", "*.py", "*.build", "*.md", "Makefile", "*.txt"):
        with open(os.path.join(ROOT, path), "rb") as file:
            data = file.read()
        if data and not data.endswith(b"\n"):
            problems.append(f"{path}: no line break at the end")
        for number, line in enumerate(data.split(b"\n"), 1):
            if line.endswith((b" ", b"\t", b"\r")) and not path.endswith(".md"):
                problems.append(f"{path}:{number}: white space at the end of the line")
            if b"\t" in line and path.endswith((".c", ".h", ".py", ".build")):
                problems.append(f"{path}:{number}: tab")
    return not problems, "\n".join(problems)


def run_lint(report, jobs, thorough):
    configure(report, FUZZ)  # clang's view of the sources, for clang-tidy
    configure(report, PLAIN)
    quick_checks = ("-*,bugprone-suspicious-*,-bugprone-suspicious-memory-comparison,bugprone-sizeof-*,"
                    "bugprone-unused-return-value,bugprone-infinite-loop")
    checks = [("format", lint_format), ("text", lint_text), ("scripts", lint_scripts), ("man pages", lint_man),
              ("cppcheck", lint_cppcheck), ("clang-tidy", lint_tidy("" if thorough else quick_checks))]
    for name, check in checks:
        start = time.monotonic()
        passed, output = check(jobs)
        if passed is not None:
            report.check(f"lint {name}", passed, time.monotonic() - start, tail(output))


def fuzz_one(name):
    """(name, passed, output) of a few seconds of one target, started from its corpus."""
    with tempfile.TemporaryDirectory() as folder:
        seeds = os.path.join(ROOT, "fuzz", "corpus", name)
        command = [os.path.join(FUZZ.folder, "fuzz", f"fuzz_{name}"), f"-max_total_time={FUZZ_SECONDS}",
                   "-timeout=30", "-rss_limit_mb=2048", "-verbosity=0", "-print_final_stats=1",
                   f"-artifact_prefix={FUZZ.folder}/{name}-", folder]
        if os.path.isdir(seeds):
            command.append(seeds)
        status, output = run(command, FUZZ_SECONDS + 300, SANITIZER_ENVIRONMENT)
    runs = re.search(r"number_of_executed_units:\s*(\d+)", output)
    return name, status == 0, output, f"{int(runs[1]):,} inputs" if runs else ""


def run_fuzz(report, jobs):
    names = sorted(name[len("fuzz_"):-2] for name in os.listdir(os.path.join(ROOT, "fuzz"))
                   if re.fullmatch(r"fuzz_\w+\.c", name))
    for name, passed, output, note in in_parallel(jobs, fuzz_one, names):
        report.check(f"fuzz {name}", passed, FUZZ_SECONDS, tail(output), note)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", action="append", choices=SUITES + ["plain", "asan", "tsan"], default=[])
    parser.add_argument("--plain", action="store_true", help="the plain build only, without fuzzing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("-k", dest="only", default="", help="end-to-end tests whose name contains this")
    return parser.parse_args()


def main():
    options = arguments()
    chosen = set(options.suite)
    builds = [target for target in (PLAIN, ASAN, TSAN) if target.name in chosen] or [PLAIN, ASAN, TSAN]
    suites = [suite for suite in SUITES if suite in chosen]
    if not suites:
        suites = SUITES if not chosen else C_SUITES + ["e2e", "python"]
    if options.plain or (chosen and chosen <= set(SUITES)):
        builds = [PLAIN]
    if options.plain and "fuzz" not in chosen:
        suites = [suite for suite in suites if suite != "fuzz"]

    # As an interrupt: the program that is running is ended with its children.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = time.monotonic()
    report = Report()
    if any(suite not in ("lint", "fuzz") for suite in suites):
        get_llama(report)
        get_pgvector(report)
    if "e2e" in suites and PLAIN in builds:
        get_playwright(report)
    fuzz_built = "fuzz" in suites and build(report, FUZZ, options.jobs, ["all"])
    if "lint" in suites:
        run_lint(report, options.jobs, thorough=chosen == {"lint"})
    built = []
    waiting = []
    for target in builds:
        c_suites = [suite for suite in suites if suite in C_SUITES and (target is PLAIN or suite != "checks")]
        if not c_suites and "e2e" not in suites and ("python" not in suites or target is TSAN):
            continue
        if not build(report, target, options.jobs, ["all", "meson-test-prereq"] if c_suites else ["all"]):
            continue
        built.append(target)
        if c_suites:
            run_c_tests(report, target, c_suites, options.jobs)
        if "e2e" in suites and target is PLAIN:
            run_e2e(report, target, options.only, 2 * options.jobs)
        elif "e2e" in suites:
            waiting.append(target)
    in_parallel(options.jobs, lambda target: run_e2e(report, target, options.only, options.jobs + 1), waiting)
    if "python" in suites and PLAIN in builds:
        run_python(report)
    if "python" in suites and ASAN in built:
        run_python_sanitized(report, ASAN)
    if fuzz_built:
        run_fuzz(report, options.jobs)

    report.repeat_failures()
    print(f"{time.monotonic() - start:.0f} s")
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed or not report.passed else 0


if __name__ == "__main__":
    sys.exit(main())
