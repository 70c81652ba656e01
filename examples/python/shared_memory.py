"""
Several agents on one memory: what one of them hears, the others know, as far as it is shared with them.

    python shared_memory.py

Support and billing are in one group and share what they hear. A coach of the same user shares nothing.
"""

from mindcore import MemorySharingMode, MindcoreClient, MultiAgentConfig

AGENTS = {
    "support": {"name": "Support", "sharing_groups": ["care"], "default_visibility": "shared"},
    "billing": {"name": "Billing", "sharing_groups": ["care"], "default_visibility": "shared"},
    "coach": {"name": "Coach", "default_visibility": "private"},
}

SAID = [
    ("support", "My parcel with order ORD-48213 arrived broken, I want a new one."),
    ("billing", "Please refund the invoice INV-7 to my card."),
    ("coach", "I want to run a marathon in spring, but my knee hurts."),
]


def main() -> None:
    config = MultiAgentConfig(enabled=True, mode=MemorySharingMode.SHARED, require_agent_id=True)
    with MindcoreClient(use_sqlite=True, sqlite_path="agents.db", multi_agent_config=config) as client:
        for agent_id, options in AGENTS.items():
            if client.get_agent(agent_id) is None:
                client.register_agent(agent_id, **options)
        for agent_id, text in SAID:
            client.ingest("ada", f"with-{agent_id}", "today", "user", text, agent_id=agent_id)

        for agent_id in AGENTS:
            context = client.get_context("ada", f"with-{agent_id}", "What is it about the order, the invoice, the knee?",
                                         agent_id=agent_id)
            known = [text for _, text in SAID if text in context.assembled_context]
            print(f"{agent_id} knows:")
            for text in known:
                print(f"  {text}")


if __name__ == "__main__":
    main()
