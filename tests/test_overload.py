"""Past its bounds an edge refuses, quickly and politely; what is in goes on, and room that comes back is used."""

import os
import resource
import socket
import subprocess
import time

import httpx
import pytest

from harness.crowd import Server, Streams
from harness.mapping import keyed, mapping
from harness.process import eventually

KEY = "key-of-overload"
# Of `crowded`.
KEYS = {"a": KEY}
TICKS = os.sysconf("SC_CLK_TCK")
# A bound of the product's; a loaded machine's pauses are the test's own.
RECOVERS_WITHIN_S = 5


def descriptors(edge, most):
    """Bounds the open files of a process that runs, as `prlimit --pid` does; no `most` gives all back."""
    pid = edge.process.child.pid
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard if most is None else most, hard))


def open_files(edge):
    return len(os.listdir(f"/proc/{edge.process.child.pid}/fd"))


def cpu_s(edge):
    fields = open(f"/proc/{edge.process.child.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def ask(edge, seconds=30):
    return httpx.post(f"{edge.url}/v1/chat/completions", json={"model": "m"}, timeout=seconds,
                      headers={"Authorization": f"Bearer {KEY}", "Connection": "close"})


def outcome(edge):
    try:
        answer = ask(edge)
    except httpx.TransportError:
        return "closed"
    if answer.status_code == 503:
        assert int(answer.headers["retry-after"]) > 0 and answer.json()["error"]["code"], answer.text
    return answer.status_code


def recovers(edge):
    began = time.monotonic()
    eventually(lambda: outcome(edge) == 200, RECOVERS_WITHIN_S, "an answer")
    return time.monotonic() - began


def test_out_of_descriptors_it_sheds_and_serves_on_and_recovers(loop, server, crowded):
    edge = crowded("--connections-max", "100000")
    held = Streams(loop, edge.address, KEY).open(10)
    held.await_words(1)
    assert outcome(edge) == 200
    for room in (0, 12):
        descriptors(edge, open_files(edge) + room)
        idle, outcomes = [], []
        for _ in range(60):
            try:
                idle.append(socket.create_connection(edge.address, timeout=30))
            except OSError:
                outcomes.append("closed")
        before, began = cpu_s(edge), time.monotonic()
        while time.monotonic() - began < 1 or len(outcomes) < 4:
            outcomes.append(outcome(edge))
        used, passed = cpu_s(edge) - before, time.monotonic() - began
        assert set(outcomes) <= {503, "closed"}, outcomes
        held.await_words(2)
        # An edge that spins uses all of a processor.
        assert used < passed / 2, f"{used:.2f} s of CPU in {passed:.2f} s"
        for one in idle:
            one.close()
        descriptors(edge, None)
        print(f"{room} left: {outcomes.count(503)} of {len(outcomes)} told, recovered within {recovers(edge):.1f} s")
    assert edge.process.child.poll() is None
    server.finish()
    held.await_end()


def test_at_a_process_s_start_the_limit_is_kept_too(loop, server, crowded, monkeypatch):
    popen = subprocess.Popen

    def bounded(command, **options):
        return popen(["prlimit", "--nofile=300:300", *command], **options)

    monkeypatch.setattr(subprocess, "Popen", bounded)
    edge = crowded()
    monkeypatch.undo()
    held = Streams(loop, edge.address, KEY).open(10)
    held.await_words(1)
    # (300 - 256) / 2 connections are let in.
    idle = [socket.create_connection(edge.address, timeout=30) for _ in range(60)]
    assert eventually(lambda: outcome(edge) == 503, 10, "a refusal")
    held.await_words(2)
    for one in idle:
        one.close()
    recovers(edge)
    server.finish()
    held.await_end()


def test_at_the_bound_of_memory_it_sheds_and_serves_on_and_recovers(loop, server, crowded, tmp_path):
    # Such a rule wants the whole body before it is decided.
    rule = "Key(`key-of-bodies`) && Model(`m`)"
    (tmp_path / "mappings" / "b.yml").write_text(mapping("b", rule, server.url))
    first = crowded()
    resident_mib = resident(first) >> 20
    edge = crowded("--memory-max-mib", str(resident_mib + 40))
    held = Streams(loop, edge.address, KEY).open(10)
    held.await_words(1)
    assert outcome(edge) == 200
    uploads = [upload(edge, 12 << 20) for _ in range(8)]
    eventually(lambda: outcome(edge) == 503, 20, "a refusal")
    held.await_words(2)
    for one in uploads:
        one.close()
    print(f"recovered within {recovers(edge):.1f} s")
    held.await_words(1)
    server.finish()
    held.await_end()


def resident(edge):
    return int(open(f"/proc/{edge.process.child.pid}/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def upload(edge, size):
    """All but the last byte of a body."""
    upload = socket.create_connection(edge.address, timeout=30)
    head = ("POST /v1/chat/completions HTTP/1.1\r\nHost: edge\r\nAuthorization: Bearer key-of-bodies\r\n"
            f"Content-Type: application/json\r\nContent-Length: {size}\r\n\r\n")
    upload.sendall(head.encode() + b'{"model": "m", "x": "' + b"x" * (size - 100))
    return upload


@pytest.mark.full
def test_ten_thousand_idle_streams_cost_at_most_64_kib_each(loop, crowded, tmp_path):
    """Idle: each waits for its next word, which does not come while memory is read."""
    most, hard = 64 << 10, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Two files a stream, for the edge and for this process, and some for all else.
    count = min(10_000, hard // 2 - 1000)
    if count < 5000:
        pytest.skip(f"a limit of {hard} open files is too low")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = Server(loop, pace=3600)
    (tmp_path / "mappings" / "a.yml").write_text(keyed("a", KEY, server.url))
    edge = crowded("--threads", "2")
    warm = Streams(loop, edge.address, KEY).open(100)
    warm.await_words(1)
    before = resident(edge)
    held = Streams(loop, edge.address, KEY)
    for opened in range(0, count, 500):
        held.open(min(500, count - opened))
        eventually(lambda: held.faults or all(held.words), 120, "a word on each stream")
        assert not held.faults, held.faults[:5]
    each = (resident(edge) - before) / count
    print(f"{count} idle streams: {each / 1024:.1f} KiB each")
    assert server.streams == count + 100 and each <= most
    server.finish()
    held.await_end()
