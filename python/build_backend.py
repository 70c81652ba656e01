"""What `pip install .` calls: meson-python, and two things that it leaves to its callers.

The wheel is named for the oldest Python that the extension serves, not for the one that built it, and its
programs look for llama.cpp's libraries in the wheel only, not also where they were at build time.
"""

import os
import subprocess
import sys
import tempfile

import mesonpy
from mesonpy import (build_editable, build_sdist, get_requires_for_build_editable, get_requires_for_build_sdist,
                     get_requires_for_build_wheel)

__all__ = ["build_editable", "build_sdist", "build_wheel", "get_requires_for_build_editable",
           "get_requires_for_build_sdist", "get_requires_for_build_wheel"]

OLDEST_PYTHON = "cp39"  # Py_LIMITED_API in python/meson.build


def _run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def _wheel(*arguments):
    return _run(sys.executable, "-m", "wheel", *arguments)


def _keep_own_paths(program):
    paths = _run("patchelf", "--print-rpath", program).strip().split(":")
    _run("patchelf", "--set-rpath", ":".join(path for path in paths if path.startswith("$ORIGIN")), program)


def _is_program(path):
    with open(path, "rb") as file:
        return file.read(4) == b"\x7fELF"


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with tempfile.TemporaryDirectory() as folder:
        name = mesonpy.build_wheel(folder, config_settings, metadata_directory)
        _wheel("unpack", "--dest", os.path.join(folder, "unpacked"), os.path.join(folder, name))
        content = os.path.join(folder, "unpacked", "-".join(name.split("-")[:2]))
        for base, _, names in os.walk(content):
            for path in (os.path.join(base, name) for name in names):
                if _is_program(path):
                    _keep_own_paths(path)
        _wheel("pack", "--dest-dir", wheel_directory, content)
        tagged = _wheel("tags", "--remove", "--python-tag", OLDEST_PYTHON, os.path.join(wheel_directory, name))
    return os.path.basename(tagged.split()[-1])
