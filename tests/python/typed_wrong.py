"""Mistakes, each of which mypy must find in its line (test_types.py)."""

from mindcore import AsyncMindcoreClient, Message, MindcoreClient, MultiAgentConfig


def wrong(client: MindcoreClient, message: Message) -> None:
    client.ingest("ann", "t1", "s1", "user", 5)  # WRONG arg-type
    client.get_recent_messages("ann", "t1", limit="20")  # WRONG arg-type
    client.get_context("ann", "t1")  # WRONG call-arg
    client.forget("ann")  # WRONG attr-defined
    message.text = "other"  # WRONG misc
    number: int = message.agent_id  # WRONG assignment
    print(number)
    MultiAgentConfig(enabled=5)  # WRONG arg-type


async def wrong_async(client: AsyncMindcoreClient) -> int:
    return len(client.get_recent_messages("ann", "t1"))  # WRONG arg-type
