"""
Mindcore for LangChain: the history of a chat, and a retriever over all that a user has said.

    history = MindcoreChatMessageHistory(client, user_id="ada", thread_id="t1")
    retriever = MindcoreRetriever(client=client, user_id="ada")

Needs the package langchain-core.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Type

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.documents import Document
    from langchain_core.messages import (AIMessage, BaseMessage, HumanMessage, SystemMessage, message_to_dict,
                                         messages_from_dict)
    from langchain_core.retrievers import BaseRetriever
except ImportError as error:
    raise ImportError("mindcore.langchain needs the package langchain-core: pip install langchain-core") from error

from . import Message, MindcoreClient, SearchHit
from ._thread import READ_MAX, Thread, Turn, words

__all__ = ["MindcoreChatMessageHistory", "MindcoreRetriever"]

_ROLES = {"human": "user", "ai": "assistant", "system": "system"}
_PLAIN: Dict[str, Type[BaseMessage]] = {"user": HumanMessage, "assistant": AIMessage, "system": SystemMessage}
_WHOLE = "langchain"  # a message that is more than its role and words is kept whole under this name


def _turn(message: BaseMessage) -> Turn:
    role = _ROLES.get(message.type, "tool")
    text = words(message.text, (call["name"] for call in getattr(message, "tool_calls", [])))
    plain = _PLAIN.get(role)
    if plain and message == plain(content=text):
        return Turn(role, text)
    return Turn(role, text, {_WHOLE: message_to_dict(message)})


def _message(stored: Message) -> BaseMessage:
    whole = stored.metadata.extra.get(_WHOLE)
    if whole:
        return messages_from_dict([whole])[0]
    return _PLAIN.get(stored.role, SystemMessage)(content=stored.raw_text)


class MindcoreChatMessageHistory(BaseChatMessageHistory):
    """
    A thread of the memory as the history of a chat. What is added is stored at once and enriched in the background;
    what another program says in the thread is in the history, too.

    `limit` is how many messages are read, the newest ones (1 to 1000). `session_id` is that of the messages that are
    added, by default the thread's id. The client stays open; it is the caller's.
    """

    def __init__(self, client: MindcoreClient, user_id: str, thread_id: str, session_id: Optional[str] = None,
                 agent_id: Optional[str] = None, limit: int = READ_MAX) -> None:
        self._thread = Thread(client, user_id, thread_id, session_id or thread_id, agent_id)
        self._limit = limit

    @property
    def messages(self) -> List[BaseMessage]:  # type: ignore[override]  # the base class has a plain attribute
        """The newest messages, the oldest of them first."""
        return [_message(stored) for stored in self._thread.newest(self._limit)]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Stores messages at the end of the thread."""
        self._thread.add(map(_turn, messages))

    def clear(self) -> None:
        """Deletes the messages of the thread for good. What was learned of the user stays."""
        self._thread.clear()


class MindcoreRetriever(BaseRetriever):
    """
    Finds what a user has said, in every thread or in one: the `k` messages that fit a question best, best first.

    Each document is the text of a message; its id is the message's, its metadata holds `score`, `thread_id`, `role`,
    `created_at`, `topics` and `importance`.
    """

    client: MindcoreClient
    user_id: str
    thread_id: Optional[str] = None
    agent_id: Optional[str] = None
    k: int = 4

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> List[Document]:
        hits = self.client.search(self.user_id, query, thread_id=self.thread_id, limit=self.k, agent_id=self.agent_id)
        return [self._document(hit) for hit in hits]

    @staticmethod
    def _document(hit: SearchHit) -> Document:
        message = hit.message
        return Document(id=message.message_id, page_content=message.raw_text, metadata={
            "score": hit.score, "thread_id": message.thread_id, "role": message.role,
            "created_at": message.created_at.isoformat(), "topics": message.metadata.topics,
            "importance": message.metadata.importance})
