"""
Mindcore for the OpenAI SDK: what is known goes into `messages`, and both sides of the conversation are remembered.

    memory = ChatMemory(client, user_id="ada", thread_id="t1")
    answer = memory.create(OpenAI(), model="gpt-4o-mini", messages=[{"role": "user", "content": "Where is my order?"}])

Works with every service that the SDK works with. Needs the package openai.
"""

from __future__ import annotations

import asyncio
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

try:
    from openai import AsyncOpenAI, OpenAI
    from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
except ImportError as error:
    raise ImportError("mindcore.openai needs the package openai: pip install openai") from error

from . import MindcoreClient
from ._thread import Thread, Turn, words

__all__ = ["ChatMemory"]


def _text(content: Any) -> str:
    """The words of a message's content, which is text or a list of parts."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or [] if part.get("type") == "text")


class ChatMemory:
    """
    One conversation of a user. `max_tokens` is the length of what is added to the messages; `session_id` that of the
    messages that are stored, by default the thread's id. The client stays open; it is the caller's.
    """

    def __init__(self, client: MindcoreClient, user_id: str, thread_id: str, session_id: Optional[str] = None,
                 agent_id: Optional[str] = None, max_tokens: int = 2000) -> None:
        self._thread = Thread(client, user_id, thread_id, session_id or thread_id, agent_id)
        self._max_tokens = max_tokens

    def add_context(self, messages: Iterable[ChatCompletionMessageParam]) -> List[ChatCompletionMessageParam]:
        """
        The messages, and before the user's last one, as a system message, what is known about it. What comes before
        stays as it is, so that the service can use what it has cached. ValueError: no message is the user's.
        """
        given = list(messages)
        place, question = self._question(given)
        known = self._thread.known(question, self._max_tokens)
        added: List[ChatCompletionMessageParam] = [{"role": "system", "content": known}] if known else []
        return given[:place] + added + given[place:]

    def store(self, question: str, answer: str) -> None:
        """Remembers what the user said and what was answered."""
        self._thread.add([Turn("user", words(question, ())), Turn("assistant", words(answer, ()))])

    def create(self, openai: OpenAI, *, messages: Iterable[ChatCompletionMessageParam],
               **options: Any) -> ChatCompletion:
        """
        `openai.chat.completions.create` with what is known. When there is an answer, it is stored with what the user,
        and tools, have said since the last one in `messages`. A call that fails stores nothing, so it may be made
        again. ValueError: `stream`; use add_context and store around it.
        """
        given = self._whole(messages, options)
        asked = self.add_context(given)
        completion: ChatCompletion = openai.chat.completions.create(messages=asked, **options)
        self._store(given, completion)
        return completion

    async def create_async(self, openai: AsyncOpenAI, *, messages: Iterable[ChatCompletionMessageParam],
                           **options: Any) -> ChatCompletion:
        """The same with the SDK's asynchronous client; the memory is asked in a thread."""
        given = self._whole(messages, options)
        asked = await asyncio.to_thread(self.add_context, given)
        completion: ChatCompletion = await openai.chat.completions.create(messages=asked, **options)
        await asyncio.to_thread(self._store, given, completion)
        return completion

    @staticmethod
    def _whole(messages: Iterable[ChatCompletionMessageParam],
               options: Mapping[str, Any]) -> List[ChatCompletionMessageParam]:
        if options.get("stream"):
            raise ValueError("stream: an answer in pieces cannot be stored here; call add_context before the request, "
                             "and store when the answer is whole")
        return list(messages)

    @staticmethod
    def _question(messages: Sequence[ChatCompletionMessageParam]) -> Tuple[int, str]:
        """The place and the words of the user's last message."""
        for place in range(len(messages) - 1, -1, -1):
            if messages[place]["role"] == "user":
                return place, words(_text(messages[place].get("content")), ())
        raise ValueError("messages: none of them has the role \"user\"")

    def _store(self, messages: Sequence[ChatCompletionMessageParam], completion: ChatCompletion) -> None:
        """What has come since the service's last answer, and this one."""
        said = [(message["role"], words(_text(message.get("content")), ())) for message in messages]
        answered = max((place for place, (role, _) in enumerate(said) if role == "assistant"), default=-1)
        new = [Turn(role, text) for role, text in said[answered + 1:] if role in ("user", "tool")]
        answer = completion.choices[0].message
        calls = [call.function.name for call in answer.tool_calls or [] if call.type == "function"]
        self._thread.add([*new, Turn("assistant", words(answer.content, calls))])
