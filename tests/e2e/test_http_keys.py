"""Keys of the database: what each may do on each route, over HTTP, on another server, and what is noted of it."""

import contextlib
import datetime
import http.client
import json
import socket
import ssl
import subprocess

import pytest

from conftest import SLOWNESS, Http, Server, message, wait_until

# What each route is asked with; {user} is somebody else's.
BODIES = {
    "ingestMessages": lambda user: message("hello", user_id=user),
    "assembleContext": lambda user: {"user_id": user, "thread_id": "t", "query": "hello"},
    "patchPreferences": lambda user: {"language": "de"},
    "registerAgent": lambda user: {"agent_id": "a", "name": "A"},
    "createKey": lambda user: {"name": "k", "scopes": ["admin"]},
    "invalidateCache": lambda user: {"user_id": user},
    "migrateTiers": lambda user: {"user_id": user},
}
QUERIES = {"search": {"q": "hello"}}
OPEN = {"health", "live", "ready", "openapi", "page", "dashboardScript", "dashboardStyle", "dashboardIcon"}
ADMIN = {"eraseUser", "registerAgent", "unregisterAgent", "listKeys", "createKey", "revokeKey", "retryJobs",
         "purgeJobs", "invalidateCache", "migrateTiers",
         "listTierRuns", "undoTiers"}
WRITE = {"ingestMessages", "patchPreferences", "applySignals", "deleteMessage"}


def make_key(cli, db, *args):
    return cli("keys", "create", "--name", "n", "--db", db, "--json", *args, status=0).json["key"]


def scopes(*names):
    return [word for name in names for word in ("--scope", name)]


@contextlib.contextmanager
def client(server, key, known=True):
    """One that sends the key, once the server knows it."""
    http_client = server.client(headers={"Authorization": f"Bearer {key}"})
    try:
        if known:
            wait_until(lambda: http_client.get("/v1/nothing").status == 404, what="the new key")
        yield http_client
    finally:
        http_client.close()


def operations(server):
    for path, methods in server.http.get("/openapi.json").json["paths"].items():
        for method, operation in methods.items():
            yield operation["operationId"], method.upper(), path


def ask(http_client, name, method, path, user, message_id):
    path = path.replace("{user_id}", user).replace("{message_id}", message_id)
    path = path.replace("{thread_id}", "t").replace("{agent_id}", "a").replace("{key_id}", "0" * 12)
    body = BODIES[name](user) if name in BODIES else None
    return http_client.request(method, path, body=body, query=QUERIES.get(name))


@pytest.fixture
def keyed(make_server, cli, db):
    """A server whose database has an administrator's key."""
    root = make_key(cli, db, *scopes("admin"))
    server = make_server(db=db)
    server.http.headers["Authorization"] = f"Bearer {root}"
    return server


def store(server, user, text="hello, where is my order"):
    stored = server.http.post("/v1/messages", message(text, user_id=user, thread_id="t"))
    assert stored.status == 201, stored
    return stored.json["message_id"]


def test_no_route_gives_another_users_data(keyed, cli, db):
    """Nor lets it be changed: with a key bound to a user, everything that names another is refused."""
    secret = store(keyed, "bob", "bob's secret is 0451")
    asked = set()
    with client(keyed, make_key(cli, db, *scopes("read", "write"), "--user", "ann")) as ann:
        for name, method, path in operations(keyed):
            answer = ask(ann, name, method, path, "bob", secret)
            assert "0451" not in answer.body.decode(), name
            if name not in OPEN:
                assert answer.status in (403, 404), (name, answer)
            asked.add(name)
        assert asked >= set(BODIES) | set(QUERIES) | OPEN | ADMIN | WRITE, "the lists above name routes that exist"
        lines = [message("mine", user_id="ann"), message("not mine", user_id="bob"), message("mine too", user_id="ann")]
        bulk = ann.request("POST", "/v1/messages", "\n".join(map(json.dumps, lines)),
                           headers={"Content-Type": "application/x-ndjson"})
        assert (bulk.status, bulk.json["stored"]) == (200, 2), bulk
        assert [(line["line"], line["field"]) for line in bulk.json["refused"]] == [(2, "user_id")]
        twice = ann.request("POST", "/v1/messages", '{"user_id": "ann", "user_id": "bob", "thread_id": "t",'
                            ' "session_id": "s", "role": "user", "text": "x"}',
                            headers={"Content-Type": "application/json"})
        assert twice.status == 400, "a member that is given twice is no way round"
    found = keyed.http.get(f"/v1/messages/{secret}").json
    assert found["raw_text"] == "bob's secret is 0451"
    assert [m["raw_text"] for m in keyed.http.get("/v1/users/bob/threads/t/messages").json["messages"]] == \
        ["bob's secret is 0451"]


