"""
Several agents on one memory: what one of them hears, the others know, as far as it is shared with them.

    python shared_memory.py

Support and billing are in one group and share what they hear. A coach of the same user shares nothing.
"""

from mindcore import MemorySharingMode, MindcoreClient, MultiAgentConfig

SAID = [
    ("support", "My parcel with order ORD-48213 arrived broken, I want a new one."),
    ("billing", "Please refund the invoice INV-7 to my card."),
    ("coach", "I want to run a marathon in spring, but my knee hurts."),
]


def main() -> None:
    config = MultiAgentConfig(enabled=True, mode=MemorySharingMode.SHARED, require_agent_id=True)
    with MindcoreClient(use_sqlite=True, sqlite_path="agents.db", multi_agent_config=config) as client:
        client.register_agent("support", "Support", sharing_groups=["care"], default_visibility="shared")
        client.register_agent("billing", "Billing", sharing_groups=["care"], default_visibility="shared")
        client.register_agent("coach", "Coach")  # what it hears is private
        for agent_id, text in SAID:
            client.ingest("ada", f"with-{agent_id}", "today", "user", text, agent_id=agent_id)

        for agent_id, _ in SAID:
            context = client.get_context("ada", "next", "What is it about the order, the invoice, the knee?",
                                         agent_id=agent_id)
            print(f"{agent_id} knows:")
            print(context.assembled_context)


if __name__ == "__main__":
    main()
