"""
A chat service whose memory is Mindcore, on aiohttp: every call of the memory is awaited, none holds up the others.

    pip install aiohttp
    python web_service.py 8080
    curl -s localhost:8080/users/ada/threads/t1 -d 'Where is my order ORD-48213?'
    curl -s localhost:8080/users/ada/threads/t1

POST stores what was said and answers with what is known about it, ready for a prompt; GET gives the thread.
"""

import sys
from typing import AsyncIterator, Awaitable, Callable

from aiohttp import web

from mindcore import AsyncMindcoreClient, MindcoreError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MEMORY = web.AppKey("memory", AsyncMindcoreClient)


async def say(request: web.Request) -> web.Response:
    memory = request.app[MEMORY]
    user_id, thread_id = request.match_info["user"], request.match_info["thread"]
    text = await request.text()
    context = await memory.get_context(user_id, thread_id, text, max_tokens=2000)
    message = await memory.ingest(user_id, thread_id, thread_id, "user", text)
    return web.json_response({"message_id": message.message_id, "context": context.assembled_context}, status=201)


async def read(request: web.Request) -> web.Response:
    memory = request.app[MEMORY]
    messages = await memory.get_recent_messages(request.match_info["user"], request.match_info["thread"], limit=50)
    return web.json_response({"messages": [message.to_dict() for message in messages]})


@web.middleware
async def explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except MindcoreError as error:
        status = 400 if isinstance(error, ValueError) else 503
        return web.json_response({"error": str(error)}, status=status)


async def open_memory(app: web.Application) -> AsyncIterator[None]:
    async with AsyncMindcoreClient() as memory:
        app[MEMORY] = memory
        yield


def make_app() -> web.Application:
    app = web.Application(middlewares=[explain_errors])
    app.cleanup_ctx.append(open_memory)
    app.router.add_post("/users/{user}/threads/{thread}", say)
    app.router.add_get("/users/{user}/threads/{thread}", read)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=int(sys.argv[1]))
