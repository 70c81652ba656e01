"""
A place of its own for a command: a network with nothing but the loopback interface, where every port is free and
nothing leaves the machine, and a root folder in which OWN_FOLDERS are new and empty. All other files are those
outside. Needs Linux namespaces, as root or where users may make them.

    sandbox.py COMMAND...
"""

import fcntl
import functools
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

# Those that the guide names.
OWN_FOLDERS = ("/models", "/path", "/var/cache")

_ROOT = Path("/mnt")  # the new root is put together here
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def _namespaces():
    user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    return ["unshare", "--net", "--mount", *user]


def command(*parts):
    """What runs a command in a place of its own."""
    return [*_namespaces(), sys.executable, __file__, *(str(part) for part in parts)]


@functools.lru_cache(maxsize=None)
def why_not():
    """Why there can be no such place here; empty where there can."""
    try:
        done = subprocess.run([*_namespaces(), "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        return str(error)
    return (done.stderr.strip() or f"exit status {done.returncode}") if done.returncode else ""


def _start_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))


def _mount(*options):
    subprocess.run(["mount", *options], check=True)


def _show(entry):
    """Shows an entry of the root folder under the new root."""
    place = _ROOT / entry.name
    if entry.is_symlink():
        place.symlink_to(os.readlink(entry))
        return
    if entry.is_dir():
        place.mkdir()
    else:
        place.touch()
    _mount("--rbind", entry, place)


def _change_root():
    entries = [entry for entry in Path("/").iterdir() if entry != _ROOT and str(entry) not in OWN_FOLDERS]
    _mount("-t", "tmpfs", "-o", "mode=755", "sandbox", _ROOT)
    for entry in entries:
        _show(entry)
    for name in OWN_FOLDERS:
        folder = _ROOT / name.lstrip("/")
        if folder.exists():
            _mount("-t", "tmpfs", "-o", "mode=755", "sandbox", folder)
        else:
            folder.mkdir()
    here = os.getcwd()
    os.chroot(_ROOT)
    os.chdir(here)


if __name__ == "__main__":
    _start_loopback()
    _change_root()
    os.execvp(sys.argv[1], sys.argv[1:])
