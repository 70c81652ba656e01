"""A program with types, as a user of the package writes it: mypy --strict reads it (test_types.py), and it runs."""

import asyncio
import datetime
import sys
from typing import Any, Dict, List, Optional, Tuple

from mindcore import (AgentProfile, AgentVisibility, AssembledContext, AsyncMindcoreClient, IngestResult,
                      InvalidArgumentError, MemorySharingMode, Message, MessageMetadata, MindcoreClient, MindcoreError,
                      MultiAgentConfig, SearchHit, SourceQuery, ThreadSummary, UserPreferences, VocabularyManager,
                      set_log_level)


def lookup(query: SourceQuery) -> List[Tuple[Optional[str], str]]:
    return [(None, f"for {query.user_id}: {query.text}")]


async def lookup_async(query: SourceQuery) -> Optional[str]:
    return query.agent_id


def agents() -> MultiAgentConfig:
    return MultiAgentConfig(enabled=True, mode=MemorySharingMode.SHARED)


def use(path: str) -> str:
    vocabulary = VocabularyManager(topics=["warranty"], synonyms={"guarantee": "warranty"})
    with MindcoreClient(use_sqlite=True, sqlite_path=path, vocabulary=vocabulary, multi_agent_config=agents(),
                        options={"context.max_tokens": 4000}) as client:
        profile: AgentProfile = client.register_agent("a", "First", default_visibility=AgentVisibility.SHARED)
        message: Message = client.ingest("ann", "t1", "s1", "user", "My order is late", agent_id=profile.agent_id, shop=1)
        stored: IngestResult = client.ingest_batch([message.to_dict(), message])
        metadata: MessageMetadata = message.metadata
        extra: Dict[str, Any] = metadata.extra
        topics: Tuple[str, ...] = tuple(metadata.topics)
        when: datetime.datetime = message.created_at
        hits: List[SearchHit] = client.search("ann", "order", until=when, agent_id="a")
        context: AssembledContext = client.get_context("ann", "t1", "Where is it?", agent_id="a")
        preferences: UserPreferences = client.update_user_preference("ann", "interests", ["chess"])
        summaries: List[ThreadSummary] = client.get_thread_summaries("ann")
        client.register_source("orders", lookup, ["order"], timeout=1.0)
        try:
            client.ingest("", "t1", "s1", "user", "x")
        except InvalidArgumentError as error:
            field: str = error.field
        parts = (stored, extra, topics, hits, preferences, summaries, field)
        return f"{context.assembled_context} {len(parts)}"


async def use_async(path: str) -> int:
    async with AsyncMindcoreClient(use_sqlite=True, sqlite_path=path, threads=2) as client:
        await client.register_source("agents", lookup_async, ["order"])
        messages: List[Message] = await asyncio.gather(
            *(client.ingest("ann", "t2", "s1", "user", f"message {i}") for i in range(3)))
        healthy: bool = (await client.get_health())["healthy"]
        recent: List[Message] = await client.get_recent_messages("ann", "t2")
        return len(messages) + len(recent) if healthy else 0


if __name__ == "__main__":
    set_log_level("WARNING")
    try:
        print(use(sys.argv[1]), asyncio.run(use_async(sys.argv[1])))
    except MindcoreError as problem:
        sys.exit(f"{problem.status}: {problem}")