def test_a_bound_key_serves_its_user(keyed, cli, db):
    with client(keyed, make_key(cli, db, *scopes("read", "write"), "--user", "ann")) as ann:
        stored = ann.post("/v1/messages", message("hello", user_id="ann"))
        assert stored.status == 201
        own = stored.json["message_id"]
        for name, method, path in operations(keyed):
            if "{user_id}" in path and name not in ADMIN or name in ("getMessage", "assembleContext"):
                assert ask(ann, name, method, path, "ann", own).status == 200, name
        assert ann.delete(f"/v1/messages/{own}").status == 204


@pytest.mark.parametrize("held", ["read", "write", "admin"])
def test_scopes(keyed, cli, db, held):
    own = store(keyed, "ann")
    with client(keyed, make_key(cli, db, *scopes(held))) as holder:
        for name, method, path in operations(keyed):
            if name in OPEN:
                continue
            needed = "admin" if name in ADMIN else "write" if name in WRITE else "read"
            answer = ask(holder, name, method, path, "ann", own)
            if held in (needed, "admin"):
                assert answer.status in (200, 201, 204, 404), (name, answer)
            else:
                assert answer.status == 403 and needed in answer.json["detail"], (name, answer)


def test_agents(make_server, cli, db):
    config = "multi_agent: {enabled: true}\n"
    server = make_server(db=db, config=config)
    for agent in ("sales", "support"):
        assert server.http.post("/v1/agents", {"agent_id": agent, "name": agent}).status == 201
    said = server.http.post("/v1/messages", message("of sales", agent_id="sales")).json
    option = ["--option", "multi_agent.enabled=true"]
    key = make_key(cli, db, *scopes("read", "write"), "--agent", "support", *option)
    path = f"/v1/users/{said['user_id']}/threads/{said['thread_id']}/messages"
    with client(server, key) as support:
        # The server had no key when it started: from now on it wants one.
        wait_until(lambda: server.client().get(path).status == 401, what="the server that asks for keys")
        assert support.get(path).status == 403
        assert support.get(path, query={"agent_id": "sales"}).status == 403
        assert support.get(path, query={"agent_id": "support"}).json["messages"] == []
        assert support.post("/v1/messages", message("as sales", agent_id="sales")).status == 403
        assert support.post("/v1/messages", message("as none")).status == 403
        assert support.post("/v1/messages", message("as support", agent_id="support")).status == 201
        # What all agents share takes no agent_id: it may be read, and is changed with keys that are not bound to agents.
        user = f"/v1/users/{said['user_id']}"
        for refused in (support.patch(f"{user}/preferences", {"language": "de"}), support.post(f"{user}/preferences/apply", {})):
            assert refused.status == 403 and "what all agents share" in refused.json["detail"], refused
        assert support.get(f"{user}/preferences").json["language"] is None
        assert support.get(f"{user}/preferences/signals").status == support.get(f"{user}/threads").status == 200
        assert support.get(f"{user}/export").status == 403, "which takes one"
        assert support.get(f"{user}/export", query={"agent_id": "support"}).status == 200
    both = make_key(cli, db, *scopes("write"), "--agent", "support", "--user", said["user_id"], *option)
    with client(server, both) as of_user:
        assert of_user.patch(f"{user}/preferences", {"language": "de"}).json["language"] == "de"
        assert of_user.patch("/v1/users/another/preferences", {"language": "de"}).status == 403
    refused = cli("keys", "create", "--name", "n", "--scope", "read", "--agent", "x", "--db", db, status=1)
    assert "set multi_agent.enabled: true, or leave the agents (--agent) out" in refused.err
    server.stop()
    # Where nothing keeps agents apart the key would read what they keep from each other.
    without = Server(server.folder, db=db)
    with without, client(without, key, known=False) as support:
        for answer in (support.get(path, query={"agent_id": "support"}), support.get(path), support.get(f"{user}/export"),
                       support.post("/v1/messages", message("as support", agent_id="support"))):
            assert answer.status == 401 and "set multi_agent.enabled: true" in answer.json["detail"], answer


