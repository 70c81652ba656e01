"""
A PostgreSQL server of the tests' own, in a temporary folder and on a free port, and a PgBouncer in transaction mode in
front of it. Both run without privileges and end with the tests, whatever becomes of these.
"""

import contextlib
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

from conftest import free_port, wait_until

USER = "mind"
PASSWORD = "p@ss/w0rd: 7%"

_prctl = ctypes.CDLL(None).prctl
_PR_SET_PDEATHSIG = 1


def other_user():
    """Who the programs run as, which do not run as root: options of subprocess."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    return None


def _end_with_the_tests():
    _prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def find_postgres():
    """The folder of initdb, postgres and psql; None where they are not installed."""
    debian = [f"/usr/lib/postgresql/{version}/bin" for version in (17, 16, 15, 14)]
    places = [os.environ.get("MINDCORE_TEST_POSTGRES"), *debian, "/usr/local/pgsql/bin", "/usr/bin"]
    found = (Path(place) for place in places if place)
    return next((place for place in found if (place / "initdb").exists() and (place / "psql").exists()), None)


def find_bouncer():
    return shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")


class Postgres:
    """start() and stop(); crash() and run() in between are `pg_ctl restart -m immediate` in two steps."""

    def __init__(self, binaries, **settings):
        self.binaries = binaries
        self.settings = {"listen_addresses": "127.0.0.1", "fsync": "off", "max_connections": 120,
                         "shared_buffers": "32MB", **settings}
        self.account = other_user()
        self.folder = Path(tempfile.mkdtemp(prefix="mindcore-pg-"))
        self.port = free_port()
        self.bouncer_port = None
        self.process = None
        self.bouncer = None
        self.databases = 0

    # ---- Processes ----

    def _options(self, log):
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {"cwd": self.folder, "env": {**surroundings, "LC_ALL": "C"}, "stdin": subprocess.DEVNULL,
                "stderr": subprocess.STDOUT, "stdout": log, **self.account}

    def _spawn(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            return subprocess.Popen([str(part) for part in command], preexec_fn=_end_with_the_tests,
                                    **self._options(log))

    def _write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        self.give_away(path, 0o600)
        return path

    def give_away(self, path, mode):
        path.chmod(mode)
        if self.account:
            os.chown(path, self.account["user"], self.account["group"])

    def log(self, name="postgres"):
        path = self.folder / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start(self):
        self.give_away(self.folder, 0o755)
        with open(self.folder / "initdb.log", "wb") as log:
            done = subprocess.run([self.binaries / "initdb", "-D", self.folder / "data", "-U", "postgres",
                                   "--auth-local=trust", "--auth-host=scram-sha-256", "-E", "UTF8", "--locale=C",
                                   "--no-sync", "--no-instructions"], check=False, **self._options(log))
        assert done.returncode == 0, self.log("initdb")
        self.run()
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
        return self

    def run(self):
        """Starts it again after crash(); returns when it answers."""
        self.process = self._spawn(
            "postgres", self.binaries / "postgres", "-D", self.folder / "data", "-k", self.folder, "-p", self.port,
            *(part for name, value in self.settings.items() for part in ("-c", f"{name}={value}")))
        wait_until(self._answers, 30, "PostgreSQL")

    def _answers(self):
        assert self.process.poll() is None, self.log()
        return self._psql("postgres", "SELECT 1").returncode == 0

    def crash(self):
        """As `pg_ctl stop -m immediate`: without a word to anybody."""
        self._end(self.process, signal.SIGQUIT)

    @staticmethod
    def _end(process, sig):
        process.send_signal(sig)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self):
        if self.bouncer:
            self._end(self.bouncer, signal.SIGTERM)
        if self.process:
            self._end(self.process, signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def start_bouncer(self, program):
        """In transaction mode, with a pool that is smaller than those of its clients."""
        self.bouncer_port = free_port()
        users = self._write("users.txt", f'"{USER}" "{PASSWORD}"\n')
        path = self._write("bouncer.ini", f"""
[databases]
* = host=127.0.0.1 port={self.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.bouncer_port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = 8
max_client_conn = 400
""")
        self.bouncer = self._spawn("bouncer", program, path)
        name = self.create()
        wait_until(lambda: self._bouncer_answers(name), 30, "PgBouncer")

    def _bouncer_answers(self, name):
        assert self.bouncer.poll() is None, self.log("bouncer")
        return self._psql(self.url(name, bouncer=True), "SELECT 1").returncode == 0

    # ---- Databases ----

    def create(self):
        """A new and empty database of the user; its name."""
        self.databases += 1
        name = f"memory{self.databases}"
        self.sql(f"CREATE DATABASE {name} OWNER {USER} ENCODING 'UTF8' TEMPLATE template0")
        return name

    def url(self, name, password=PASSWORD, port=None, bouncer=False):
        port = port or (self.bouncer_port if bouncer else self.port)
        return f"postgresql://{USER}:{urllib.parse.quote(password, safe='')}@127.0.0.1:{port}/{name}"

    def _psql_command(self, database):
        command = [str(self.binaries / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database]
        if "://" not in database:
            command += ["-h", str(self.folder), "-p", str(self.port), "-U", "postgres"]
        return command

    def _psql(self, database, sql):
        return subprocess.run([*self._psql_command(database), "-c", sql], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)

    def sql(self, sql, database="postgres"):
        """Carries out statements as the superuser. Gives the answer's lines, columns apart by '|'."""
        done = self._psql(database, sql)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    @contextlib.contextmanager
    def holding(self, sql, database):
        """A transaction that has carried out the statements and stays open."""
        process = subprocess.Popen(self._psql_command(database), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        try:
            process.stdin.write(f"BEGIN; {sql};\n\\echo held\n")
            process.stdin.flush()
            said = process.stdout.readline()
            assert said == "held\n", said
            yield
        finally:
            process.stdin.close()
            process.wait()
            process.stdout.close()
