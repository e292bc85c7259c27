"""Mapping files come, change, break and go under 64 busy connections: no request of a key that stays fails."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field

import pytest

from harness.conclave import binary, drop_in
from harness.mapping import keyed
from harness.process import Process

CONNECTIONS = 64
TAKES_EFFECT_SECONDS = 0.25
STEADY = "STEADY-KEY"
ANSWER_TOKENS = 8


@pytest.fixture
def sims(tmp_path):
    """Two look-alikes of llama-server, slow enough that a stream is always under way on every connection."""
    started = []
    for name in ("a", "b"):
        process = Process(
            [binary("conclave-sim", "CONCLAVE_SIM_BIN"), "--listen", "127.0.0.1:0", "--model", name,
             "--slots", CONNECTIONS, "--decode-rate", 60, "--prefill-rate", 0, "--answer-tokens", ANSWER_TOKENS],
            tmp_path / f"sim-{name}.log",
        )
        started.append(process)
    yield [process.until(lambda p=process: "listening http" in p.output and p.output.split()[1]) for process in started]
    for process in started:
        process.stop()


class Client:
    """One connection, kept as long as both ends keep it."""

    def __init__(self, address):
        self.address, self.writer = address, None

    async def ask(self, key, method="GET", path="/v1/models", body=b""):
        """Sends one request; returns its status and its whole body."""
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(*self.address)
        self.writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if "transfer-encoding: chunked" in head:
            answer = await self.read_chunks()
        else:
            length = int(head.split("content-length:")[1].split("\r\n")[0])
            answer = await self.reader.readexactly(length)
        if "connection: close" in head:
            self.close()
        return int(head.split(" ", 2)[1]), answer

    async def read_chunks(self):
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")
        return body

    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.writer = None


@dataclass
class Tally:
    finished: int = 0
    failures: list = field(default_factory=list)
    delays: list = field(default_factory=list)


async def keep_asking(address, number, tally, stop):
    stream = number % 2 == 0
    body = json.dumps({"messages": [{"role": "user", "content": f"hello {number}"}], "stream": stream}).encode()
    client = Client(address)
    while not stop.is_set():
        try:
            status, answer = await client.ask(STEADY, "POST", "/v1/chat/completions", body)
            whole = answer.rstrip().endswith(b"data: [DONE]") if stream else "choices" in json.loads(answer)
            if status == 200 and whole:
                tally.finished += 1
            else:
                tally.failures.append((number, status, answer[-200:]))
        except (OSError, EOFError, ValueError) as error:
            tally.failures.append((number, repr(error)))
            client.close()
    client.close()


async def until_answered(client, key, wanted, tally, what):
    begun = time.monotonic()
    while (status := (await client.ask(key))[0]) != wanted:
        if time.monotonic() - begun > 5:
            tally.failures.append((what, f"{key} still gets {status}"))
            return
        await asyncio.sleep(0.005)
    tally.delays.append((time.monotonic() - begun, what))


async def churn(address, folder, urls, reloads, tally):
    """Each round is five changes of the folder."""
    client = Client(address)
    for round_ in range(reloads // 5):
        name, first, second = f"guest-{round_}", f"GUEST-{round_}-1", f"GUEST-{round_}-2"
        drop_in(folder, f"{name}.yml", keyed(name, first, urls[0]))
        await until_answered(client, first, 200, tally, "added")
        drop_in(folder, f"{name}.yml", keyed(name, second, urls[1]))
        await until_answered(client, second, 200, tally, "changed")
        if (await client.ask(first))[0] != 401:
            tally.failures.append(("changed", "the old key still works"))
        # The steady key's own file changes its server under the requests in flight.
        drop_in(folder, "steady.yml", keyed("steady", STEADY, urls[round_ % 2]))
        drop_in(folder, f"{name}.yml", "http:\n  routers: [broken\n")
        for _ in range(5):
            if (await client.ask(second))[0] != 200:
                tally.failures.append(("broken", "the last good content is gone"))
        (folder / f"{name}.yml").unlink()
        await until_answered(client, second, 401, tally, "removed")
    client.close()


async def scenario(address, folder, urls, reloads):
    tally, stop = Tally(), asyncio.Event()
    workers = [asyncio.create_task(keep_asking(address, n, tally, stop)) for n in range(CONNECTIONS)]
    try:
        await churn(address, folder, urls, reloads, tally)
    finally:
        stop.set()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.gather(*workers), 30)
    return tally


@pytest.mark.parametrize("reloads", [50, pytest.param(1000, marks=pytest.mark.full)])
def test_no_request_fails(start_edge, sims, reloads):
    drop_in(start_edge.mappings, "steady.yml", keyed("steady", STEADY, sims[0]))
    edge = start_edge()
    tally = asyncio.run(scenario(edge.address, edge.mappings, sims, reloads))

    slowest = sorted(tally.delays)[-3:]
    print(f"{tally.finished} answers, {len(tally.delays)} changes seen, slowest {slowest}")
    assert tally.failures == []
    assert tally.finished > CONNECTIONS
    assert len(tally.delays) == reloads // 5 * 3
    assert slowest[-1][0] < TAKES_EFFECT_SECONDS
    assert edge.health()["mappings"]["reloads"] >= reloads * 0.6, "the edge did reload"
