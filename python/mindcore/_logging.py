"""What the library does on its own (workers, migrations) goes to the loggers "mindcore.<module>".

The level is that of the logger "mindcore" when a client is made, and can be changed with set_log_level.
Records arrive in a thread of their own, so that a slow handler never holds up the library.
"""

import logging
import os
import threading
from typing import Optional, Union

from . import _mindcore

LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR)

_lock = threading.Lock()  # guards _thread
_thread: Optional[threading.Thread] = None

logging.getLogger("mindcore").addHandler(logging.NullHandler())


def _forward(wait: bool) -> None:
    while True:
        record = _mindcore.log_next(wait)
        if record is None:
            return
        level, module, message, lost = record
        logger = logging.getLogger(f"mindcore.{module}")
        try:
            if lost:
                logger.warning("%d records were lost before this one", lost)
            logger.log(LEVELS[level], "%s", message)
        except Exception:  # pylint: disable=broad-except
            pass  # a filter that fails must not end the bridge; handlers report their own failures


def start() -> None:
    """Once for the process; at the level of the logger "mindcore"."""
    global _thread
    with _lock:
        if _thread is None:
            set_log_level(logging.getLogger("mindcore").getEffectiveLevel())
            _thread = threading.Thread(target=_forward, args=(True,), name="mindcore-log", daemon=True)
            _thread.start()


def set_log_level(level: Union[int, str]) -> None:
    """Which records the library makes at all: a level of logging. WARNING is the default, and costs nothing."""
    number = logging.getLevelName(level) if isinstance(level, str) else level
    if not isinstance(number, int):
        raise ValueError(f"level: {level!r} is no level of logging")
    _mindcore.log_listen(next((i for i, value in enumerate(LEVELS) if number <= value), len(LEVELS) - 1))


def end() -> None:
    """At exit: what is left is written, and no more is taken."""
    _mindcore.log_end()
    if _thread is not None:
        _thread.join(1.0)
        _forward(False)


def _after_fork() -> None:
    global _thread, _lock
    _thread = None
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)
