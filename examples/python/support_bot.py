"""
A support bot that remembers its customers.

    pip install '.[openai]'          # in Mindcore's source tree, or its wheel (docs/python.md)
    export OPENAI_API_KEY=sk-...     # and OPENAI_BASE_URL for another service
    python support_bot.py ada        # type; the end of the input (Ctrl-D) ends the conversation

Each run is a new conversation, and knows what the customer said in those before. The shop's table of orders is asked
whenever somebody speaks of an order.
"""

import sys
import uuid
from typing import Iterable, List, Tuple

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from mindcore import MindcoreClient, SourceQuery
from mindcore.openai import ChatMemory

MODEL = "gpt-4o-mini"
INSTRUCTIONS = "You are the support of a shop. Be brief. Use what is known of the customer."
ORDERS = {"ada": [("ORD-48213", "a desk lamp, sent on Monday, expected on Thursday")]}


def find_orders(query: SourceQuery) -> Iterable[Tuple[str, str]]:
    """The orders of the customer who asks, and of nobody else."""
    return [(f"Order {number}", state) for number, state in ORDERS.get(query.user_id, [])]


def main(user_id: str) -> None:
    service = OpenAI()
    with MindcoreClient(use_sqlite=True, sqlite_path="support.db") as client:
        client.register_source("orders", find_orders, topics=["orders", "delivery"], timeout=5)
        memory = ChatMemory(client, user_id, thread_id=str(uuid.uuid4()))
        messages: List[ChatCompletionMessageParam] = [{"role": "system", "content": INSTRUCTIONS}]
        for line in map(str.strip, sys.stdin):
            if not line:
                continue
            messages.append({"role": "user", "content": line})
            answer = memory.create(service, model=MODEL, messages=messages).choices[0].message.content or ""
            messages.append({"role": "assistant", "content": answer})
            print(answer, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
