"""MindcoreClient: the memory, for programs with threads or none."""

import datetime
import time
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, TypeVar, Union

from . import _json, _lifetime, _logging, _mindcore as core, _options, _requests as requests
from ._mindcore import Message
from ._options import DEFAULT_PATH, DEFAULT_TRUE, AgentVisibility, MultiAgentConfig, Path
from ._requests import Dictionary, Request, Texts
from ._sources import Lookup, SourceThread, Wait, source_arguments
from ._values import (AgentProfile, AssembledContext, IngestResult, SearchHit, ThreadSummary, UserPreferences)
from .errors import ArgumentTypeError, ConflictError, InvalidArgumentError, StorageError
from .vocabulary import VocabularyManager

T = TypeVar("T")
Self = TypeVar("Self", bound="MindcoreClient")
DRAIN_SLICE = 0.1  # seconds, after which an interrupt of the keyboard is noticed


class Opened:
    """An open engine and what belongs to it; both kinds of client have one."""

    def __init__(self, config_path: Optional[Path], options: Mapping[str, str]) -> None:
        _logging.start()
        path = None if config_path is None else _options.path_text(config_path, "config_path")
        if path is not None and "\0" in path:
            raise InvalidArgumentError("config_path: has a NUL", "config_path")
        self.engine = core.Engine(path, dict(options))
        self._holder = _lifetime.hold(self.engine)
        self._sources: Dict[str, core.Source] = {}
        self.serves_metrics = False

    def register_source(self, name: str, lookup: Lookup, topics: Iterable[str], description: Optional[str],
                        timeout: float, cache_ttl: Optional[float], wait: Optional[Wait]) -> None:
        if not callable(lookup):
            raise ArgumentTypeError(f"lookup: a function is expected, not {type(lookup).__name__}", "lookup")
        arguments = source_arguments(name, topics, description, timeout, cache_ttl)
        source = core.Source(self.engine, arguments)
        self._sources[name] = source
        SourceThread(source, name, lookup, wait)

    def remove_source(self, name: str) -> None:
        source = self._sources.pop(name, None)
        if source is None:
            raise requests.not_found(f"name: there is no source {name!r}", "name")
        source.remove()

    def close(self) -> None:
        self.engine.close()
        self._sources.clear()


