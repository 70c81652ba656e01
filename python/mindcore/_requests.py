"""The calls of both clients: each is an operation of the extension, its arguments, and what its result becomes."""

import datetime
import itertools
import logging
import math
from typing import Any, Callable, Dict, Generic, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple, TypeVar

from . import _json, _mindcore as core, _options
from .errors import ArgumentTypeError, InvalidArgumentError, MindcoreError, NotFoundError
from ._mindcore import Message
from ._values import AgentProfile, AssembledContext, IngestResult, RefusedMessage, SearchHit, ThreadSummary, UserPreferences

T = TypeVar("T")
BATCH = 1000  # messages in one transaction


class Request(Generic[T]):
    """An operation, its arguments, and how its raw result becomes a value."""

    __slots__ = ("operation", "arguments", "convert")

    def __init__(self, operation: int, arguments: Tuple[Any, ...], convert: Optional[Callable[[Any], T]] = None) -> None:
        self.operation = operation
        self.arguments = arguments
        self.convert = convert


Texts = Optional[Iterable[str]]
Dictionary = Dict[str, Any]


def _time(value: Optional[datetime.datetime], field: str) -> Optional[int]:
    return None if value is None else _json.microseconds(value, field)


def ingest(user_id: str, thread_id: str, session_id: str, role: str, text: str, message_id: Optional[str],
           agent_id: Optional[str], visibility: Optional[str], sharing_groups: Texts,
           metadata: Dictionary) -> Request[Message]:
    return Request(core.INGEST, (user_id, thread_id, session_id, role, text, message_id, agent_id, visibility,
                                 sharing_groups, _json.encode(metadata, "metadata") if metadata else None))


def _object(message: Any) -> str:
    if isinstance(message, Message):
        values = message.to_dict()
        fields = ("message_id", "user_id", "thread_id", "session_id", "role", "agent_id", "visibility",
                  "sharing_groups", "created_at")
        copy = {name: values[name] for name in fields if values.get(name)}
        copy["text"] = values["raw_text"]
        copy["metadata"] = values["metadata"].get("extra", {})
        return _json.encode(copy, "message")
    if not isinstance(message, Mapping):
        raise ArgumentTypeError(f"message: a dict is expected, not {type(message).__name__}", "message")
    return _json.encode(dict(message), "message")


def _one_of_batch(outcomes: Sequence[Any]) -> Message:
    outcome = outcomes[0]
    if isinstance(outcome, MindcoreError):
        raise outcome
    stored: Message = outcome
    return stored


def ingest_message(message: Mapping[str, Any]) -> Request[Message]:
    return Request(core.INGEST_JSON, ((_object(message),),), _one_of_batch)


class Batch:
    """A batch in parts: requests() gives one for each transaction, take() its outcome, result() the whole."""

    def __init__(self, messages: Iterable[Any]) -> None:
        if isinstance(messages, (str, bytes, Mapping)):
            raise ArgumentTypeError(f"messages: an iterable of dicts is expected, not {type(messages).__name__}",
                                    "messages")
        try:
            self._messages = iter(messages)
        except TypeError:
            raise ArgumentTypeError(f"messages: an iterable of dicts is expected, not {type(messages).__name__}",
                                    "messages") from None
        self._count = 0
        self._stored: List[Message] = []
        self._refused: List[RefusedMessage] = []
        self._sent: List[int] = []

    def requests(self) -> Iterator[Request[List[Any]]]:
        while True:
            part = list(itertools.islice(self._messages, BATCH))
            if not part:
                return
            texts = []
            self._sent = []
            for index, message in enumerate(part, self._count):
                try:
                    texts.append(_object(message))
                    self._sent.append(index)
                except MindcoreError as error:
                    self._refused.append(RefusedMessage(index, error))
            self._count += len(part)
            if texts:
                yield Request(core.INGEST_JSON, (texts,))

    def take(self, outcomes: List[Any]) -> None:
        for index, outcome in zip(self._sent, outcomes):
            if isinstance(outcome, MindcoreError):
                self._refused.append(RefusedMessage(index, outcome))
            else:
                self._stored.append(outcome)

    def result(self) -> IngestResult:
        return IngestResult(self._stored, sorted(self._refused, key=lambda item: item.index))


