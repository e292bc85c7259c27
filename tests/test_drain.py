"""Signals: SIGTERM finishes what has begun, a second one does not wait, SIGHUP reads again."""

import json
import signal
import socket
import time

import pytest

from harness.conclave import drop_in
from harness.crowd import Streams
from harness.mapping import keyed
from harness.process import eventually

# Of `crowded`.
KEYS = {"alice": "key-of-alice", "bob": "key-of-bob"}


def streams(loop, edge):
    """Three of alice's and one of bob's."""
    opened = [Streams(loop, edge.address, KEYS[name]).open(count) for name, count in [("alice", 3), ("bob", 1)]]
    for one in opened:
        one.await_words(1)
    return opened


def refuses(edge):
    try:
        socket.create_connection(edge.address, timeout=5).close()
    except ConnectionRefusedError:
        return True


def test_sigterm_finishes_every_stream_and_says_what_it_waits_for(loop, server, crowded):
    edge = crowded()
    opened = streams(loop, edge)
    edge.process.child.send_signal(signal.SIGTERM)
    eventually(lambda: refuses(edge), what="a closed door")
    assert edge.operator.get("/ready").status_code == 503, "who asks is told that it drains"
    for one in opened:
        one.await_words(3)
    eventually(lambda: "draining: waiting for" in edge.process.output, 30, what="a line of the log")
    line = next(line for line in edge.process.output.splitlines() if "draining: waiting for" in line)
    assert "4 exchanges" in line and '"alice": 3, "bob": 1' in line and "the oldest" in line, line
    server.finish()
    for one in opened:
        one.await_end()
    assert edge.process.child.wait(20) == 0


def test_the_drain_time_out_cuts_and_says_so(loop, server, crowded):
    edge = crowded("--drain-timeout", "1")
    opened = streams(loop, edge)
    began = time.monotonic()
    edge.process.child.send_signal(signal.SIGTERM)
    assert edge.process.child.wait(30) == 1 and time.monotonic() - began >= 1
    assert "cut" in edge.process.output
    eventually(lambda: sum(len(one.faults) for one in opened) == 4, what="four cut streams")


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_does_not_wait(loop, server, crowded, second):
    edge = crowded()
    streams(loop, edge)
    edge.process.child.send_signal(signal.SIGTERM)
    eventually(lambda: refuses(edge), what="a closed door")
    assert edge.process.child.poll() is None
    # What is no stop changes nothing.
    edge.process.child.send_signal(signal.SIGHUP)
    edge.process.child.send_signal(second)
    assert edge.process.child.wait(10) == 1
    assert "stopped a second time" in edge.process.output


def test_sighup_reads_mappings_again_and_opens_the_log_anew(server, crowded, tmp_path):
    log = tmp_path / "access.log"
    edge = crowded("--access-log", log, "--mappings-poll", "3600")

    def ask(key):
        headers = {"Authorization": f"Bearer {key}"}
        return edge.http.post("/v1/chat/completions", json={"model": "m"}, headers=headers).status_code

    assert ask(KEYS["alice"]) == 200
    eventually(lambda: log.read_text().count("\n") == 1, what="a line")
    log.rename(tmp_path / "access.log.1")
    drop_in(edge.mappings, "carol.yml", keyed("carol", "key-of-carol", server.url))
    edge.process.child.send_signal(signal.SIGHUP)
    eventually(lambda: ask("key-of-carol") == 200 and log.exists() and log.read_text(), 20, "a new key and a new log")
    assert all(json.loads(line)["status"] in (200, 401) for line in log.read_text().splitlines())
    assert edge.process.child.poll() is None
