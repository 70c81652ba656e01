#!/usr/bin/python3
"""Bundles the dashboard for the program. Meson calls it (dashboard/meson.build).

    tools/build_dashboard.py modules              prints the folder of what dashboard/package-lock.json names;
                                                  npm fetches it when it is not there yet
    tools/build_dashboard.py bundle MODULES OUT   writes the bundled files as a C file

The folder is ~/.cache/mindcore/dashboard-... (MINDCORE_CACHE instead of ~/.cache/mindcore), another one for each
content of package-lock.json.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "dashboard"
FETCH_SECONDS = 60
BANNER = "/* Mindcore's dashboard, with uPlot (MIT licence, copyright Leon Sorokin, github.com/leeoniya/uPlot). */"


def cache():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("MINDCORE_CACHE") or Path(base) / "mindcore")


def fetch(folder):
    """Fills the folder at once or not at all, so that builds at the same time do not meet in it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".dashboard-") as fresh:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / name, fresh)
        # Scripts of packages are not run: nothing here needs any.
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1",
             "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000"],
            cwd=fresh, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=FETCH_SECONDS, check=False)
        if done.returncode != 0:
            raise OSError(f"npm could not fetch its packages: {done.stdout.strip()[:500]}")
        os.chmod(fresh, 0o755)
        try:
            os.rename(fresh, folder)
        except OSError:
            if not folder.exists():  # else another build was first
                raise
        else:
            os.mkdir(fresh)  # what the context manager removes


def modules():
    content = (SOURCE / "package-lock.json").read_bytes() + platform.machine().encode()
    folder = cache() / f"dashboard-{hashlib.sha256(content).hexdigest()[:16]}"
    if not folder.exists():
        fetch(folder)
    return folder


def esbuild(packages, entry, *options):
    """The bundle of one file, which may import others and packages."""
    return subprocess.run(
        [packages / ".bin" / "esbuild", entry, "--bundle", "--minify", "--charset=utf8", "--legal-comments=none",
         "--target=es2021", "--log-level=warning", *options],
        cwd=SOURCE, env={**os.environ, "NODE_PATH": str(packages)}, stdout=subprocess.PIPE, check=True).stdout


def c_file(files):
    """C source of the table that src/http/dashboard.h declares."""
    lines = ["/* Made by tools/build_dashboard.py. */", '#include "http/dashboard.h"', ""]
    for number, data in enumerate(files.values()):
        lines.append(f"static const unsigned char file_{number}[] = {{")
        lines += [",".join(map(str, data[at:at + 40])) + "," for at in range(0, len(data), 40)]
        lines.append("};")
    lines.append("\nconst struct mc_http_file mc_http_dashboard_files[] = {")
    lines += [f'    {{"{path}", file_{number}, sizeof(file_{number})}},' for number, path in enumerate(files)]
    lines += ["    {NULL, NULL, 0},", "};", ""]
    return "\n".join(lines)


def bundle(folder, out):
    packages = Path(folder) / "node_modules"
    files = {
        "/": (SOURCE / "index.html").read_bytes(),
        "/dashboard.js": esbuild(packages, "main.js", "--format=esm", f"--banner:js={BANNER}"),
        "/dashboard.css": esbuild(packages, "style.css"),
        "/dashboard.svg": (SOURCE / "icon.svg").read_bytes(),
    }
    Path(out).write_text(c_file(files), encoding="ascii")


def main(arguments):
    if arguments == ["modules"]:
        print(modules())
    elif len(arguments) == 3 and arguments[0] == "bundle":
        bundle(*arguments[1:])
    else:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (OSError, subprocess.SubprocessError) as error:
        print(f"build_dashboard: {error}", file=sys.stderr)
        sys.exit(1)
