"""2,000 clients that trickle their headers, their bodies, or take their answers byte by byte (slowhttptest).

What others feel of it is compared with an edge beside it that nobody attacks, on the same machine at the same time of
its load: in turn, the attack goes to the one and to the other, and both times the first one's latency is taken. So what
slowhttptest itself costs the machine is in both.
"""

import shutil
import socket
import statistics
import subprocess
import time

import pytest

from harness.mapping import keyed
from harness.process import eventually
from harness.steady import Steady

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not shutil.which("slowhttptest"), reason="slowhttptest is missing: apt-get install slowhttptest"),
]
CONNECTIONS = 2000
# Long enough for the attack to be there as a whole while the first of its connections still lives.
DEADLINE_SECONDS = 15
ROUNDS = 3
REQUESTS = 1500
# A held connection may cost a task, a socket and one read of 32 KiB.
MEMORY_BYTES_MAX = CONNECTIONS * 64 * 1024
REQUEST = b"GET /v1/x HTTP/1.1\r\nHost: edge\r\nx-api-key: API_KEY-1\r\n\r\n"

OPEN = """
http:
  routers:
    slow: {rule: 'Path(`/slow`) || Path(`/large`)', service: slow}
  services:
    slow: {loadBalancer: {servers: [{url: "%s"}]}}
"""

MODES = {
    "header": ["-H", "-i", "1", "-t", "GET", "-x", "24", "-u", "/slow"],
    "body": ["-B", "-i", "1", "-s", "100000", "-t", "POST", "-x", "10", "-u", "/slow"],
    "read": ["-X", "-n", "2", "-w", "10", "-y", "20", "-z", "5", "-t", "GET", "-u", "/large"],
}


@pytest.fixture
def edges(start_edge):
    quick, slow = Steady(), Steady()
    (start_edge.mappings / "key.yml").write_text(keyed("one", "API_KEY-1", quick.url))
    (start_edge.mappings / "open.yml").write_text(OPEN % slow.url)
    flags = ["--head-timeout", DEADLINE_SECONDS, "--client-timeout", DEADLINE_SECONDS, "--connections-max", 8000]
    yield start_edge(*flags), start_edge(*flags)
    quick.stop()
    slow.stop()


@pytest.mark.parametrize("mode", MODES)
def test_others_do_not_feel_it_and_it_ends(edges, mode):
    measured, beside = edges
    before = resident_bytes(measured)
    quiet, attacked, held, largest = [], [], [], 0
    for _ in range(ROUNDS):
        for victim, taken in ((beside, quiet), (measured, attacked)):
            attack = start(mode, victim)
            # It has its connections once a good part of them is there; some are closed while others come.
            eventually(lambda: connections(victim) > CONNECTIONS / 2, 60, "the attack", interval=0.05)
            taken.append(p99(measured))
            if victim is measured:
                held.append(connections(measured))
                largest = max(largest, resident_bytes(measured))
            begun = time.monotonic()
            attack.wait(120)
            eventually(lambda: connections(victim) <= 2, 3 * DEADLINE_SECONDS, "every connection's end", interval=0.05)
            assert time.monotonic() - begun < 120
    ratio = statistics.median(attacked) / statistics.median(quiet)
    figures = (f"{mode}: p99 {statistics.median(attacked) * 1e3:.2f} ms attacked, {statistics.median(quiet) * 1e3:.2f} ms "
               f"beside it, ratio {ratio:.2f}; held {min(held):.0f} to {max(held):.0f}; "
               f"memory {(largest - before) / 2**20:.0f} MiB more")
    print(figures)
    assert largest - before < MEMORY_BYTES_MAX, figures
    assert ratio < 1.2, figures


def start(mode, edge):
    *flags, path = MODES[mode]
    return subprocess.Popen(
        ["slowhttptest", "-c", str(CONNECTIONS), "-r", "1000", "-l", str(3 * DEADLINE_SECONDS), "-p", "10", "-v", "0",
         *flags, edge.url + path],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )


def p99(edge):
    """Of one key's requests, one after the other on one connection."""
    took = []
    with socket.create_connection(edge.address, timeout=30) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(REQUESTS):
            begun = time.perf_counter()
            client.sendall(REQUEST)
            answer = b""
            while not answer.endswith(b"ok"):
                piece = client.recv(4096)
                assert piece, "a client who does nothing wrong is let go"
                answer += piece
            took.append(time.perf_counter() - begun)
    return sorted(took)[len(took) * 99 // 100]


def connections(edge):
    lines = edge.operator.get("/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("conclave_edge_connections "))


def resident_bytes(edge):
    with open(f"/proc/{edge.process.child.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
