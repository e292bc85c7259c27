"""Small requests of clients that speak HTTP/2, in streams of few connections."""

from ..context import Context, alternate
from ..load import Sample
from ..peers import Peer
from ..table import Column, Table

TITLE = "HTTP/2"
TEXT = (
    "The same chat and answer as in `small`, of clients that speak HTTP/2 without TLS, several streams a connection; to "
    "the origin each proxy speaks HTTP/1.1. `h2load`, a closed loop; every status and every byte of the answers is "
    "counted. “Its HTTP/1.1” is the CPU of as many connections of HTTP/1.1, by the same program in the same rounds."
)
COLUMNS = [
    Column("cpu", "CPU s per 100,000", "s", ratio=True),
    Column("plain", "its HTTP/1.1", "s", ratio=True),
    Column("per_s", "requests/s", "1/s"),
    Column("memory", "memory", "MB"),
]
ANSWER_BYTES = 600
BODY = '{"model":"bench","messages":[{"role":"user","content":"%s"}]}' % ("x" * 140)


def run(ctx: Context) -> list[Table]:
    body = ctx.folder / "chat.json"
    body.write_text(BODY)
    tables = []
    with ctx.origin_running(answer_bytes=ANSWER_BYTES), ctx.running(ctx.peers(wanted=lambda peer: peer.http2)) as peers:
        for connections, streams in ((4, 8), (1, 32), (32, 8)):
            table = Table(f"{connections} connection{'s' * (connections > 1)} of {streams} streams", COLUMNS)
            once = Case(ctx, table, body, connections, streams).once
            alternate(peers, ctx.pick(2, 7), once)
            tables.append(table)
    return tables


class Case:
    def __init__(self, ctx: Context, table: Table, body, connections: int, streams: int):
        self.ctx, self.table, self.body = ctx, table, body
        self.connections, self.streams = connections, streams

    def once(self, peer: Peer, number: int) -> None:
        for figure in ("cpu", "plain"):
            sample = self.load(peer, http2=figure == "cpu")
            if not self.table.judge(peer, sample) or not sample.summary["answered"]:
                continue
            self.table.add(peer, number, **{figure: sample.cpu_s / sample.summary["answered"] * 100_000})
            if figure == "cpu":
                memory = peer.process.memory_kb()["pss_kb"] / 1024
                self.table.add(peer, number, per_s=sample.summary["per_s"], memory=memory)

    def load(self, peer: Peer, http2: bool) -> Sample:
        connections, streams = (self.connections, self.streams) if http2 else (self.connections * self.streams, 1)
        arguments = ["-t", 1, "-n", self.ctx.pick(8_000, 40_000), "-c", connections, "-m", streams, "-d", self.body]
        return self.ctx.h2load(peer, ANSWER_BYTES, *arguments, "-H", "content-type: application/json", http2=http2)
