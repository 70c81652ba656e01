#!/usr/bin/python3
"""Installs into a temporary folder and uses what is there, as another project would. Prints TAP.

`check_install.py BUILD CC...`
"""

import glob
import os
import subprocess
import sys
import tempfile

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WANTED = ["bin/mindcore", "include/mindcore/mindcore.h", "lib*/**/libmindcore.so", "lib*/**/libmindcore.so.0",
          "lib*/**/pkgconfig/mindcore.pc", "share/man/man1/mindcore.1", "share/man/man3/libmindcore.3"]


def run(command, **options):
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)


def main():
    build, compiler = sys.argv[1], sys.argv[2:]
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        meson = ["/usr/bin/python3", "/usr/bin/meson"] if os.path.exists("/usr/bin/meson") else ["meson"]
        installed = run(meson + ["install", "-C", build, "--no-rebuild", "--destdir", folder])
        if not tap.ok(installed.returncode == 0, "meson install", installed.stdout.splitlines()):
            return tap.finish()
        programs = glob.glob(f"{folder}/**/bin/mindcore", recursive=True)
        prefix = os.path.dirname(os.path.dirname(programs[0])) if programs else folder
        for pattern in WANTED:
            found = glob.glob(os.path.join(prefix, pattern), recursive=True)
            tap.ok(found, f"{pattern} is installed")
        headers = os.listdir(os.path.join(prefix, "include", "mindcore"))
        tap.ok(sorted(headers) == sorted(os.listdir(os.path.join(ROOT, "include", "mindcore"))),
               "every public header is installed, and nothing else", headers)
        version = run([programs[0], "version"]) if programs else None
        tap.ok(version and version.returncode == 0, "the installed program runs",
               version.stdout.splitlines() if version else [])

        packages = glob.glob(f"{prefix}/**/mindcore.pc", recursive=True)
        libraries = os.path.dirname(os.path.dirname(packages[0])) if packages else folder
        environment = {**os.environ, "PKG_CONFIG_PATH": os.path.join(libraries, "pkgconfig"),
                       "PKG_CONFIG_SYSROOT_DIR": folder, "LD_LIBRARY_PATH": libraries}
        flags = run(["pkg-config", "--cflags", "--libs", "mindcore"], env=environment)
        program = os.path.join(folder, "quickstart")
        compiled = run(compiler + ["-std=c11", os.path.join(ROOT, "docs/examples/quickstart.c"), "-o", program]
                       + flags.stdout.split())
        tap.ok(compiled.returncode == 0, "a program compiles and links with pkg-config's flags",
               (flags.stdout + compiled.stdout).splitlines())
        done = run([program, os.path.join(folder, "example.db")], env={**environment, "HOME": folder}, cwd=folder) \
            if compiled.returncode == 0 else None
        tap.ok(done and done.returncode == 0, "that program runs", done.stdout.splitlines() if done else [])
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
