"""One API over many backends: `/v1/chat/completions` through the aggregator, beside LiteLLM's proxy."""

from ..context import Context
from ..peers import Conclave, Peer, Setup, Unavailable
from ..peers.conclave import Direct
from ..peers.gateways import LiteLlm
from ..table import Table
from .requests import COLUMNS, Plan

TITLE = "One API over many backends"
TEXT = (
    "The aggregator's `/v1/chat/completions`, where a model's name chooses the backend, beside LiteLLM's proxy and the "
    "same backend: a chat of 200 bytes, an answer of 600 bytes, 32 connections, no keys on Conclave's side. “Conclave, "
    "edge” is the keyed edge in the same run: what choosing by the model costs more. “Stored” has every exchange in a journal "
    "and from there in SQLite, searchable, as a `config.yaml` has it that says nothing about it; the others keep nothing. "
    "Latencies as in `small`."
)
CONFIG = """server: {{ host: 127.0.0.1 }}
backends:
  - {{ name: origin, type: openai, url: "http://127.0.0.1:{port}", models: [{model}] }}
response_storage: {{ enabled: {stores} }}
"""
MODEL = "bench"
CONNECTIONS = 32


class Router(Peer):
    name, program, title = "conclave", "conclave", "Conclave"
    stores = False

    def binary(self) -> str:
        return self.environment["conclave"]

    def prepare(self, setup: Setup) -> None:
        (setup.folder / "mappings").mkdir()
        config = CONFIG.format(port=setup.origin_port, model=MODEL, stores=str(self.stores).lower())
        (setup.folder / "config.yaml").write_text(config)

    def command(self, setup: Setup) -> list[str]:
        return [
            self.binary(), "aggregator",
            "--config", str(setup.folder / "config.yaml"),
            "--mappings", str(setup.folder / "mappings"),
            "--port", str(setup.port),
            "--log-level", "WARNING",
        ]  # fmt: skip


class Storing(Router):
    name, title = "conclave-stored", "Conclave, stored"
    stores = True


class Edge(Conclave):
    name, title = "conclave-edge", "Conclave, edge"


def run(ctx: Context) -> list[Table]:
    peers: list[Peer] = [peer(ctx.cores, ctx.programs) for peer in (Direct, Router, Storing, Edge, LiteLlm)]
    for peer in list(peers):
        try:
            peer.binary()
        except Unavailable as error:
            ctx.missing[peer.title] = str(error)
            peers.remove(peer)
    table = Table(f"{CONNECTIONS} connections", COLUMNS)
    with ctx.origin_running(answer_bytes=600), ctx.running(peers) as running:
        Plan(
            ctx,
            table,
            running,
            lambda peer: ["--connections", CONNECTIONS, "--answer-bytes", 600],
            rounds=ctx.pick(2, 5),
            duration=ctx.pick(0.5, 2.0),
            slow_rounds=ctx.pick(1, 2),
        ).run()
    return [table]
