#!/usr/bin/python3
"""Each public header compiles alone, as strict C11 and as C++17, and twice in one unit. Prints TAP.

`check_headers.py CC...`: the C compiler; the C++ compiler is CXX, else g++ or clang++ where there is one.
"""

import os
import shutil
import subprocess
import sys

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INCLUDE = os.path.join(ROOT, "include")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Wundef", "-Werror"]


def compile_header(tap, compiler, language, flags, header):
    source = f"#include <mindcore/{header}>\n" * 2
    command = compiler + ["-x", language, *flags, *WARNINGS, "-fsyntax-only", "-I", INCLUDE, "-"]
    run = subprocess.run(command, input=source, text=True, stderr=subprocess.PIPE, check=False)
    tap.ok(run.returncode == 0, f"{header} compiles alone as {flags[0][len('-std='):]}", run.stderr.splitlines())


def main():
    c_compiler = sys.argv[1:] or ["cc"]
    cxx = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    tap = Tap()
    for header in sorted(os.listdir(os.path.join(INCLUDE, "mindcore"))):
        compile_header(tap, c_compiler, "c", ["-std=c11", "-Wstrict-prototypes"], header)
        if cxx:
            compile_header(tap, cxx.split(), "c++", ["-std=c++17"], header)
        else:
            tap.skip(f"{header} as c++17: no C++ compiler")
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
