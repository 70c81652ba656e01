"""Mindcore: the memory of AI agents.

An application hands it every message of every conversation; Mindcore stores it durably at once, enriches it in
the background, and answers "what does the agent need to know now?" within a token budget.

    from mindcore import MindcoreClient

    with MindcoreClient() as client:
        client.ingest("ann", "thread-1", "session-1", "user", "My order ORD-48213 has not arrived.")
        print(client.get_context("ann", "thread-1", "Where is my order?"))
"""

from . import errors
from .errors import (ArgumentTypeError, AuthenticationError, BusyError, CancelledError, ClientClosedError,
                     ConfigurationError, ConflictError, CorruptError, DiskFullError, ForkedClientError, InternalError,
                     InvalidArgumentError, MindcoreError, NotFoundError, OutOfMemoryError, PermissionDeniedError,
                     RateLimitedError, StorageError, TimeoutError, TooLargeError, UnavailableError, UnsupportedError,
                     VersionError)
from ._mindcore import Message, version as __version__
from ._client import MindcoreClient
from ._logging import set_log_level
from ._options import AgentVisibility, MemorySharingMode, MultiAgentConfig
from ._sources import SourceQuery
from ._values import (AgentProfile, AssembledContext, IngestResult, MessageMetadata, RefusedMessage, SearchHit,
                      ThreadSummary, UserPreferences)
from .aio import AsyncMindcoreClient
from .vocabulary import VocabularyManager

__all__ = [
    "AgentProfile", "AgentVisibility", "ArgumentTypeError", "AssembledContext", "AsyncMindcoreClient",
    "AuthenticationError", "BusyError", "CancelledError", "ClientClosedError", "ConfigurationError", "ConflictError",
    "CorruptError", "DiskFullError", "ForkedClientError", "IngestResult", "InternalError", "InvalidArgumentError",
    "MemorySharingMode", "Message", "MessageMetadata", "MindcoreClient", "MindcoreError", "MultiAgentConfig",
    "NotFoundError", "OutOfMemoryError", "PermissionDeniedError", "RateLimitedError", "RefusedMessage", "SearchHit",
    "SourceQuery", "StorageError", "ThreadSummary", "TimeoutError", "TooLargeError", "UnavailableError",
    "UnsupportedError", "UserPreferences", "VersionError", "VocabularyManager", "__version__", "errors",
    "set_log_level",
]
