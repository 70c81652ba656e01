#!/usr/bin/python3
"""libmindcore.so exports exactly the functions that include/mindcore declares MC_API. Prints TAP.

`check_exports.py LIBRARY`
"""

import os
import re
import subprocess
import sys

from tap import Tap

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INCLUDE = os.path.join(ROOT, "include", "mindcore")


def declared():
    names = set()
    for header in os.listdir(INCLUDE):
        with open(os.path.join(INCLUDE, header), encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", " ", file.read(), flags=re.S)
        text = re.sub(r"^[ \t]*#.*(?:\\\n.*)*$", "", text, flags=re.M)
        for declaration in re.findall(r"\bMC_API\b([^;{]*)", text):
            name = re.search(r"(\w+)\s*\(", re.sub(r"MC_\w+\s*(\([^)]*\))?", " ", declaration))
            if name:
                names.add(name[1])
    return names


def exported(library):
    listing = subprocess.run(["nm", "-D", "--defined-only", library], text=True, check=True,
                             stdout=subprocess.PIPE).stdout
    return {line.split()[-1].split("@")[0] for line in listing.splitlines()}


def main():
    promised, present = declared(), exported(sys.argv[1])
    tap = Tap()
    tap.ok(len(promised) > 40, f"the headers declare {len(promised)} functions")
    tap.none(sorted(promised - present), "every declared function is exported")
    tap.none(sorted(present - promised), "nothing else is exported")
    tap.none(sorted(name for name in present if not name.startswith("mc_")), "every export begins with mc_")
    return tap.finish()


if __name__ == "__main__":
    sys.exit(main())
