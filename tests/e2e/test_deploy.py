"""What deploy/ holds, against the programs it is for: systemd, nginx, PgBouncer; images and manifests by their structure."""

import contextlib
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from conftest import PROGRAM, ROOT, SANITIZER, Server, environment, free_port, message, wait_until
from postgres import PASSWORD, USER, Postgres, find_bouncer, find_postgres

DEPLOY = ROOT / "deploy"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")

once = pytest.mark.skipif(bool(SANITIZER), reason="does not run the program: once is enough")


# ---- systemd ----

UNIT = DEPLOY / "systemd" / "mindcore.service"


def unit_settings(name):
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(encoding="utf-8"), re.M)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_the_unit_is_valid_and_tight(tmp_path):
    text = UNIT.read_text(encoding="utf-8").replace("/usr/local/bin/mindcore", str(PROGRAM))
    unit = tmp_path / "mindcore.service"
    unit.write_text(text, encoding="utf-8")
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr
    # In tenths; 10.0 is no protection at all.
    rated = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", unit], capture_output=True,
                           text=True, check=False)
    assert rated.returncode == 0, rated.stdout[-2000:]


def test_the_unit_starts_the_program(tmp_path):
    """With its command and its environment, in its folders; SIGTERM ends it in the time that the unit gives."""
    folders = {"%S": tmp_path / "state", "%C": tmp_path / "cache"}
    ports = {"127.0.0.1:8000": free_port(), "127.0.0.1:9464": free_port()}
    variables = dict(line.split("=", 1) for line in unit_settings("Environment"))
    for name, value in variables.items():
        for sign, folder in folders.items():
            value = value.replace(sign, str(folder))
        variables[name] = f"127.0.0.1:{ports[value]}" if value in ports else value
    (folders["%S"] / "mindcore").mkdir(parents=True)
    (folders["%C"] / "mindcore").mkdir(parents=True)
    command = shlex.split(unit_settings("ExecStart")[0].replace("/usr/local/bin/mindcore", str(PROGRAM)))
    server = Server(tmp_path)
    server.port, server.env = ports["127.0.0.1:8000"], variables
    server.command = lambda: command
    server.folder = folders["%S"] / "mindcore"
    with server:
        assert server.http.post("/v1/messages", message("hello")).status == 201
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", ports["127.0.0.1:9464"], timeout=30)) as client:
            client.request("GET", "/metrics")
            assert b"mindcore_messages_ingested_total 1" in client.getresponse().read()
    assert (folders["%S"] / "mindcore" / "mindcore.db").exists() and any((folders["%C"] / "mindcore").iterdir())


# ---- PgBouncer ----

@pytest.mark.skipif(not find_postgres() or not find_bouncer(), reason="no PostgreSQL or PgBouncer")
def test_pgbouncer(tmp_path):
    """The sample, with only addresses and places of the test: the server stores and reads through it."""
    postgres = Postgres(find_postgres()).start()
    try:
        name = postgres.create()
        text = (DEPLOY / "pgbouncer" / "pgbouncer.ini").read_text(encoding="utf-8")
        port = free_port()
        users = postgres._write("sample-users.txt", f'"{USER}" "{PASSWORD}"\n')
        for old, new in {"port=5432 dbname=mindcore": f"port={postgres.port} dbname={name}",
                         "listen_port = 6432": f"listen_port = {port}",
                         "unix_socket_dir = /run/postgresql": "unix_socket_dir =",
                         "/etc/pgbouncer/userlist.txt": str(users)}.items():
            assert old in text
            text = text.replace(old, new)
        path = postgres._write("sample.ini", text)
        postgres.bouncer = postgres._spawn("sample", find_bouncer(), path)
        url = postgres.url("mindcore", port=port)
        wait_until(lambda: postgres._psql(url, "SELECT 1").returncode == 0, 30, "PgBouncer: " + postgres.log("sample"))
        with Server(tmp_path, db=url, args=["-o", "database.pgbouncer=true"]) as server:
            assert server.http.post("/v1/messages", message("Where is my refund?", message_id="m1")).status == 201
            server.drain()
            assert server.http.get("/v1/messages/m1").json["enrichment_state"] == "enriched"
        assert "WARNING" not in postgres.log("sample") and "ERROR" not in postgres.log("sample")
    finally:
        postgres.stop()


# ---- nginx ----

