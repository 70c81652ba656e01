"""Engines that are open when the interpreter ends are closed before it takes its threads away."""

import atexit
import os
import weakref
from typing import Any, Callable, List

from . import _logging
from ._mindcore import Engine

EXIT_SECONDS = 5.0  # for calls that other threads are in; then the process ends with the engine as it is

_open: "weakref.WeakValueDictionary[int, _Holder]" = weakref.WeakValueDictionary()


class _Holder:
    """Of an engine: the extension's own type takes no weak references."""

    __slots__ = ("engine", "__weakref__")

    def __init__(self, engine: Engine) -> None:
        self.engine = engine


def hold(engine: Engine) -> _Holder:
    """Whoever uses the engine keeps what this returns for as long."""
    holder = _Holder(engine)
    _open[id(holder)] = holder
    return holder


def _close_all() -> None:
    for holder in list(_open.values()):
        if holder.engine.is_open:
            holder.engine.close(EXIT_SECONDS)
    _logging.end()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_open.clear)
