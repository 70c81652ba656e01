"""External sources: functions of the application that are asked while a context is assembled (docs/sources.md)."""

import inspect
import threading
from typing import Any, Awaitable, Callable, Iterable, List, NamedTuple, Optional, Tuple, Union

from ._mindcore import Source
from .errors import ArgumentTypeError, InvalidArgumentError

Piece = Union[str, Tuple[Optional[str], str]]
Answer = Union[None, str, Iterable[Piece]]


class SourceQuery(NamedTuple):
    """A question to a source. It must answer for that user alone."""

    user_id: str
    thread_id: str
    agent_id: Optional[str]
    topics: Tuple[str, ...]
    text: str
    """What is asked: the first 8 KiB of it."""


Lookup = Callable[[SourceQuery], Union[Answer, Awaitable[Answer]]]
Wait = Callable[[Awaitable[Answer]], Answer]


def source_arguments(name: str, topics: Iterable[str], description: Optional[str], timeout: float,
                     cache_ttl: Optional[float]) -> Tuple[Any, ...]:
    """Seconds to milliseconds; a cache_ttl of None or 0 keeps nothing."""
    for value, field in ((timeout, "timeout"), (cache_ttl, "cache_ttl")):
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ArgumentTypeError(f"{field}: a number of seconds is expected, not {type(value).__name__}", field)
    if not 0.001 <= timeout <= 60:
        raise InvalidArgumentError("timeout: 0.001 to 60 seconds", "timeout")
    if cache_ttl is not None and not 0 <= cache_ttl <= 30 * 86400:
        raise InvalidArgumentError("cache_ttl: 0 to 30 days in seconds", "cache_ttl")
    ttl_ms = int(cache_ttl * 1000) if cache_ttl else 0
    return name, description, topics, int(timeout * 1000), ttl_ms or -1


def _texts(answer: Answer) -> List[str]:
    """[title, text, title, text, ...]; "" for no title."""
    if answer is None:
        return []
    if isinstance(answer, str):
        return ["", answer]
    texts: List[str] = []
    for piece in answer:
        title, text = (None, piece) if isinstance(piece, str) else piece
        texts += [title or "", text]
    return texts


class SourceThread(threading.Thread):
    """Answers the questions to one source. Does not keep the interpreter from ending, nor the engine from closing."""

    def __init__(self, source: Source, name: str, lookup: Lookup, wait: Optional[Wait]) -> None:
        super().__init__(name=f"mindcore-{name}", daemon=True)
        self._source = source
        self._lookup = lookup
        self._wait = wait
        self.start()

    def _ask(self, query: SourceQuery) -> List[str]:
        answer = self._lookup(query)
        if inspect.isawaitable(answer):
            if self._wait is None:
                if inspect.iscoroutine(answer):
                    answer.close()
                raise TypeError("a coroutine function needs an AsyncMindcoreClient")
            answer = self._wait(answer)
        return _texts(answer)

    def run(self) -> None:
        while True:
            question = self._source.next()
            if question is None:
                return
            number = question[0]
            try:
                self._source.answer(number, self._ask(SourceQuery(*question[1:])))
            except BaseException as error:  # pylint: disable=broad-except
                message = f"{type(error).__name__}: {error}".replace("\0", " ")
                self._source.fail(number, message.encode("utf-8", "replace").decode())
