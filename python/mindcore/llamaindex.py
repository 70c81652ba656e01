"""
Mindcore for LlamaIndex: a memory, and a block for LlamaIndex's own `Memory`.

    memory = MindcoreMemory.from_client(client, user_id="ada", thread_id="t1")
    memory = Memory.from_defaults(memory_blocks=[MindcoreMemoryBlock(client=client, user_id="ada", thread_id="t1")])

Needs the package llama-index-core.
"""

from __future__ import annotations

import asyncio
from typing import Any, List, Optional

try:
    from llama_index.core.base.llms.types import ChatMessage, MessageRole
    from llama_index.core.memory import BaseMemory, BaseMemoryBlock
    from pydantic import ConfigDict, Field
except ImportError as error:
    raise ImportError(
        "mindcore.llamaindex needs the package llama-index-core: pip install llama-index-core") from error

from . import Message, MindcoreClient
from ._thread import READ_MAX, Thread, Turn, words

__all__ = ["MindcoreMemory", "MindcoreMemoryBlock"]

_ROLES = {
    MessageRole.USER: "user", MessageRole.SYSTEM: "system", MessageRole.DEVELOPER: "system",
    MessageRole.TOOL: "tool", MessageRole.FUNCTION: "tool",
}
_WHOLE = "llama_index"  # a message that is more than its role and words is kept whole under this name


def _turn(message: ChatMessage) -> Turn:
    role = _ROLES.get(message.role, "assistant")
    calls = (getattr(block, "tool_name", "") for block in message.blocks)
    text = words(message.content, (name for name in calls if name))
    if message == ChatMessage(role=role, content=text):
        return Turn(role, text)
    return Turn(role, text, {_WHOLE: message.model_dump(mode="json")})


def _message(stored: Message) -> ChatMessage:
    whole = stored.metadata.extra.get(_WHOLE)
    return ChatMessage.model_validate(whole) if whole else ChatMessage(role=stored.role, content=stored.raw_text)


class MindcoreMemory(BaseMemory):
    """
    A thread of the memory for a chat engine or an agent. `get` gives the newest messages, and before them, as one
    system message, what else is known that answers `input`: from other threads, preferences, summaries.

    `limit` is how many messages are given (1 to 1000), `max_tokens` the length of the system message; 0 gives none.
    The client is the caller's, stays open, and is no part of what is serialized.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    client: MindcoreClient = Field(exclude=True)
    user_id: str
    thread_id: str
    session_id: Optional[str] = None
    agent_id: Optional[str] = None
    limit: int = 50
    max_tokens: int = 2000

    @classmethod
    def class_name(cls) -> str:
        return "MindcoreMemory"

    @classmethod
    def from_defaults(cls, **kwargs: Any) -> "MindcoreMemory":
        """The fields of the class as arguments; `client`, `user_id` and `thread_id` are required."""
        return cls(**kwargs)

    @property
    def _thread(self) -> Thread:
        return Thread(self.client, self.user_id, self.thread_id, self.session_id or self.thread_id, self.agent_id)

    def get(self, input: Optional[str] = None, **kwargs: Any) -> List[ChatMessage]:
        """The newest messages, the oldest of them first, after what is known about `input`."""
        history = [_message(stored) for stored in self._thread.newest(self.limit)]
        known = self._thread.known(input, self.max_tokens) if input and self.max_tokens else ""
        return [ChatMessage(role=MessageRole.SYSTEM, content=known), *history] if known else history

    def get_all(self) -> List[ChatMessage]:
        """The whole thread, as far as one read gives it: its newest 1000 messages."""
        return [_message(stored) for stored in self._thread.newest(READ_MAX)]

    def put(self, message: ChatMessage) -> None:
        """Stores a message at the end of the thread."""
        self.put_messages([message])

    def put_messages(self, messages: List[ChatMessage]) -> None:
        """Stores messages at the end of the thread."""
        self._thread.add(map(_turn, messages))

    def set(self, messages: List[ChatMessage]) -> None:
        """
        Makes the thread hold these messages. Those at its beginning that it holds already stay, what follows them is
        deleted for good, and the rest is stored.
        """
        thread = self._thread
        stored = thread.newest(READ_MAX)
        same = 0
        while same < min(len(stored), len(messages)) and _message(stored[same]) == messages[same]:
            same += 1
        for message in stored[same:]:
            thread.client.delete_message(message.message_id, agent_id=thread.agent_id)
        self.put_messages(messages[same:])

    def reset(self) -> None:
        """Deletes the messages of the thread for good. What was learned of the user stays."""
        self._thread.clear()


class MindcoreMemoryBlock(BaseMemoryBlock[str]):
    """
    A long-term memory for LlamaIndex's `Memory`: takes the messages that leave its short-term memory, and gives what
    is known about the newest message of the user, from every thread.
    """

    name: str = "mindcore"
    client: MindcoreClient = Field(exclude=True)
    user_id: str
    thread_id: str
    agent_id: Optional[str] = None
    max_tokens: int = 2000

    @property
    def _thread(self) -> Thread:
        return Thread(self.client, self.user_id, self.thread_id, self.thread_id, self.agent_id)

    async def _aget(self, messages: Optional[List[ChatMessage]] = None, **block_kwargs: Any) -> str:
        said = [message.content for message in messages or [] if message.role == MessageRole.USER and message.content]
        if not said:
            return ""
        return await asyncio.to_thread(self._thread.known, said[-1], self.max_tokens)

    async def _aput(self, messages: List[ChatMessage]) -> None:
        await asyncio.to_thread(self._thread.add, [_turn(message) for message in messages])
