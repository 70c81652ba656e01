"""What the adapters share: a thread of the memory as a chat history, a list that grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, List, Mapping, Optional

from . import Message, MindcoreClient

#: Messages that one read gives at most.
READ_MAX = 1000


@dataclass(frozen=True)
class Turn:
    """What is to be stored of a framework's message: its role, its words, and what else belongs to it."""

    role: str
    text: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


def words(text: Optional[str], calls: Iterable[str]) -> str:
    """What is said in a message; where that is nothing, what it does: a memory keeps no blank text."""
    if text and text.strip():
        return text
    named = ", ".join(calls)
    return f"(calls {named})" if named else "(no text)"


@dataclass(frozen=True)
class Thread:
    """The messages of one conversation. `session_id` is that of the messages that are added."""

    client: MindcoreClient
    user_id: str
    thread_id: str
    session_id: str
    agent_id: Optional[str] = None

    def newest(self, limit: int) -> List[Message]:
        """The newest messages, the oldest of them first."""
        return self.client.get_recent_messages(self.user_id, self.thread_id, limit=limit, agent_id=self.agent_id)[::-1]

    def add(self, turns: Iterable[Turn]) -> None:
        """Stores the turns, in their order. Raises the first refusal; the others are stored then."""
        agent = {} if self.agent_id is None else {"agent_id": self.agent_id}
        result = self.client.ingest_batch(
            {"user_id": self.user_id, "thread_id": self.thread_id, "session_id": self.session_id, **agent,
             "role": turn.role, "text": turn.text, "metadata": dict(turn.metadata)}
            for turn in turns)
        if result.refused:
            raise result.refused[0].error

    def known(self, question: str, max_tokens: int) -> str:
        """What the memory knows about a question, from every thread of the user; empty where that is nothing."""
        return self.client.get_context(self.user_id, self.thread_id, question, max_tokens=max_tokens,
                                       agent_id=self.agent_id).assembled_context

    def clear(self) -> None:
        """Deletes every message of the thread. An agent's thread holds what the agent may read."""
        while found := self.newest(READ_MAX):
            for message in found:
                self.client.delete_message(message.message_id, agent_id=self.agent_id)