def test_revoking_counts_on_every_server(keyed, cli, db, tmp_path):
    made = keyed.http.post("/v1/keys", {"name": "web", "scopes": ["read"]})
    assert made.status == 201 and made.json["key"].startswith("mc_" + made.json["key_id"])
    (tmp_path / "second").mkdir()
    with Server(tmp_path / "second", db=db) as second, client(keyed, made.json["key"]) as here, \
            client(second, made.json["key"]) as there:
        assert here.get("/v1/status").status == there.get("/v1/status").status == 200
        listed = keyed.http.get("/v1/keys").json["keys"]
        assert made.json["key_id"] in [key["key_id"] for key in listed] and made.json["key"] not in json.dumps(listed)
        assert keyed.http.delete(f"/v1/keys/{made.json['key_id']}").status == 204
        assert here.get("/v1/status").status == 401
        wait_until(lambda: there.get("/v1/status").status == 401, what="the other server that knows it")
        assert keyed.http.delete(f"/v1/keys/{made.json['key_id']}").status == 404
        cli("keys", "revoke", cli("keys", "list", "--db", db, "--json").json["keys"][0]["key_id"], "--db", db, status=0)
        wait_until(lambda: keyed.http.get("/v1/status").status == 401, what="the server without its last key: closed")
    assert made.json["key"] not in keyed.stderr, "no key in the log"


@contextlib.contextmanager
def open_stream(server, key):
    """A stream of messages whose first 256 lines are stored; gives what sends the next lines, and ends it."""
    def lines(first, count):
        return b"".join(json.dumps(message("hello", message_id=f"s{number}")).encode() + b"\n"
                        for number in range(first, first + count))

    def chunk(data):
        return b"%x\r\n%s\r\n" % (len(data), data)

    def finish(first, count):
        connection.sendall(chunk(lines(first, count)) + b"0\r\n\r\n")
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        return answer, json.loads(answer.read())

    with socket.create_connection(("127.0.0.1", server.port), timeout=60 * SLOWNESS) as connection:
        connection.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
                           b"Authorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n" % key.encode() +
                           chunk(lines(0, 256)))
        wait_until(lambda: server.http.get("/v1/messages/s255").status == 200, what="the first lines")
        yield finish


@pytest.mark.parametrize("elsewhere", [False, True], ids=["here", "by another process"])
def test_a_revoked_key_stores_no_more_lines(keyed, cli, db, elsewhere):
    """Nor on a stream that was open before."""
    made = keyed.http.post("/v1/keys", {"name": "import", "scopes": ["write", "read"]}).json
    with client(keyed, made["key"]) as holder, open_stream(keyed, made["key"]) as finish:
        if elsewhere:
            cli("keys", "revoke", made["key_id"], "--db", db, status=0)
        else:
            assert keyed.http.delete(f"/v1/keys/{made['key_id']}").status == 204
        wait_until(lambda: holder.get("/v1/messages/s0").status == 401, what="the server that knows it")
        answer, problem = finish(256, 300)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), problem
    assert problem["detail"] == "256 lines were stored, line 257 and what follows were not: the API key was revoked"
    assert keyed.http.get("/v1/messages/s256").status == 404
    metrics = keyed.http.get("/metrics").json
    assert 'mindcore_http_rejected_total{reason="auth"} 0' not in metrics


def test_a_good_key_stores_all_lines(keyed, cli, db):
    """Also when other keys come and go meanwhile."""
    key = make_key(cli, db, *scopes("write"))
    with client(keyed, key), open_stream(keyed, key) as finish:
        other = keyed.http.post("/v1/keys", {"name": "other", "scopes": ["write"]}).json["key_id"]
        assert keyed.http.delete(f"/v1/keys/{other}").status == 204
        answer, value = finish(256, 300)
    assert (answer.status, value["stored"]) == (200, 556), value


def test_a_key_of_its_own_rate(keyed, cli, db):
    with client(keyed, make_key(cli, db, *scopes("read"), "--rate-limit", "1")) as slow:
        statuses = [slow.get("/v1/queue").status for _ in range(20)]
    assert 200 in statuses and 429 in statuses
    assert keyed.http.get("/v1/queue").status == 200, "others are not slowed down"


def test_keys_cannot_be_tried_out_fast(make_server, cli, db):
    make_key(cli, db, *scopes("admin"))
    server = make_server(db=db, config="server: {rate_limit: 1}\n")
    with client(server, "mc_" + 12 * "0" + "_" + 48 * "0", known=False) as guesser:
        statuses = {guesser.get("/v1/queue").status for _ in range(40)}
    assert statuses == {401, 429}


