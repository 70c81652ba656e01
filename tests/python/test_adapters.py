"""The adapters to frameworks, with the real packages and a real memory: run by the interpreter that has the packages."""

import asyncio
import subprocess
import sys
import warnings

import pytest

from mindcore import MindcoreClient, MultiAgentConfig
from model_server import ModelServer, Status

pytest.importorskip("langchain_core")
pytest.importorskip("llama_index.core")
pytest.importorskip("openai")


@pytest.fixture
def client(tmp_path):
    with MindcoreClient(use_sqlite=True, sqlite_path=str(tmp_path / "mindcore.db"), llm_provider="builtin") as opened:
        yield opened


def thread(client, thread_id="t1", user_id="ada"):
    """(role, text) of a thread, the oldest first."""
    return [(message.role, message.raw_text) for message in client.get_recent_messages(user_id, thread_id, limit=100)][::-1]


# ---- LangChain ----

@pytest.fixture
def history(client):
    from mindcore.langchain import MindcoreChatMessageHistory
    return MindcoreChatMessageHistory(client, user_id="ada", thread_id="t1")


def test_langchain_history(client, history):
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
    said = [SystemMessage("Be kind."), HumanMessage("Where is order ORD-7?"), AIMessage("On its way.")]
    assert history.messages == []
    history.add_messages(said[:1])
    history.add_user_message(said[1])
    history.add_ai_message("On its way.")
    assert history.messages == said
    assert thread(client) == [("system", "Be kind."), ("user", "Where is order ORD-7?"), ("assistant", "On its way.")]
    assert str(history) == "System: Be kind.\nHuman: Where is order ORD-7?\nAI: On its way."
    history.clear()
    assert history.messages == [] and thread(client) == []


