"""What systemd sees and gives: notifications, sockets that are open before the service, and the units themselves."""

import os
import shutil
import signal
import socket
import subprocess
import sys

import httpx
import pytest

from harness.conclave import ROOT, Aggregator, answers, binary
from harness.crowd import Loop, Requests, Server
from harness.lineage import Lineage
from harness.mapping import keyed
from harness.process import Process, eventually, free_port

KEY = "key-of-services"
UNITS = ROOT / "scripts" / "systemd"
# A service manager in short: the sockets become descriptors 3 and following, and the process is told that they are its own.
GIVE = """
import fcntl, os, sys
names, fds, command = sys.argv[1], [int(fd) for fd in sys.argv[2].split(",")], sys.argv[3:]
high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
for number, fd in enumerate(high):
    os.dup2(fd, 3 + number)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


class Manager:
    """The receiving end of NOTIFY_SOCKET."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(20)
        self.heard = []
        self.environment = {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": "1000000"}

    def until(self, line):
        """What was said up to a line that begins so."""
        while not any(said.startswith(line) for said in self.heard):
            self.heard += self.socket.recv(4096).decode().splitlines()
        heard, self.heard = self.heard, []
        return heard


@pytest.fixture
def manager(tmp_path):
    manager = Manager(tmp_path)
    yield manager
    manager.socket.close()


def given(listeners, names, command, log, environment=None):
    command = [sys.executable, "-c", GIVE, names, ",".join(str(one.fileno()) for one in listeners), *command]
    with open(log, "ab") as output:
        return subprocess.Popen(
            [str(part) for part in command], pass_fds=[one.fileno() for one in listeners], stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "CONCLAVE_STATE": "none", **(environment or {})})


def listener():
    return socket.create_server(("127.0.0.1", 0), backlog=1024)


def test_an_edge_says_what_it_does(tmp_path, manager):
    os.environ |= manager.environment
    try:
        line = Lineage(tmp_path)
    finally:
        for name in manager.environment:
            del os.environ[name]
    try:
        assert "STATUS=Serving" in manager.until("READY=1")
        manager.until("WATCHDOG=1")
        line.youngest.child.send_signal(signal.SIGHUP)
        heard = manager.until("RELOADING=1") + manager.until("READY=1")
        assert any(said.startswith("MONOTONIC_USEC=") and int(said.split("=")[1]) > 0 for said in heard), heard
        successor = line.upgrade()
        manager.until(f"MAINPID={successor.child.pid}")
        assert line.processes[0].child.wait(30) == 0
        line.terminate()
        # The first one's farewell may come before.
        heard = []
        while sum(said == "STOPPING=1" for said in heard) < 1:
            heard += manager.until("STOPPING=1")
        assert any(said.startswith("STATUS=Draining") for said in heard + manager.heard), heard
        line.await_ends()
    finally:
        line.stop()


def test_an_aggregator_says_what_it_does(tmp_path, manager):
    (tmp_path / "mappings").mkdir()
    aggregator = Aggregator(tmp_path / "mappings", tmp_path, environment=manager.environment)
    manager.until("READY=1")
    manager.until("WATCHDOG=1")
    aggregator.process.child.send_signal(signal.SIGHUP)
    manager.until("RELOADING=1")
    manager.until("READY=1")
    assert aggregator.stop() == 0
    manager.until("STOPPING=1")


def test_sockets_that_were_there_before_refuse_nobody_while_the_edge_restarts(tmp_path):
    (tmp_path / "mappings").mkdir()
    log = tmp_path / "edge.log"
    with Loop() as loop, listener() as clear, listener() as admin:
        server = Server(loop)
        (tmp_path / "mappings" / "a.yml").write_text(keyed("a", KEY, server.url))
        # Who comes before the service waits.
        early = Requests(loop, clear.getsockname(), KEY, clients=4, keep=False)
        # The addresses that are typed are not those that are given: names say what the sockets are for.
        command = [binary(), "edge", "--listen", f"127.0.0.1:{free_port()}", "--admin", "127.0.0.1:1",
                   "--aggregator", "none", "--mappings", tmp_path / "mappings"]
        for _ in range(3):
            process = given([clear, admin], "http:admin", command, log)
            try:
                early.await_answers(50)
                with httpx.Client(base_url="http://%s:%d" % admin.getsockname()) as operator:
                    assert answers(operator, "/ready")
            finally:
                process.terminate()
            assert process.wait(30) == 0
        assert not early.faults


def test_a_socket_that_nothing_is_configured_for_is_a_plain_error(tmp_path):
    (tmp_path / "mappings").mkdir()
    log = tmp_path / "edge.log"
    with listener() as clear:
        command = [binary(), "edge", "--listen", "127.0.0.1:0", "--admin", "none", "--aggregator", "none",
                   "--mappings", tmp_path / "mappings"]
        assert given([clear], "mail", command, log).wait(30) == 1
        assert "127.0.0.1:%d" % clear.getsockname()[1] in log.read_text() and "FileDescriptorName=" in log.read_text()
        with listener() as other:
            command = [binary(), "aggregator", "--mappings", tmp_path / "mappings"]
            assert given([clear, other], "a:b", command, log).wait(30) == 1
            assert "was given 2" in log.read_text()


def test_an_aggregator_listens_where_it_is_told_to(tmp_path):
    (tmp_path / "mappings").mkdir()
    with listener() as clear, httpx.Client(base_url="http://127.0.0.1:%d" % clear.getsockname()[1]) as client:
        command = [binary(), "aggregator", "--mappings", tmp_path / "mappings"]
        process = given([clear], "", command, tmp_path / "aggregator.log")
        eventually(lambda: answers(client, "/v1/models"), 30)
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd is not installed")
def test_systemd_s_own_socket_activation(tmp_path):
    (tmp_path / "mappings").mkdir()
    port = free_port()
    process = Process(
        ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", "--fdname=http", "-E", "CONCLAVE_STATE=none",
         binary(), "edge", "--admin", "none", "--aggregator", "none", "--mappings", tmp_path / "mappings"],
        tmp_path / "edge.log")
    try:
        process.until(lambda: "Listening on" in process.output)
        reply = httpx.get(f"http://127.0.0.1:{port}/v1/chat/completions", timeout=30)
        assert reply.status_code == 401, "the edge that the connection started answers it"
    finally:
        assert process.stop() == 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path):
    # The check wants the programs; those of the units are where a machine has them installed.
    for unit in [*UNITS.glob("*.service"), *UNITS.glob("*.socket")]:
        text = unit.read_text()
        for program in ("conclave", "llama-server", "create-mapping.sh"):
            text = text.replace(f"/usr/local/bin/{program}", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    units = sorted(tmp_path.iterdir())
    instances = [str(unit).replace("@.", "@model.") for unit in units]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *instances], capture_output=True, text=True, timeout=60)
    about_ours = [line for line in done.stderr.splitlines() if any(unit.stem.split("@")[0] in line for unit in units)]
    assert not about_ours, done.stderr
    for name, most in [("conclave-edge.service", 1.5), ("conclave-aggregator.service", 2.2)]:
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", str(tmp_path / name)],
                              capture_output=True, text=True, timeout=60)
        overall = next(line for line in done.stdout.splitlines() if "Overall exposure" in line)
        assert float(overall.split(":")[1].split()[0]) <= most, done.stdout
