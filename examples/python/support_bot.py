"""
A support bot that remembers its customers.

    pip install mindcore[openai]
    export OPENAI_API_KEY=sk-...          # or OPENAI_BASE_URL of another service
    python support_bot.py ada             # type; the end of input (Ctrl-D) ends the conversation

Every run is a new conversation, and knows what was said in the ones before. The shop's own table of orders is a
source that the memory asks when somebody speaks of orders.
"""