def test_langchain_keeps_messages_whole(client, history):
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
    said = [
        HumanMessage([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:x"}}]),
        AIMessage("", tool_calls=[{"name": "look", "args": {"at": "image"}, "id": "c1"}]),
        ToolMessage("a cat", tool_call_id="c1"),
        AIMessage("A cat.", usage_metadata={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}),
        HumanMessage("Thanks!", name="Ada", additional_kwargs={"mood": "happy"}),
    ]
    history.add_messages(said)
    assert history.messages == said
    assert thread(client) == [("user", "What is this?"), ("assistant", "(calls look)"), ("tool", "a cat"),
                              ("assistant", "A cat."), ("user", "Thanks!")]


def test_langchain_history_is_the_memory(client, history):
    """What others say in the thread is in the history, the newest as far as the limit."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
    from mindcore.langchain import MindcoreChatMessageHistory
    for role in ("user", "assistant", "tool"):
        client.ingest(user_id="ada", thread_id="t1", session_id="s", role=role, text=f"I am {role}.")
    assert history.messages == [HumanMessage("I am user."), AIMessage("I am assistant."), SystemMessage("I am tool.")]
    short = MindcoreChatMessageHistory(client, user_id="ada", thread_id="t1", limit=1)
    assert short.messages == [SystemMessage("I am tool.")]
    assert MindcoreChatMessageHistory(client, user_id="bob", thread_id="t1").messages == []


def test_langchain_runnable(client):
    """A chain with a history for each thread, also without blocking."""
    from langchain_core.messages import AIMessage, HumanMessage
    from langchain_core.runnables import RunnableLambda
    from mindcore.langchain import MindcoreChatMessageHistory
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # LangChain advises LangGraph
        from langchain_core.runnables.history import RunnableWithMessageHistory
        chain = RunnableWithMessageHistory(
            RunnableLambda(lambda messages: AIMessage(f"{len(messages)} messages")),
            lambda thread_id: MindcoreChatMessageHistory(client, user_id="ada", thread_id=thread_id))
    config = {"configurable": {"session_id": "t9"}}
    assert chain.invoke([HumanMessage("One")], config=config).content == "1 messages"
    assert asyncio.run(chain.ainvoke([HumanMessage("Two")], config=config)).content == "3 messages"
    assert thread(client, "t9") == [("user", "One"), ("assistant", "1 messages"), ("user", "Two"),
                                    ("assistant", "3 messages")]


def test_langchain_retriever(client):
    from mindcore.langchain import MindcoreRetriever
    said = {"t1": "The delivery of order ORD-48213 is late.", "t2": "I am allergic to peanuts.",
            "t3": "My flight to Lisbon leaves on Friday."}
    ids = {name: client.ingest(user_id="ada", thread_id=name, session_id="s", role="user", text=text).message_id
           for name, text in said.items()}
    retriever = MindcoreRetriever(client=client, user_id="ada", k=1)
    document, = retriever.invoke("Which nuts, such as peanuts, am I allergic to?")
    assert (document.id, document.page_content) == (ids["t2"], said["t2"])
    assert document.metadata["thread_id"] == "t2" and document.metadata["score"] > 0
    assert asyncio.run(retriever.ainvoke("flight to Lisbon"))[0].page_content == said["t3"]
    assert MindcoreRetriever(client=client, user_id="ada", thread_id="t1").invoke("peanuts") == []
    assert MindcoreRetriever(client=client, user_id="bob").invoke("peanuts") == []


def test_agents_have_histories_of_their_own(tmp_path):
    from langchain_core.messages import HumanMessage
    from mindcore.langchain import MindcoreChatMessageHistory, MindcoreRetriever
    agents = MultiAgentConfig(enabled=True, require_agent_id=True)
    with MindcoreClient(use_sqlite=True, sqlite_path=tmp_path / "agents.db", llm_provider="builtin",
                        multi_agent_config=agents) as client:
        client.register_agent("care", "Care")
        client.register_agent("coach", "Coach")
        care, coach = (MindcoreChatMessageHistory(client, user_id="ada", thread_id="t1", agent_id=agent)
                       for agent in ("care", "coach"))
        care.add_user_message("My lamp is broken.")
        coach.add_user_message("My knee hurts.")
        assert care.messages == [HumanMessage("My lamp is broken.")]
        found = MindcoreRetriever(client=client, user_id="ada", agent_id="coach").invoke("lamp or knee")
        assert [document.page_content for document in found] == ["My knee hurts."]
        care.clear()
        assert care.messages == [] and coach.messages == [HumanMessage("My knee hurts.")]


# ---- LlamaIndex ----

@pytest.fixture
def memory(client):
    from mindcore.llamaindex import MindcoreMemory
    return MindcoreMemory.from_defaults(client=client, user_id="ada", thread_id="t1")


def test_llamaindex_memory(client, memory):
    from llama_index.core.llms import ChatMessage
    said = [ChatMessage(role="system", content="Be kind."), ChatMessage(role="user", content="Where is order ORD-7?"),
            ChatMessage(role="assistant", content="On its way.")]
    memory.put_messages(said[:2])
    memory.put(said[2])
    assert memory.get_all() == said and memory.get() == said
    assert thread(client)[1:] == [("user", "Where is order ORD-7?"), ("assistant", "On its way.")]
    asyncio.run(memory.aput(ChatMessage(role="user", content="Thanks!")))
    assert [message.content for message in asyncio.run(memory.aget_all())][-1] == "Thanks!"
    memory.reset()
    assert memory.get_all() == []


def test_llamaindex_keeps_messages_whole(memory):
    from llama_index.core.llms import ChatMessage, ImageBlock, MessageRole, TextBlock
    said = [
        ChatMessage(role="user", blocks=[TextBlock(text="What is this?"), ImageBlock(url="https://example.org/cat.png")]),
        ChatMessage(role=MessageRole.ASSISTANT, content="", additional_kwargs={"tool_calls": [{"name": "look"}]}),
        ChatMessage(role=MessageRole.TOOL, content="a cat", additional_kwargs={"tool_call_id": "c1"}),
    ]
    memory.put_messages(said)
    assert [message.model_dump() for message in memory.get_all()] == [message.model_dump() for message in said]


def test_llamaindex_set_changes_what_differs(client, memory):
    from llama_index.core.llms import ChatMessage
    said = [ChatMessage(role="user", content=text) for text in ("One", "Two", "Three")]
    memory.set(said)
    first = client.get_recent_messages("ada", "t1", limit=10)[-1].message_id
    memory.set([said[0], ChatMessage(role="user", content="Another")])
    assert thread(client) == [("user", "One"), ("user", "Another")]
    assert client.get_recent_messages("ada", "t1", limit=10)[-1].message_id == first


def test_llamaindex_knows_other_threads(client, memory):
    from llama_index.core.llms import MessageRole
    client.ingest(user_id="ada", thread_id="earlier", session_id="s", role="user", text="I am allergic to peanuts.")
    client.ingest(user_id="ada", thread_id="t1", session_id="s", role="user", text="Good evening, what is for dinner?")
    known, said = memory.get("Am I allergic to something, peanuts perhaps?")
    assert known.role == MessageRole.SYSTEM and "allergic to peanuts" in known.content
    assert said.content == "Good evening, what is for dinner?"
    assert "client" not in memory.model_dump()


def test_llamaindex_block(client):
    """In LlamaIndex's own memory: takes what leaves the short-term memory, and gives what is known."""
    from llama_index.core.llms import ChatMessage
    from llama_index.core.memory import Memory
    from mindcore.llamaindex import MindcoreMemoryBlock
    block = MindcoreMemoryBlock(client=client, user_id="ada", thread_id="t1")

    async def talk():
        memory = Memory.from_defaults(session_id="t1", token_limit=60, token_flush_size=10,
                                      chat_history_token_ratio=0.5, memory_blocks=[block],
                                      tokenizer_fn=lambda text: text.split())
        for number in range(12):
            await memory.aput(ChatMessage(role="user", content=f"Parcel number {number} for the house in Lisbon is late."))
        return await memory.aget()

    messages = asyncio.run(talk())
    assert ("user", "Parcel number 0 for the house in Lisbon is late.") in thread(client)
    assert "Lisbon" in messages[0].content and messages[0].role == "system"
    assert len(messages) < 12


# ---- OpenAI ----

@pytest.fixture
def services():
    with ModelServer() as server:
        yield server
        assert server.errors == []


@pytest.fixture
def chat(client):
    from mindcore.openai import ChatMemory
    return ChatMemory(client, user_id="ada", thread_id="t1")


def sdk(services, kind="OpenAI"):
    import openai
    return getattr(openai, kind)(api_key="sk-test", base_url=services.url, max_retries=0)


def test_openai_context(client, chat, services):
    client.ingest(user_id="ada", thread_id="earlier", session_id="s", role="user", text="I am allergic to peanuts.")
    messages = [{"role": "system", "content": "You cook."}, {"role": "user", "content": "Is a peanuts sauce good for me?"}]
    answer = chat.create(sdk(services), model="scripted", messages=messages)
    assert answer.choices[0].message.content == "You said: Is a peanuts sauce good for me?"
    instructions, known, question = services.requests[-1].body["messages"]
    assert [instructions, question] == messages and len(messages) == 2
    assert known["role"] == "system" and "I am allergic to peanuts." in known["content"]
    assert thread(client) == [("user", "Is a peanuts sauce good for me?"),
                              ("assistant", "You said: Is a peanuts sauce good for me?")]


def test_openai_without_blocking(client, chat, services):
    answer = asyncio.run(chat.create_async(sdk(services, "AsyncOpenAI"), model="scripted",
                                           messages=[{"role": "user", "content": "Good evening, I am Ada."}]))
    assert thread(client) == [("user", "Good evening, I am Ada."), ("assistant", answer.choices[0].message.content)]


def test_openai_stores_each_side_once(client, chat, services):
    """A conversation that is sent whole each time, with a tool in it."""
    messages = [{"role": "user", "content": "How warm is it?"}]
    chat.create(sdk(services), model="scripted", messages=messages)
    messages += [{"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "21 degrees"}]
    chat.create(sdk(services), model="scripted", messages=messages)
    assert thread(client) == [("user", "How warm is it?"), ("assistant", "You said: How warm is it?"),
                              ("tool", "21 degrees"), ("assistant", "You said: How warm is it?")]


def test_openai_parts(client, chat, services):
    chat.create(sdk(services), model="scripted", messages=[{"role": "user", "content": [
        {"type": "text", "text": "What is"}, {"type": "text", "text": "this?"},
        {"type": "image_url", "image_url": {"url": "data:x"}}]}])
    assert thread(client)[0] == ("user", "What is\nthis?")


def test_openai_failure_stores_nothing(client, chat, services):
    import openai
    services.script(Status(500))
    with pytest.raises(openai.InternalServerError):
        chat.create(sdk(services), model="scripted", messages=[{"role": "user", "content": "Hello there, it is me."}])
    assert thread(client) == []


def test_openai_refusals(chat, services):
    with pytest.raises(ValueError, match='none of them has the role "user"'):
        chat.create(sdk(services), model="scripted", messages=[{"role": "system", "content": "Hi."}])
    with pytest.raises(ValueError, match="stream"):
        chat.create(sdk(services), model="scripted", messages=[{"role": "user", "content": "Hi."}], stream=True)
    assert services.requests == []


def test_openai_stream(client, chat):
    """What the caller does around an answer in pieces."""
    asked = chat.add_context([{"role": "user", "content": "Where is order ORD-7, please?"}])
    assert asked[-1] == {"role": "user", "content": "Where is order ORD-7, please?"}
    chat.store("Where is order ORD-7, please?", "On its way.")
    assert thread(client) == [("user", "Where is order ORD-7, please?"), ("assistant", "On its way.")]


# ---- Only what is used is imported ----

@pytest.mark.parametrize(("module", "package"), [("langchain", "langchain-core"), ("llamaindex", "llama-index-core"),
                                                 ("openai", "openai")])
def test_missing_package_is_named(module, package):
    """Also by mindcore.openai, which has the name of what it imports."""
    hidden = {"langchain": "langchain_core", "llamaindex": "llama_index", "openai": "openai"}[module]
    program = (f"import sys, mindcore; sys.modules[{hidden!r}] = None\n"
               f"assert not [name for name in sys.modules if name.startswith('mindcore.{module}')]\n"
               f"try: import mindcore.{module}\nexcept ImportError as error: print(error)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == f"mindcore.{module} needs the package {package}: pip install {package}\n"