class MindcoreClient:
    """The memory of AI agents. Opens (and makes, where there is none) the database, and starts the workers.

    Any thread may call any method at any time; the GIL is free while the library works. Several clients may be open
    in one process, also on one file. close() ends it, as does the end of a with block; a client that is never closed
    is closed when the interpreter ends. A client is of one process: fork before the first one is opened, or use the
    methods spawn or forkserver of multiprocessing; ForkedClientError tells.

    Args:
        config_path: a YAML file (docs/options.md); None: the one that MINDCORE_CONFIG names, if any.
        use_sqlite: True: SQLite at sqlite_path; False: the PostgreSQL of the section `database`; None: PostgreSQL when
            the file or the environment names a database, else SQLite.
        sqlite_path: the file of SQLite.
        llm_provider: auto, llama_cpp, openai or builtin.
        persistent_cache: keep the cache on disk, so that it survives a restart.
        cache_dir: folder of that cache; None: beside the database.
        vocabulary: topics and categories of the application's own.
        multi_agent_config: several agents with access rules between them.
        enrichment_workers: threads that enrich messages, 1 to 16.
        options: any other option as {"context.max_tokens": 4000}.

    An argument goes before the environment, which goes before the file, which goes before the default.

    Raises ConfigurationError or InvalidArgumentError (both ValueErrors) for a wrong option, NotFoundError when the
    file does not exist, StorageError, BusyError, UnavailableError, CorruptError or VersionError when the database
    cannot be opened.
    """

    def __init__(self, config_path: Optional[Path] = None, use_sqlite: Optional[bool] = None,
                 sqlite_path: Path = DEFAULT_PATH, llm_provider: Optional[str] = None,
                 persistent_cache: bool = DEFAULT_TRUE, cache_dir: Optional[Path] = None,
                 vocabulary: Optional[VocabularyManager] = None,
                 multi_agent_config: Optional[MultiAgentConfig] = None, enrichment_workers: Optional[int] = None,
                 *, options: Optional[Mapping[str, Any]] = None) -> None:
        self._opened = Opened(config_path, _options.client_options(
            use_sqlite, sqlite_path, llm_provider, persistent_cache, cache_dir, vocabulary, multi_agent_config,
            enrichment_workers, options))
        self._engine = self._opened.engine

    def _run(self, request: Request[T]) -> T:
        value = self._engine.call(request.operation, request.arguments)
        return value if request.convert is None else request.convert(value)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if not self._engine.is_open:
            return "<MindcoreClient, closed>"
        return f"<MindcoreClient on {self._engine.backend}, {self._engine.worker_count} workers>"

    def __reduce__(self) -> Any:
        raise TypeError("a MindcoreClient cannot be pickled; open one in each process")

    def close(self) -> None:
        """Waits for calls under way, stops the workers, closes. What they have not done stays queued. Again: nothing."""
        self._opened.close()

    # Facts

    @property
    def closed(self) -> bool:
        """Whether it is closed, or belongs to the parent process."""
        return not self._engine.is_open

    @property
    def enrichment_worker_count(self) -> int:
        """Threads that enrich messages."""
        return self._engine.worker_count

    @property
    def provider_name(self) -> str:
        """The model that is asked first: "llama_cpp" or "openai"; "builtin" when none is configured."""
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
        return self._opened.serves_metrics

    # Messages

    def ingest(self, user_id: str, thread_id: str, session_id: str, role: str, text: str,
               message_id: Optional[str] = None, agent_id: Optional[str] = None,
               visibility: Optional[str] = None, sharing_groups: Texts = None, **metadata: Any) -> Message:
        """Stores one message and returns when it is durable, never after a model call; enrichment follows.

        Args:
            user_id, thread_id, session_id: 1 to 255 bytes of ASCII letters, digits and _ - : . @
            role: user, assistant, system or tool.
            text: 1 to 100,000 characters, not blank, without NUL.
            message_id: the same id with the same content again changes nothing; None: one is made, in order of time.
            agent_id: the agent that writes it; visibility: private, shared or public; sharing_groups: at most 32.
            metadata: anything that JSON can hold, at most 64 KiB; kept unchanged as message.metadata.extra.

        Raises InvalidArgumentError (a ValueError; its `field` names the argument), ConflictError when the id is another
        message's, PermissionDeniedError, StorageError, DiskFullError, BusyError.
        """
        return self._run(requests.ingest(user_id, thread_id, session_id, role, text, message_id, agent_id, visibility,
                                         sharing_groups, metadata))

    def ingest_message(self, message: Mapping[str, Any]) -> Message:
        """The same from a dict with user_id, thread_id, session_id, role, text, and optionally message_id, agent_id,
        visibility, sharing_groups, created_at (a datetime with a zone, or RFC 3339), metadata (a dict)."""
        return self._run(requests.ingest_message(message))

    def ingest_batch(self, messages: Iterable[Union[Mapping[str, Any], Message]]) -> IngestResult:
        """Stores many such dicts, 1,000 in a transaction. A refused one does not hinder the others: the result's
        `refused` says which and why. Raises when the database fails; earlier transactions stay."""
        batch = requests.Batch(messages)
        for request in batch.requests():
            batch.take(self._run(request))
        return batch.result()

    def get_message(self, message_id: str, agent_id: Optional[str] = None) -> Message:
        """One message. NotFoundError also for one that the agent may not see."""
        return self._run(requests.get_message(message_id, agent_id))

    def delete_message(self, message_id: str, agent_id: Optional[str] = None) -> None:
        """Deletes it from the database, the search index, the cache and the queue. NotFoundError, PermissionDeniedError."""
        self._run(requests.delete_message(message_id, agent_id))

    def get_recent_messages(self, user_id: str, thread_id: str, limit: int = 20, before: Optional[str] = None,
                            agent_id: Optional[str] = None) -> List[Message]:
        """The newest messages of a thread, newest first; `before`: only those older than the message of that id.
        limit: 1 to 1,000. An unknown thread gives []."""
        return self._run(requests.recent(user_id, thread_id, limit, before, agent_id))

    def get_context_window(self, user_id: str, thread_id: str, max_messages: int = 50, min_importance: float = 0.1,
                           max_tokens: Optional[int] = None, agent_id: Optional[str] = None) -> List[Message]:
        """The newest messages that fit, oldest first, without those whose decayed importance is below min_importance
        (0 to 1). max_tokens None: option context.max_tokens. The newest is cut to fit when it alone is too long."""
        return self._run(requests.window(user_id, thread_id, max_messages, min_importance, max_tokens, agent_id))

    def search(self, user_id: str, query: Optional[str] = None, topics: Texts = None, categories: Texts = None,
               intent: Optional[str] = None, thread_id: Optional[str] = None,
               since: Optional[datetime.datetime] = None, until: Optional[datetime.datetime] = None, limit: int = 20,
               agent_id: Optional[str] = None, explain: bool = False) -> List[SearchHit]:
        """Messages of a user by words, topics, categories or intent (one of them at least), best first. `since` is
        included, `until` is not; both have a time zone. limit: 1 to 1,000."""
        return self._run(requests.search(user_id, query, topics, categories, intent, thread_id, since, until, limit,
                                         agent_id, explain))

    def get_decayed_importance(self, message: Message, now: Optional[datetime.datetime] = None) -> float:
        """Importance of a message now: halves every option retention.half_life_days [14], never below 0.05 nor above
        what is stored."""
        at = datetime.datetime.now(datetime.timezone.utc) if now is None else now
        return self._engine.decayed_importance(message, _json.microseconds(at, "now"))

    def count_tokens(self, text: str) -> int:
        """Tokens of a text: by the local model where there is one, else estimated."""
        return self._engine.token_count(text)

    # Context

    def get_context(self, user_id: str, thread_id: str, query: str, additional_context: Optional[str] = None,
                    agent_id: Optional[str] = None, agent_ids: Texts = None, include_shared: bool = True,
                    include_public: bool = True, mode: Optional[str] = None, max_tokens: Optional[int] = None,
                    max_messages: Optional[int] = None, now: Optional[datetime.datetime] = None) -> AssembledContext:
        """What the agent needs to know now, never above max_tokens.

        Args:
            query: what is about to be answered, 1 to 100,000 characters.
            additional_context: the application's own text, placed first and counted in the budget.
            agent_id: the reading agent; agent_ids: only messages of these agents.
            mode: auto, fast (asks no model) or llm; None: option context.mode.
            max_tokens, max_messages: None: the options context.max_tokens [8000], context.max_messages [50].
            now: a fixed time makes the result reproducible.
        """
        return self._run(requests.context(user_id, thread_id, query, additional_context, agent_id, agent_ids,
                                          include_shared, include_public, mode, max_messages, max_tokens, now))

    get_context_smart = get_context

    def get_thread_summaries(self, user_id: str, limit: int = 20, agent_id: Optional[str] = None) -> List[ThreadSummary]:
        """Summaries of the user's threads, newest first, where all of a thread may be read. limit: 1 to 1,000."""
        return self._run(requests.summaries(user_id, limit, agent_id))

    # Sources

    def register_source(self, name: str, lookup: Lookup, topics: Iterable[str], description: Optional[str] = None,
                        timeout: float = 0.5, cache_ttl: Optional[float] = 60.0) -> None:
        """Asks lookup(SourceQuery) while a context is assembled whose query is about one of the topics (docs/sources.md).

        It returns None, a text, or an iterable of texts and (title, text) pairs, and is called in a thread of its own,
        one call at a time. A context waits no longer than timeout (seconds, at most 60) and goes on without an answer;
        an exception is logged and told in the context's metadata. Answers are kept for cache_ttl seconds; None: not.

        ConflictError: the name is taken. InvalidArgumentError: name, topic or number of sources (32).
        """
        self._opened.register_source(name, lookup, topics, description, timeout, cache_ttl, None)

    def source(self, name: str, topics: Iterable[str], description: Optional[str] = None, timeout: float = 0.5,
               cache_ttl: Optional[float] = 60.0) -> Callable[[Lookup], Lookup]:
        """register_source as a decorator."""
        def register(lookup: Lookup) -> Lookup:
            self.register_source(name, lookup, topics, description, timeout, cache_ttl)
            return lookup
        return register

    def remove_source(self, name: str) -> None:
        """The source is asked no more, and what it answered is forgotten. NotFoundError."""
        self._opened.remove_source(name)

    def list_sources(self) -> List[Dictionary]:
        """[{name, description, topics, timeout_ms, cache_ttl_ms, lookups, cache_hits, failures, timeouts, mean_ms,
        last_error}]"""
        return self._run(requests.members(core.SOURCES, "sources"))

    # Users

    def get_user_preferences(self, user_id: str) -> UserPreferences:
        """How the user wants to be served; defaults where nothing is known."""
        return self._run(requests.preferences(user_id))

    def update_user_preference(self, user_id: str, field: str, value: Any = None, action: str = "set") -> UserPreferences:
        """Changes one field: set replaces, add and remove change a list, clear restores the default."""
        return self._run(requests.preference_update(user_id, field, value, action))

    def get_preference_signals(self, user_id: str) -> List[Dictionary]:
        """What was learned from the user's messages: [{field, value, count, last_seen, ready}]."""
        return self._run(requests.preference_signals(user_id))

    def apply_learned_preferences(self, user_id: str) -> List[Dictionary]:
        """Applies the signals that are ready: [{field, value}] of those that were."""
        return self._run(requests.preferences_apply(user_id))

    def erase_user(self, user_id: str) -> Dictionary:
        """Erases everything of a user, everywhere. The receipt: {user_id, erased_at, messages, threads, jobs, summaries,
        preferences, signals, cached_threads, verified, wiped}."""
        return self._run(requests.erase(user_id))

    def export_user(self, user_id: str, agent_id: Optional[str] = None) -> List[Dictionary]:
        """Everything kept of a user, as dicts with a `type`: message, summary, preferences, signal."""
        return self._run(requests.export(user_id, agent_id))

    # Agents

    def register_agent(self, agent_id: str, name: str, description: Optional[str] = None, sharing_groups: Texts = None,
                       default_visibility: Union[AgentVisibility, str] = "private", can_read_public: bool = True,
                       can_write_public: bool = False, **metadata: Any) -> AgentProfile:
        """Registers an agent; an id again replaces it. name: 1 to 255 bytes."""
        return self._run(requests.register_agent(agent_id, name, description, sharing_groups, default_visibility,
                                                 can_read_public, can_write_public, metadata))

    def unregister_agent(self, agent_id: str) -> None:
        """The agent's messages stay. NotFoundError."""
        self._run(requests.unregister_agent(agent_id))

    def get_agent(self, agent_id: str) -> AgentProfile:
        """NotFoundError when it is not registered."""
        return self._run(requests.get_agent(agent_id))

    def list_agents(self) -> List[AgentProfile]:
        """All of them, ordered by id."""
        return self._run(requests.list_agents())

    def get_multi_agent_stats(self) -> Dictionary:
        """{enabled, mode, total_agents, messages_by_agent, messages_by_visibility}"""
        return self._run(requests.dictionary(core.AGENT_STATS))

    # Upkeep

    def run_tier_migration(self, user_id: Optional[str] = None, dry_run: bool = False) -> Dictionary:
        """Moves messages between tiers, summarises long threads, deletes what is due: {messages_migrated,
        threads_summarized, messages_deleted, errors, run, ...}. user_id None: every user."""
        return self._run(requests.migrate(user_id, dry_run))

    def tier_migrations(self) -> List[Dictionary]:
        """The migrations that can be undone, for retention.undo_days, the last one first: [{run, began_at, undo_until,
        messages_migrated, messages_deleted, messages_compressed, ...}]."""
        return self._run(requests.tier_runs())

    def undo_tier_migration(self, run: Optional[int] = None, dry_run: bool = False) -> Dictionary:
        """Takes back a migration and all later ones (run None: the last one): {messages_restored, messages_skipped,
        messages_moved_back, messages_decompressed, ...}. Summaries stay. NotFoundError when it cannot be undone."""
        return self._run(requests.undo_tiers(run, dry_run))

    def backup(self, path: Path) -> None:
        """A consistent copy of the open database into a new file (SQLite). ConflictError when the file exists."""
        self._run(requests.backup(path))

    def drain(self, timeout: Optional[float] = None) -> bool:
        """Waits until every message is enriched, at most timeout seconds (None: as long as it takes); whether it is."""
        deadline = None if timeout is None else time.monotonic() + requests.seconds(timeout, "timeout")
        while True:
            left = DRAIN_SLICE if deadline is None else max(0.0, min(DRAIN_SLICE, deadline - time.monotonic()))
            if self._run(requests.drain(int(left * 1000))):
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False

    def retry_failed(self, message_id: Optional[str] = None) -> int:
        """Enriches again what has failed for good: that message, or all; how many."""
        return self._run(requests.queue_retry(message_id))

    def purge_failed(self) -> int:
        """Gives up on them; the messages keep the built-in metadata. How many."""
        return self._run(requests.queue_purge())

    # Health and figures

    def get_worker_health(self) -> Dictionary:
        """{healthy, issues[], timestamp, worker_pool_size, workers: {enrichment: {healthy, status, issues, metrics}}}"""
        return self._run(requests.dictionary(core.WORKER_HEALTH))

    def get_enrichment_metrics(self) -> Dictionary:
        """{processed_count, trivial_skip_count, error_count, error_rate (0 to 1), avg_processing_time_ms, queue_size,
        last_error, uptime_seconds, savings_from_trivial}"""
        return self._run(requests.dictionary(core.ENRICHMENT_METRICS))

    def get_health(self) -> Dictionary:
        """{status: "ok" or "failed", healthy, reasons[], version, checks}"""
        return self._run(requests.dictionary(core.HEALTH))

    def get_status(self) -> Dictionary:
        """A summary for people: messages, users, threads, sizes, queue, cache, workers, versions."""
        return self._run(requests.dictionary(core.STATUS))

    def get_queue_status(self, dead_limit: int = 20) -> Dictionary:
        """{depth, ready, leased, dead, oldest_age_seconds, dead_jobs: [{message_id, attempts, error}]}"""
        return self._run(requests.dictionary(core.QUEUE, dead_limit))

    def get_models(self) -> Dictionary:
        """The models in the order in which they are asked, and what is not configured and why not."""
        return self._run(requests.dictionary(core.MODELS))

    def get_usage(self, first_day: Optional[str] = None, last_day: Optional[str] = None) -> Dictionary:
        """What models were asked from day to day ("2026-01-31", both included): {usage: [...], total: {...}}."""
        return self._run(requests.dictionary(core.USAGE, first_day, last_day))

    def get_cache_stats(self) -> Dictionary:
        """{cache: {...}, invalidation: {total_invalidations, by_reason, last_invalidation, cache_hits, cache_misses,
        hit_rate (0 to 1)}}"""
        return self._run(requests.dictionary(core.CACHE_STATS))

    def invalidate_cache_by_topic(self, topic: str) -> int:
        """Drops cached threads with messages about the topic; how many. Stored messages are not touched."""
        return self._run(requests.cache_drop_topic(topic))

    def invalidate_stale_cache(self, max_age_seconds: float = 3600) -> int:
        """Drops cached threads not used for so long; how many."""
        return self._run(requests.cache_drop_stale(max_age_seconds))

    def clear_cache(self, user_id: Optional[str] = None, thread_id: Optional[str] = None) -> int:
        """Drops a cached thread, all of a user, or everything; how many."""
        return self._run(requests.cache_clear(user_id, thread_id))

    def get_prometheus_metrics(self) -> Dictionary:
        """The counts as a dict: {messages_ingested, messages_enriched, context_requests, queue_depth, ...}."""
        return self._run(requests.dictionary(core.METRICS))

    def get_prometheus_text(self) -> str:
        """The counts in the text format of Prometheus."""
        return self._run(requests.prometheus_text())

    def start_metrics_server(self, port: int = 9090, host: str = "127.0.0.1") -> bool:
        """Serves the counts for Prometheus at http://host:port/metrics until the client is closed (port 0: any free
        one). False, and a warning in the log, when that port is taken; True also when it serves already."""
        try:
            self._run(requests.serve_metrics(port, host))
        except ConflictError:
            return True
        except StorageError as error:
            requests.warn_port(error)
            return False
        self._opened.serves_metrics = True
        return True
