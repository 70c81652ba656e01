"""AsyncMindcoreClient: the memory, for programs on asyncio."""

import asyncio
import datetime
import threading
from typing import Any, Awaitable, Callable, Dict, Iterable, List, Mapping, Optional, TypeVar, Union

from . import _json, _mindcore as core, _options, _requests as requests
from ._client import DRAIN_SLICE, MindcoreClient, Opened
from ._mindcore import Message
from ._options import DEFAULT_PATH, DEFAULT_TRUE, AgentVisibility, MultiAgentConfig, Path
from ._requests import Dictionary, Request, Texts
from ._sources import Answer, Lookup
from ._values import (AgentProfile, AssembledContext, IngestResult, SearchHit, ThreadSummary, UserPreferences)
from .errors import ClientClosedError, ConflictError, StorageError
from .vocabulary import VocabularyManager

T = TypeVar("T")
Self = TypeVar("Self", bound="AsyncMindcoreClient")


class _Port:
    """The calls of one event loop, and the threads of the extension that run them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, engine: core.Engine, threads: int) -> None:
        self.loop = loop
        self.executor = core.Executor(engine, threads)
        loop.add_reader(self.executor.fileno(), self._settle)

    def _settle(self) -> None:
        for future, value, error in self.executor.completions():
            if future.done():  # cancelled meanwhile
                continue
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

    async def call(self, operation: int, arguments: Any) -> Any:
        future = self.loop.create_future()
        self.executor.submit(operation, arguments, future)
        try:
            return await future
        except asyncio.CancelledError:
            self.executor.cancel(future)
            raise

    async def close(self) -> None:
        """Runs what was submitted, and tells who waits for it."""
        await self.loop.run_in_executor(None, self.executor.close)
        self.forget()

    def forget(self) -> None:
        if not self.loop.is_closed():
            self._settle()
            self.loop.remove_reader(self.executor.fileno())


def _documented(function: T) -> T:
    """Takes the text over from the method of the same name of MindcoreClient."""
    original = getattr(MindcoreClient, function.__name__)  # type: ignore[attr-defined]
    function.__doc__ = original.__doc__
    return function


class AsyncMindcoreClient:
    """MindcoreClient for asyncio: the same arguments, and the same methods as coroutines.

    The database is opened by `async with`, or by the first call. Calls run in `threads` (1 to 16) threads of the
    library; the event loop is woken through a descriptor. Messages that are ingested at the same time share a
    transaction and are stored in the order in which ingest was called. A call that is cancelled before it began is not
    made; one that began is finished, and its result dropped. Any number of loops may use one client.
    """

    def __init__(self, config_path: Optional[Path] = None, use_sqlite: Optional[bool] = None,
                 sqlite_path: Path = DEFAULT_PATH, llm_provider: Optional[str] = None,
                 persistent_cache: bool = DEFAULT_TRUE, cache_dir: Optional[Path] = None,
                 vocabulary: Optional[VocabularyManager] = None,
                 multi_agent_config: Optional[MultiAgentConfig] = None, enrichment_workers: Optional[int] = None,
                 *, options: Optional[Mapping[str, Any]] = None, threads: int = 4) -> None:
        self._config_path = config_path
        self._options = _options.client_options(use_sqlite, sqlite_path, llm_provider, persistent_cache, cache_dir,
                                                vocabulary, multi_agent_config, enrichment_workers, options)
        self._threads = threads
        self._lock = threading.Lock()  # guards _opened and _closed while opening
        self._opened: Optional[Opened] = None
        self._closed = False
        self._ports: Dict[asyncio.AbstractEventLoop, _Port] = {}

    def _open(self) -> Opened:
        with self._lock:
            if self._closed:
                raise ClientClosedError("the client is closed")
            if self._opened is None:
                self._opened = Opened(self._config_path, self._options)
            return self._opened

    async def _open_port(self) -> _Port:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise ClientClosedError("the client is closed")
        opened = self._opened
        if opened is None:
            opened = await loop.run_in_executor(None, self._open)
        if loop not in self._ports:
            for other in [other for other in self._ports if other.is_closed()]:
                del self._ports[other]
            self._ports[loop] = _Port(loop, opened.engine, self._threads)
        return self._ports[loop]

    async def _run(self, request: Request[T]) -> T:
        port = self._ports.get(asyncio.get_running_loop()) or await self._open_port()
        value = await port.call(request.operation, request.arguments)
        return value if request.convert is None else request.convert(value)

    async def __aenter__(self: Self) -> Self:
        await self._open_port()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open" if self._opened else "not open yet"
        return f"<AsyncMindcoreClient, {state}>"

    async def close(self) -> None:
        """Finishes the calls under way, stops the workers, closes. Again: nothing."""
        loop = asyncio.get_running_loop()
        self._closed = True
        ports, self._ports = self._ports, {}
        for port in ports.values():
            if port.loop is loop:
                await port.close()
            elif not port.loop.is_closed():
                await loop.run_in_executor(None, port.executor.close)
        opened = self._opened
        if opened is not None:
            await loop.run_in_executor(None, opened.close)

    # Facts, once it is open

    @property
    def _engine(self) -> core.Engine:
        if self._opened is None:
            raise ClientClosedError("the client is not open yet: use async with, or await a call first")
        return self._opened.engine

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    @property
    def enrichment_worker_count(self) -> int:
        """Threads that enrich messages."""
        return self._engine.worker_count

    @property
    def provider_name(self) -> str:
        """The model that is asked first; "builtin" when none is configured."""
        return self._engine.provider

    @property
    def backend_name(self) -> str:
        """"sqlite" or "postgresql"."""
        return self._engine.backend

    @property
    def multi_agent_enabled(self) -> bool:
        """Whether agents are told apart."""
        return self._engine.multi_agent

    @property
    def prometheus_enabled(self) -> bool:
        """Whether start_metrics_server has started one."""
        return self._opened is not None and self._opened.serves_metrics

    # Messages

    @_documented
    async def ingest(self, user_id: str, thread_id: str, session_id: str, role: str, text: str,
                     message_id: Optional[str] = None, agent_id: Optional[str] = None,
                     visibility: Optional[str] = None, sharing_groups: Texts = None, **metadata: Any) -> Message:
        return await self._run(requests.ingest(user_id, thread_id, session_id, role, text, message_id, agent_id, visibility,
                                               sharing_groups, metadata))

    @_documented
    async def ingest_message(self, message: Mapping[str, Any]) -> Message:
        return await self._run(requests.ingest_message(message))

    @_documented
    async def ingest_batch(self, messages: Iterable[Union[Mapping[str, Any], Message]]) -> IngestResult:
        batch = requests.Batch(messages)
        for request in batch.requests():
            batch.take(await self._run(request))
        return batch.result()

    @_documented
    async def get_message(self, message_id: str, agent_id: Optional[str] = None) -> Message:
        return await self._run(requests.get_message(message_id, agent_id))

    @_documented
    async def delete_message(self, message_id: str, agent_id: Optional[str] = None) -> None:
        await self._run(requests.delete_message(message_id, agent_id))

    @_documented
    async def get_recent_messages(self, user_id: str, thread_id: str, limit: int = 20, before: Optional[str] = None,
                                  agent_id: Optional[str] = None) -> List[Message]:
        return await self._run(requests.recent(user_id, thread_id, limit, before, agent_id))

    @_documented
    async def get_context_window(self, user_id: str, thread_id: str, max_messages: int = 50, min_importance: float = 0.1,
                                 max_tokens: Optional[int] = None, agent_id: Optional[str] = None) -> List[Message]:
        return await self._run(requests.window(user_id, thread_id, max_messages, min_importance, max_tokens, agent_id))

    @_documented
    async def search(self, user_id: str, query: Optional[str] = None, topics: Texts = None, categories: Texts = None,
                     intent: Optional[str] = None, thread_id: Optional[str] = None,
                     since: Optional[datetime.datetime] = None, until: Optional[datetime.datetime] = None, limit: int = 20,
                     agent_id: Optional[str] = None, explain: bool = False) -> List[SearchHit]:
        return await self._run(requests.search(user_id, query, topics, categories, intent, thread_id, since, until, limit,
                                               agent_id, explain))

    @_documented
    async def get_decayed_importance(self, message: Message, now: Optional[datetime.datetime] = None) -> float:
        await self._open_port()
        at = datetime.datetime.now(datetime.timezone.utc) if now is None else now
        return self._engine.decayed_importance(message, _json.microseconds(at, "now"))

    @_documented
    async def count_tokens(self, text: str) -> int:
        await self._open_port()
        return self._engine.token_count(text)

    # Context

    @_documented
    async def get_context(self, user_id: str, thread_id: str, query: str, additional_context: Optional[str] = None,
                          agent_id: Optional[str] = None, agent_ids: Texts = None, include_shared: bool = True,
                          include_public: bool = True, mode: Optional[str] = None, max_tokens: Optional[int] = None,
                          max_messages: Optional[int] = None, now: Optional[datetime.datetime] = None) -> AssembledContext:
        return await self._run(requests.context(user_id, thread_id, query, additional_context, agent_id, agent_ids,
                                                include_shared, include_public, mode, max_messages, max_tokens, now))

    get_context_smart = get_context

    @_documented
    async def get_thread_summaries(self, user_id: str, limit: int = 20, agent_id: Optional[str] = None) -> List[ThreadSummary]:
        return await self._run(requests.summaries(user_id, limit, agent_id))

    # Sources

    @_documented
    async def register_source(self, name: str, lookup: Lookup, topics: Iterable[str], description: Optional[str] = None,
                              timeout: float = 0.5, cache_ttl: Optional[float] = 60.0) -> None:
        loop = asyncio.get_running_loop()
        await self._open_port()
        assert self._opened is not None

        def wait(answer: Awaitable[Answer]) -> Answer:
            """A coroutine function is run by the loop that registered it."""
            async def run() -> Answer:
                return await asyncio.wait_for(answer, timeout)
            return asyncio.run_coroutine_threadsafe(run(), loop).result()

        self._opened.register_source(name, lookup, topics, description, timeout, cache_ttl, wait)

    @_documented
    async def remove_source(self, name: str) -> None:
        await self._open_port()
        assert self._opened is not None
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._opened.remove_source, name)

    @_documented
    async def list_sources(self) -> List[Dictionary]:
        return await self._run(requests.members(core.SOURCES, "sources"))

    # Users

    @_documented
    async def get_user_preferences(self, user_id: str) -> UserPreferences:
        return await self._run(requests.preferences(user_id))

    @_documented
    async def update_user_preference(self, user_id: str, field: str, value: Any = None, action: str = "set") -> UserPreferences:
        return await self._run(requests.preference_update(user_id, field, value, action))

    @_documented
    async def get_preference_signals(self, user_id: str) -> List[Dictionary]:
        return await self._run(requests.preference_signals(user_id))

    @_documented
    async def apply_learned_preferences(self, user_id: str) -> List[Dictionary]:
        return await self._run(requests.preferences_apply(user_id))

    @_documented
    async def erase_user(self, user_id: str) -> Dictionary:
        return await self._run(requests.erase(user_id))

    @_documented
    async def export_user(self, user_id: str, agent_id: Optional[str] = None) -> List[Dictionary]:
        return await self._run(requests.export(user_id, agent_id))

    # Agents

    @_documented
    async def register_agent(self, agent_id: str, name: str, description: Optional[str] = None, sharing_groups: Texts = None,
                             default_visibility: Union[AgentVisibility, str] = "private", can_read_public: bool = True,
                             can_write_public: bool = False, **metadata: Any) -> AgentProfile:
        return await self._run(requests.register_agent(agent_id, name, description, sharing_groups, default_visibility,
                                                       can_read_public, can_write_public, metadata))

    @_documented
    async def unregister_agent(self, agent_id: str) -> None:
        await self._run(requests.unregister_agent(agent_id))

    @_documented
    async def get_agent(self, agent_id: str) -> AgentProfile:
        return await self._run(requests.get_agent(agent_id))

    @_documented
    async def list_agents(self) -> List[AgentProfile]:
        return await self._run(requests.list_agents())

    @_documented
    async def get_multi_agent_stats(self) -> Dictionary:
        return await self._run(requests.dictionary(core.AGENT_STATS))

    # Upkeep

    @_documented
    async def run_tier_migration(self, user_id: Optional[str] = None, dry_run: bool = False) -> Dictionary:
        return await self._run(requests.migrate(user_id, dry_run))

    @_documented
    async def tier_migrations(self) -> List[Dictionary]:
        return await self._run(requests.tier_runs())

    @_documented
    async def undo_tier_migration(self, run: Optional[int] = None, dry_run: bool = False) -> Dictionary:
        return await self._run(requests.undo_tiers(run, dry_run))

    @_documented
    async def backup(self, path: Path) -> None:
        await self._run(requests.backup(path))

    @_documented
    async def drain(self, timeout: Optional[float] = None) -> bool:
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + requests.seconds(timeout, "timeout")
        while True:
            left = DRAIN_SLICE if deadline is None else max(0.0, min(DRAIN_SLICE, deadline - loop.time()))
            if await self._run(requests.drain(int(left * 1000))):
                return True
            if deadline is not None and loop.time() >= deadline:
                return False

    @_documented
    async def retry_failed(self, message_id: Optional[str] = None) -> int:
        return await self._run(requests.queue_retry(message_id))

    @_documented
    async def purge_failed(self) -> int:
        return await self._run(requests.queue_purge())

    # Health and figures

    @_documented
    async def get_worker_health(self) -> Dictionary:
        return await self._run(requests.dictionary(core.WORKER_HEALTH))

    @_documented
    async def get_enrichment_metrics(self) -> Dictionary:
        return await self._run(requests.dictionary(core.ENRICHMENT_METRICS))

    @_documented
    async def get_health(self) -> Dictionary:
        return await self._run(requests.dictionary(core.HEALTH))

    @_documented
    async def get_status(self) -> Dictionary:
        return await self._run(requests.dictionary(core.STATUS))

    @_documented
    async def get_queue_status(self, dead_limit: int = 20) -> Dictionary:
        return await self._run(requests.dictionary(core.QUEUE, dead_limit))

    @_documented
    async def get_models(self) -> Dictionary:
        return await self._run(requests.dictionary(core.MODELS))

    @_documented
    async def get_usage(self, first_day: Optional[str] = None, last_day: Optional[str] = None) -> Dictionary:
        return await self._run(requests.dictionary(core.USAGE, first_day, last_day))

    @_documented
    async def get_cache_stats(self) -> Dictionary:
        return await self._run(requests.dictionary(core.CACHE_STATS))

    @_documented
    async def invalidate_cache_by_topic(self, topic: str) -> int:
        return await self._run(requests.cache_drop_topic(topic))

    @_documented
    async def invalidate_stale_cache(self, max_age_seconds: float = 3600) -> int:
        return await self._run(requests.cache_drop_stale(max_age_seconds))

    @_documented
    async def clear_cache(self, user_id: Optional[str] = None, thread_id: Optional[str] = None) -> int:
        return await self._run(requests.cache_clear(user_id, thread_id))

    @_documented
    async def get_prometheus_metrics(self) -> Dictionary:
        return await self._run(requests.dictionary(core.METRICS))

    @_documented
    async def get_prometheus_text(self) -> str:
        return await self._run(requests.prometheus_text())

    @_documented
    async def start_metrics_server(self, port: int = 9090, host: str = "127.0.0.1") -> bool:
        try:
            await self._run(requests.serve_metrics(port, host))
        except ConflictError:
            return True
        except StorageError as error:
            requests.warn_port(error)
            return False
        if self._opened is not None:
            self._opened.serves_metrics = True
        return True