def get_message(message_id: str, agent_id: Optional[str]) -> Request[Message]:
    return Request(core.GET_MESSAGE, (message_id, agent_id))


def delete_message(message_id: str, agent_id: Optional[str]) -> Request[None]:
    return Request(core.DELETE_MESSAGE, (message_id, agent_id))


def recent(user_id: str, thread_id: str, limit: int, before: Optional[str],
           agent_id: Optional[str]) -> Request[List[Message]]:
    return Request(core.RECENT, (user_id, thread_id, limit, before, agent_id))


def window(user_id: str, thread_id: str, max_messages: int, min_importance: float, max_tokens: Optional[int],
           agent_id: Optional[str]) -> Request[List[Message]]:
    return Request(core.WINDOW, (user_id, thread_id, max_messages, max_tokens, min_importance, agent_id))


def _hits(rows: Any) -> List[SearchHit]:
    return [SearchHit(*row) for row in rows]


def search(user_id: str, query: Optional[str], topics: Texts, categories: Texts, intent: Optional[str],
           thread_id: Optional[str], since: Optional[datetime.datetime], until: Optional[datetime.datetime],
           limit: int, agent_id: Optional[str], explain: bool) -> Request[List[SearchHit]]:
    return Request(core.SEARCH, (user_id, query, topics, categories, intent, thread_id, _time(since, "since"),
                                 _time(until, "until"), limit, agent_id, explain), _hits)


def _context(parts: Any) -> AssembledContext:
    return AssembledContext(*parts)


def context(user_id: str, thread_id: str, query: str, additional_context: Optional[str], agent_id: Optional[str],
            agent_ids: Texts, include_shared: bool, include_public: bool, mode: Optional[str],
            max_messages: Optional[int], max_tokens: Optional[int],
            now: Optional[datetime.datetime]) -> Request[AssembledContext]:
    return Request(core.CONTEXT, (user_id, thread_id, query, additional_context or None, agent_id, agent_ids,
                                  include_shared, include_public, mode, max_messages, max_tokens,
                                  _time(now, "now")), _context)


def _preferences(user_id: str) -> Callable[[str], UserPreferences]:
    def convert(text: str) -> UserPreferences:
        return UserPreferences(**{"user_id": user_id, **_json.decode(text)})
    return convert


def preferences(user_id: str) -> Request[UserPreferences]:
    return Request(core.PREFERENCES, (user_id,), _preferences(user_id))


def preference_update(user_id: str, field: str, value: Any, action: str) -> Request[UserPreferences]:
    return Request(core.PREFERENCE_UPDATE, (user_id, field, _json.encode(value, "value"), action),
                   _preferences(user_id))


