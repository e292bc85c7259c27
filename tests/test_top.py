"""`conclave top` as its user has it: in a terminal, live, and once in a pipe."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from types import SimpleNamespace

import pyte
import pytest

from harness.conclave import binary
from harness.mapping import keyed
from harness.process import free_port
from harness.watched import Sim, Up

KEY = "sk-on-top"


@pytest.fixture(scope="module")
def planes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("top")
    sim = Sim(folder, "tiny", "--prefill-rate", 0, "--decode-rate", 0)
    up = Up(folder, {"alice.yml": keyed("alice", KEY, sim.url)}, {"routing": {"heartbeat_interval": 1}})
    assert up.chat("tiny", key=KEY).status_code == 200
    yield SimpleNamespace(up=up, flags=["--edge-admin", up.admin, "--aggregator", up.aggregator, "--interval", "0.2"])
    up.stop()
    sim.stop()


class Terminal:
    """A terminal of its own, and what stands on it."""

    def __init__(self, flags, lines=30, columns=110, environment=None):
        self.screen = pyte.Screen(columns, lines)
        self.stream, self.raw = pyte.ByteStream(self.screen), b""
        self.master, self.slave = pty.openpty()
        self.size(lines, columns)
        self.before = termios.tcgetattr(self.slave)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONCLAVE_")}
        self.child = subprocess.Popen(
            [str(binary()), "top", *flags], stdin=self.slave, stdout=self.slave, stderr=self.slave,
            env={**inherited, "TERM": "xterm-256color", **(environment or {})}, start_new_session=True,
        )

    def size(self, lines, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, lines, columns):
        self.screen.resize(lines, columns)
        self.size(lines, columns)
        self.child.send_signal(signal.SIGWINCH)

    @property
    def text(self):
        return "\n".join(self.screen.display)

    def read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            piece = os.read(self.master, 65_536)
            self.raw += piece
            self.stream.feed(piece)

    def until(self, *words, seconds=30):
        deadline = time.monotonic() + seconds
        while not all(word in self.text for word in words):
            assert self.child.poll() is None, self.text
            assert time.monotonic() < deadline, f"{words} did not appear:\n{self.text}"
            self.read(0.2)

    def press(self, keys):
        os.write(self.master, keys)

    def ends(self, seconds=30):
        deadline = time.monotonic() + seconds
        while self.child.poll() is None:
            assert time.monotonic() < deadline, "it goes on"
            self.read(0.1)
        self.read(0)
        return self.child.returncode

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal():
    opened = []

    def start(*arguments, **options):
        opened.append(Terminal(*arguments, **options))
        return opened[-1]

    yield start
    for each in opened:
        each.close()


def test_it_shows_sorts_resizes_and_gives_the_terminal_back(planes, terminal):
    shown = terminal(planes.flags)
    shown.until("edge up · aggregator up", "SERVER", "KEY", "alice", "sort: now")
    shown.press(b"s")
    shown.until("sort: req/s")
    shown.resize(12, 70)
    shown.until("alice", "q quit")
    assert planes.up.chat("tiny", key=KEY).status_code == 200
    shown.press(b"q")
    assert shown.ends() == 0
    assert b"\x1b[?1049h" in shown.raw and shown.raw.rstrip().endswith(b"\x1b[?25h"), "its screen is left, its cursor back"
    assert shown.raw.rfind(b"\x1b[?1049l") > shown.raw.rfind(b"\x1b[?1049h")
    assert termios.tcgetattr(shown.slave) == shown.before


@pytest.mark.parametrize("end", ["escape", "control-c", "SIGTERM"])
def test_it_ends_as_a_terminal_program_does(planes, terminal, end):
    shown = terminal(planes.flags)
    shown.until("q quit")
    if end == "SIGTERM":
        shown.child.terminate()
    else:
        shown.press({"escape": b"\x1b", "control-c": b"\x03"}[end])
    assert shown.ends() == 0
    assert termios.tcgetattr(shown.slave) == shown.before


def test_a_plane_that_is_away_is_said_to_be(planes, terminal):
    shown = terminal(["--edge-admin", f"http://127.0.0.1:{free_port()}", *planes.flags[2:]])
    shown.until("edge cannot be reached · aggregator up", "SERVER")
    shown.press(b"q")
    assert shown.ends() == 0


def once(flags):
    return subprocess.run([str(binary()), "top", *flags], capture_output=True, text=True, timeout=60)


def test_in_a_pipe_it_prints_plain_text(planes):
    for flags in (planes.flags, [*planes.flags, "--once"]):
        done = once(flags)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("edge up · aggregator up\n") and "\x1b" not in done.stdout
        # Its server may have a row that begins so, too; keys come behind servers.
        row = [line.split() for line in done.stdout.splitlines() if line.startswith("alice ")][-1]
        assert row[1:3] == ["0", "0"] and int(row[3]) >= 1, done.stdout
        assert KEY not in done.stdout


def test_where_nobody_is_it_says_so_and_fails():
    nowhere = f"http://127.0.0.1:{free_port()}"
    done = once(["--edge-admin", nowhere, "--aggregator", nowhere, "--interval", "0.1", "--once"])
    assert done.returncode == 1
    assert done.stdout.startswith("edge cannot be reached · aggregator cannot be reached\n")
    assert "no address" in once(["--edge-admin", "nonsense"]).stderr