def test_beyond_loopback_with_a_stored_key(make_server, cli, db):
    key = make_key(cli, db, *scopes("admin"))
    server = make_server(db=db, listen="0.0.0.0")
    assert server.http.get("/v1/status").status == 401
    with client(server, key) as owner:
        key_id = owner.get("/v1/keys").json["keys"][0]["key_id"]
        assert owner.delete(f"/v1/keys/{key_id}").status == 204
        assert owner.get("/v1/status").status == 401, "without its last key it is closed, not open"


def audit_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_audit(make_server, cli, db, tmp_path):
    path = tmp_path / "audit.jsonl"
    noted = {"MINDCORE_LOGGING_AUDIT": str(path)}
    key = cli("keys", "create", "--name", "n", "--scope", "admin", "--db", db, "--json", env=noted, status=0).json
    server = make_server(db=db, env=noted)
    with client(server, key["key"]) as owner:
        owner.post("/v1/messages", message("hello", user_id="ann"))
        owner.get("/v1/status")
        receipt = owner.delete("/v1/users/ann")
    assert server.client().delete("/v1/users/bob").status == 401
    made, erased, refused = audit_lines(path)  # each is noted before its answer
    assert (made["act"], made["result"], made["from"]) == ("keys create", "done", "command line") and made["who"]
    assert made["target"] == key["key_id"]
    assert (erased["act"], erased["result"], erased["target"], erased["who"], erased["from"]) == \
        ("eraseUser", "done", "/v1/users/ann", key["key_id"], "127.0.0.1")
    assert erased["request_id"] == receipt.headers["x-request-id"]
    assert datetime.datetime.fromisoformat(erased["time"].replace("Z", "+00:00"))
    assert (refused["act"], refused["result"], "who" in refused) == ("eraseUser", "refused", False)
    assert key["key"] not in path.read_text()
    nowhere = cli("erase", "--user", "ann", "--yes", "--db", db, status=1,
                  env={"MINDCORE_LOGGING_AUDIT": str(tmp_path / "no" / "file")})
    assert "logging.audit" in nowhere.err, "nothing is done that cannot be noted"


def test_memory_is_bounded(make_server):
    """Bodies that together are more than server.max_memory are not taken, and the server goes on."""
    server = make_server(config="server: {max_memory: 1MiB, max_body: 900KiB, max_connections_per_address: 0}\n")
    body = json.dumps(message("x" * 90000)).encode()
    held = []
    for _ in range(24):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.putrequest("POST", "/v1/messages")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:-1])
        held.append(connection)
    def refused():
        return server.client().post("/v1/messages", message("z" * 90000)).status == 503
    wait_until(refused, what="a request that is refused")
    for connection in held:
        connection.close()
    wait_until(lambda: server.client().post("/v1/messages", message("z" * 90000)).status == 201, what="room again")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


def test_tls(make_server, certificate):
    cert, key = certificate
    trusting = ssl.create_default_context(cafile=cert)
    server = make_server(config=f"server: {{tls_cert: '{cert}', tls_key: '{key}', max_body: 4KiB}}\n", tls=trusting)
    wait_until(lambda: "https://" in server.stdout, what="the welcome")
    assert server.http.post("/v1/messages", message("hello", user_id="ann")).status == 201
    assert "hello" in server.http.get("/v1/users/ann/export").body.decode()
    assert server.http.post("/v1/messages", message("x" * 10000)).status == 413
    old = ssl.create_default_context(cafile=cert)
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    for context in (ssl.create_default_context(), old, None):  # who does not know it, speaks too old a version, or none
        with contextlib.closing(Http("localhost", server.port, tls=context)) as stranger, \
                pytest.raises((OSError, http.client.HTTPException)):
            stranger.get("/live")
    assert server.http.get("/live").status == 200


@pytest.mark.parametrize(("options", "named"), [
    ({"tls_cert": "cert"}, "server.tls_key"), ({"tls_key": "key"}, "server.tls_cert"),
    ({"tls_cert": "none", "tls_key": "key"}, "server.tls_cert"), ({"tls_cert": "cert", "tls_key": "cert"}, "server.tls_key"),
    ({"tls_cert": "/dev/null", "tls_key": "key"}, "server.tls_cert"),
])
def test_tls_that_cannot_be(cli, db, certificate, options, named):
    files = {"cert": certificate[0], "key": certificate[1]}
    args = [word for name, value in options.items() for word in ("--option", f"server.{name}={files.get(value, value)}")]
    refused = cli("serve", "--db", db, "--listen", "127.0.0.1:0", *args, status=1)
    assert named in refused.err