def seconds(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ArgumentTypeError(f"{field}: a number of seconds is expected, not {type(value).__name__}", field)
    if not 0 <= value < math.inf:
        raise InvalidArgumentError(f"{field}: 0 or more seconds", field)
    return float(value)


def not_found(message: str, field: str) -> NotFoundError:
    return NotFoundError(message, field)


def warn_port(error: MindcoreError) -> None:
    logging.getLogger("mindcore").warning("no metrics are served: %s", error)


def _member(name: str) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        return _json.decode(text)[name]
    return convert


def members(operation: int, name: str) -> Request[List[Dictionary]]:
    return Request(operation, (), _member(name))


def _summaries(text: str) -> List[ThreadSummary]:
    return [ThreadSummary(values) for values in _json.decode(text)["summaries"]]


def summaries(user_id: str, limit: int, agent_id: Optional[str]) -> Request[List[ThreadSummary]]:
    return Request(core.SUMMARIES, (user_id, limit, agent_id), _summaries)


def preference_signals(user_id: str) -> Request[List[Dictionary]]:
    return Request(core.PREFERENCE_SIGNALS, (user_id,), _member("signals"))


def preferences_apply(user_id: str) -> Request[List[Dictionary]]:
    return Request(core.PREFERENCES_APPLY, (user_id,), _member("applied"))


def _agent(text: str) -> AgentProfile:
    return AgentProfile(**_json.decode(text))


def register_agent(agent_id: str, name: str, description: Optional[str], sharing_groups: Texts,
                   default_visibility: str, can_read_public: bool, can_write_public: bool,
                   metadata: Dictionary) -> Request[AgentProfile]:
    if isinstance(sharing_groups, (str, bytes)):
        raise ArgumentTypeError(f"sharing_groups: a sequence of str is expected, not {type(sharing_groups).__name__}",
                                "sharing_groups")
    values: Dictionary = {"agent_id": agent_id, "name": name, "default_visibility": str(default_visibility),
                          "can_read_public": can_read_public, "can_write_public": can_write_public}
    if description is not None:
        values["description"] = description
    if sharing_groups is not None:
        values["sharing_groups"] = list(sharing_groups)
    if metadata:
        values["metadata"] = metadata
    return Request(core.AGENT_REGISTER, (_json.encode(values, "agent"),), _agent)


def unregister_agent(agent_id: str) -> Request[None]:
    return Request(core.AGENT_UNREGISTER, (agent_id,))


def get_agent(agent_id: str) -> Request[AgentProfile]:
    return Request(core.AGENT_GET, (agent_id,), _agent)


def _agents(text: str) -> List[AgentProfile]:
    return [AgentProfile(**values) for values in _json.decode(text)["agents"]]


def list_agents() -> Request[List[AgentProfile]]:
    return Request(core.AGENT_LIST, (), _agents)


def migrate(user_id: Optional[str], dry_run: bool) -> Request[Dictionary]:
    return Request(core.MIGRATE, (user_id, dry_run), _json.decode)


def _runs(text: str) -> List[Dictionary]:
    runs: List[Dictionary] = _json.decode(text)["runs"]
    return runs


def tier_runs() -> Request[List[Dictionary]]:
    return Request(core.TIER_RUNS, (), _runs)


def undo_tiers(run: Optional[int], dry_run: bool) -> Request[Dictionary]:
    return Request(core.TIER_UNDO, (run, dry_run), _json.decode)


def erase(user_id: str) -> Request[Dictionary]:
    return Request(core.ERASE, (user_id,), _json.decode)


def _lines(text: str) -> List[Dictionary]:
    return [_json.decode(line) for line in text.split("\n") if line]


def export(user_id: str, agent_id: Optional[str]) -> Request[List[Dictionary]]:
    return Request(core.EXPORT, (user_id, agent_id), _lines)


def dictionary(operation: int, *arguments: Any) -> Request[Dictionary]:
    return Request(operation, arguments, _json.decode)


def prometheus_text() -> Request[str]:
    return Request(core.PROMETHEUS, ())


def queue_retry(message_id: Optional[str]) -> Request[int]:
    return Request(core.QUEUE_RETRY, (message_id, None))


def queue_purge() -> Request[int]:
    return Request(core.QUEUE_PURGE, ())


def cache_drop_topic(topic: str) -> Request[int]:
    return Request(core.CACHE_DROP_TOPIC, (topic,))


def cache_drop_stale(max_age_seconds: float) -> Request[int]:
    return Request(core.CACHE_DROP_STALE, (max_age_seconds,))


def cache_clear(user_id: Optional[str], thread_id: Optional[str]) -> Request[int]:
    if thread_id is not None and user_id is None:
        raise InvalidArgumentError("user_id: is needed with thread_id", "user_id")
    return Request(core.CACHE_CLEAR, (user_id, thread_id))


def backup(path: _options.Path) -> Request[None]:
    return Request(core.BACKUP, (_options.path_text(path, "path"),))


def drain(milliseconds: int) -> Request[bool]:
    return Request(core.DRAIN, (milliseconds,))


def serve_metrics(port: int, host: str) -> Request[None]:
    if isinstance(port, bool) or not isinstance(port, int):
        raise ArgumentTypeError(f"port: an int is expected, not {type(port).__name__}", "port")
    if not 0 <= port <= 65535:
        raise InvalidArgumentError("port: 0 to 65535", "port")
    return Request(core.SERVE_METRICS, (f"{host}:{port}",))