class Nginx:
    """
    The sample in a folder of the test's, with a certificate of its own, in front of a server; with a tenth of its rates,
    so that one client exceeds them on a slow machine, too.
    """

    def __init__(self, folder, server):
        self.folder = folder
        self.port, plain = free_port(), free_port()
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
                        "/CN=mindcore.example", "-keyout", folder / "privkey.pem", "-out", folder / "fullchain.pem"],
                       check=True, capture_output=True)
        text = (DEPLOY / "nginx" / "mindcore.conf").read_text(encoding="utf-8")
        for old, new in {"server 127.0.0.1:8000": f"server 127.0.0.1:{server.port}", "/etc/ssl/mindcore": str(folder),
                         "rate=100r/s": "rate=10r/s", "rate=50r/s": "rate=5r/s", "listen 80;": f"listen 127.0.0.1:{plain};", "    listen [::]:80;\n": "",
                         "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
                         "    listen [::]:443 ssl http2;\n": ""}.items():
            assert old in text, old
            text = text.replace(old, new)
        places = " ".join(f"{name}_temp_path {folder}/{name};" for name in
                          ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # As root nginx would serve as www-data, which may not enter the folder of a test.
        owner = "user root;" if os.geteuid() == 0 else ""
        self.path = folder / "nginx.conf"
        self.path.write_text(f"{owner} daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log "
                             f"info;\nevents {{}}\nhttp {{ access_log off; {places}\n{text}\n}}\n", encoding="utf-8")
        self.process = None

    def check(self):
        done = subprocess.run([NGINX, "-t", "-q", "-e", self.folder / "error.log", "-c", self.path], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and not done.stderr, done.stderr

    def __enter__(self):
        self.process = subprocess.Popen([NGINX, "-e", str(self.folder / "error.log"), "-c", str(self.path)], stdin=subprocess.DEVNULL, env=environment())
        wait_until(self._answers, 20, "nginx")
        return self

    def _answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def connect(self):
        context = ssl.create_default_context(cafile=self.folder / "fullchain.pem")
        context.check_hostname = False
        return contextlib.closing(http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=60))


@pytest.mark.skipif(not NGINX or not shutil.which("openssl"), reason="no nginx")
def test_nginx(tmp_path, make_server):
    folder = tmp_path / "nginx"
    folder.mkdir()
    key = {"Authorization": "Bearer key-of-sixteen-or-more"}
    server = make_server(config="server: {api_keys: [key-of-sixteen-or-more]}\n", headers=key)
    nginx = Nginx(folder, server)
    nginx.check()
    with nginx, nginx.connect() as client:
        client.request("POST", "/v1/messages", json.dumps(message("hello")), {**key, "Content-Type": "application/json"})
        answer = client.getresponse()
        assert (answer.status, json.load(answer)["user_id"]) == (201, "u1")
        assert answer.headers["Strict-Transport-Security"] and answer.headers["X-Request-Id"]
        client.request("GET", "/v1/status")
        answer = client.getresponse()
        assert (answer.status, answer.read() != b"") == (401, True), "nobody gets in without a key"
        lines = "".join(json.dumps(message(f"number {i}", thread_id="t2")) + "\n" for i in range(20000))
        assert len(lines) > 1.5 * 1024 * 1024, "more than client_max_body_size"
        client.request("POST", "/v1/messages", lines, {**key, "Content-Type": "application/x-ndjson"})
        answer = client.getresponse()
        assert (answer.status, json.load(answer)["created"]) == (200, 20000)
        client.request("GET", "/v1/users/u1/export", headers=key)
        answer = client.getresponse()
        assert answer.status == 200 and len(answer.read().splitlines()) >= 20001
        client.request("POST", "/v1/context", "x" * (1024 * 1024 + 1), {**key, "Content-Type": "application/json"})
        answer = client.getresponse()
        assert (answer.status, answer.read() != b"") == (413, True)
    with nginx, nginx.connect() as client:
        statuses = []
        while 429 not in statuses and len(statuses) < 20000:
            client.request("GET", "/v1/queue", headers=key)
            with client.getresponse() as answer:
                statuses.append(answer.status)
                answer.read()
        assert statuses[:100] == [200] * 100 and statuses[-1] == 429, "a burst is served, a flood is not"
        number = 0
        while number < 20000:
            number += 1
            client.request("GET", "/v1/queue", headers={"Authorization": f"Bearer guess-{number}"})
            with client.getresponse() as answer:
                answer.read()
                if answer.status == 429:
                    break
                assert answer.status == 401
        assert answer.status == 429, "nor is one of guesses"


# ---- Images ----

def instructions(path):
    """[(instruction, rest)] of a Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    return [line.split(None, 1) for line in text.splitlines() if line.strip() and not line.startswith("#")]


@once
@pytest.mark.parametrize("name", ["Dockerfile", "pgbouncer.Dockerfile"])
def test_images(name):
    steps = instructions(DEPLOY / "docker" / name)
    stages = [rest for word, rest in steps if word == "FROM"]
    assert all(stage.startswith("debian:12-slim") for stage in stages)
    final = steps[max(i for i, (word, _) in enumerate(steps) if word == "FROM"):]
    user = next(rest for word, rest in final if word == "USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "by number, so that Kubernetes can see that it is not root"
    assert [word for word, _ in final].count("ENTRYPOINT") == 1
    packages = re.findall(r"apt-get install -y --no-install-recommends (.*?) &&", " ".join(rest for _, rest in final))
    assert packages
    if shutil.which("apt-cache"):
        known = subprocess.run(["apt-cache", "show", *packages[0].split()], capture_output=True, text=True, check=False)
        assert known.returncode == 0, known.stderr


@once
def test_the_image_has_what_the_build_needs(tmp_path):
    """The tree that the Dockerfile copies is enough to set the build up, and every source it names is there."""
    steps = instructions(DEPLOY / "docker" / "Dockerfile")
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    kept = [line[1:] for line in ignored if line.startswith("!")]
    for word, rest in steps:
        if word != "COPY" or rest.startswith("--from"):
            continue
        *sources, target = rest.split()
        for source in sources:
            path = ROOT / source
            assert source.rstrip("/") in kept, f"{source} is in .dockerignore"
            place = tmp_path / target
            if path.is_dir():
                shutil.copytree(path, place, dirs_exist_ok=True)
            else:
                shutil.copy(path, place / path.name)
    run = next(rest for word, rest in steps if word == "RUN" and "setup-build" in rest).split("&&")
    assert "ninja -C build product" in run[1] and "meson install -C build" in run[2]
    done = subprocess.run(["sh", "-c", run[0]], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env=environment())
    assert done.returncode == 0, done.stdout + done.stderr
    plan = subprocess.run(["ninja", "-C", "build", "-n", "product"], cwd=tmp_path, capture_output=True, text=True,
                          check=False)
    assert plan.returncode == 0 and "Linking target mindcore" in plan.stdout, plan.stdout + plan.stderr


@once
def test_the_image_has_every_library():
    """What the program is linked with is what the last stage installs, llama.cpp's own and these packages' own aside."""
    readelf = subprocess.run(["readelf", "-d", PROGRAM], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"NEEDED.*\[(lib[\w+.-]+)\]", readelf)
    standard = re.compile(r"lib(c|m|gcc_s|llama|ggml.*|stdc\+\+|pthread)\.so")
    text = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8").rpartition("FROM ")[2]
    for library in needed:
        if standard.match(library):
            continue
        stem = re.match(r"lib([a-z0-9]+?)(?:-[\d.]+)?\.so\.(\d+)", library)
        assert re.search(rf"\blib{stem[1]}(?:-\d+)?(?:-)?{stem[2] if stem[1] not in ('pq', 'lmdb') else ''}", text), library


# ---- Kubernetes ----

def manifests():
    yaml = pytest.importorskip("yaml")
    folder = DEPLOY / "kubernetes"
    return {path.name: [doc for doc in yaml.safe_load_all(path.read_text(encoding="utf-8")) if doc]
            for path in sorted(folder.glob("*.yaml"))}


def objects(kind):
    return [doc for docs in manifests().values() for doc in docs if doc["kind"] == kind]


def test_every_manifest_is_listed():
    listed = (DEPLOY / "kubernetes" / "kustomization.yaml").read_text(encoding="utf-8")
    for name in manifests():
        assert name == "kustomization.yaml" or f"- {name}" in listed
    names = [(doc["kind"], doc["metadata"]["name"]) for docs in manifests().values() for doc in docs
             if doc["kind"] != "Kustomization"]
    assert len(names) == len(set(names))


def test_references_of_manifests():
    """Selectors find pods, ports have their names, volumes and keys exist."""
    deployments = {doc["metadata"]["name"]: doc["spec"] for doc in objects("Deployment")}
    ports = {}
    secret_keys = {key for doc in objects("Secret") for key in doc["stringData"]}
    maps = {doc["metadata"]["name"] for doc in objects("ConfigMap")}
    images = {image["name"] for image in manifests()["kustomization.yaml"][0]["images"]}
    for name, spec in deployments.items():
        pod = spec["template"]["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        assert pod["securityContext"]["runAsNonRoot"] and pod["automountServiceAccountToken"] is False
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for volume in volumes.values():
            assert volume.get("configMap", {}).get("name", name) in maps
            assert {item["key"] for item in volume.get("secret", {}).get("items", [])} <= secret_keys
        for container in pod["containers"]:
            assert container["image"] in images
            assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)
            assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                    "capabilities": {"drop": ["ALL"]}}
            assert {variable["valueFrom"]["secretKeyRef"]["key"] for variable in container.get("env", [])} <= secret_keys
            ports[name] = {port["name"]: port["containerPort"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                check = container.get(probe, {})
                assert (check.get("httpGet") or check.get("tcpSocket") or {"port": "http"})["port"] in {*ports[name], "http"}
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        for doc in objects(kind):
            spec = doc["spec"]
            selector = spec.get("podSelector") or spec["selector"]
            wanted = selector.get("matchLabels", selector)
            found = [name for name, deployment in deployments.items()
                     if wanted.items() <= deployment["template"]["metadata"]["labels"].items()]
            assert found == [doc["metadata"]["name"]], doc["metadata"]
            for port in spec.get("ports", []):
                assert port["targetPort"] in ports[found[0]]
    for doc in objects("HorizontalPodAutoscaler"):
        assert doc["spec"]["scaleTargetRef"]["name"] in deployments


def test_the_servers_of_manifests(cli, tmp_path):
    """The program takes the configuration, serves the probes, and every uid is the image's."""
    config = next(doc for doc in objects("ConfigMap") if doc["metadata"]["name"] == "mindcore")["data"]["mindcore.yaml"]
    (tmp_path / "mounted.yaml").write_text(config, encoding="utf-8")
    cli("config", "show", "--config", tmp_path / "mounted.yaml", env={"MINDCORE_DB_PASSWORD": "x", "MINDCORE_SERVER_API_KEYS": '["key-of-sixteen-or-more"]'}, status=0)
    for name, image in {"mindcore": "Dockerfile", "mindcore-pgbouncer": "pgbouncer.Dockerfile"}.items():
        spec = next(doc for doc in objects("Deployment") if doc["metadata"]["name"] == name)["spec"]["template"]["spec"]
        user = spec["securityContext"]
        steps = instructions(DEPLOY / "docker" / image)
        assert ["USER", f"{user['runAsUser']}:{user['runAsGroup']}"] in steps
    with Server(tmp_path) as server:
        for doc in objects("Deployment"):
            for container in doc["spec"]["template"]["spec"]["containers"]:
                for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                    if path := container.get(probe, {}).get("httpGet", {}).get("path"):
                        assert server.http.get(path).status == 200


def test_pools_fit_the_bouncer():
    """As many connections as the servers may ask for, PgBouncer takes; the manifest's settings are the sample's."""
    read = lambda text: dict(re.findall(r"^\s*(\w+) = (.*)$", text, re.M))
    sample = read((DEPLOY / "pgbouncer" / "pgbouncer.ini").read_text(encoding="utf-8"))
    config = next(doc for doc in objects("ConfigMap") if doc["metadata"]["name"] == "mindcore-pgbouncer")["data"]
    mounted = read(config["pgbouncer.ini"])
    assert set(mounted) - {"mindcore"} <= set(sample)
    assert mounted["pool_mode"] == sample["pool_mode"] == "transaction"
    most = max(doc["spec"]["maxReplicas"] for doc in objects("HorizontalPodAutoscaler"))
    server = next(doc for doc in objects("ConfigMap") if doc["metadata"]["name"] == "mindcore")["data"]["mindcore.yaml"]
    asked = sum(int(re.search(rf"{name}: (\d+)", server)[1]) for name in ("pool_size", "max_overflow")) + 1
    assert most * asked <= int(mounted["max_client_conn"])
