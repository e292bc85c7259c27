"""What needs no key: `/v1/models` and `/stats`, beside the predecessor's own server."""

import contextlib

from ..context import Context, alternate, free_port, wait_for_port
from ..peers import Peer, Setup, Unavailable
from ..peers.conclave import mapping
from ..process import Process
from ..table import Column, Table

TITLE = "Models and statistics"
TEXT = (
    "The aggregator beside routheon-server, with the same mapping files and the same two simulated llama-servers;"
    " four connections, as many requests as go. The ratio of requests per CPU second is Conclave's over "
    "routheon-server's."
)
COLUMNS = [
    Column("per_cpu_s", "requests per CPU second", "1/s", ratio=True),
    Column("cpu", "CPU s per 100,000", "s"),
    Column("per_s", "requests/s", "1/s"),
    Column("p50", "p50", "ms"),
    Column("memory", "memory", "MB"),
]
SERVICE = """http:
  services:
    server-{number}:
      loadBalancer:
        servers:
          - url: "http://127.0.0.1:{port}"
"""


class Aggregator(Peer):
    """Either of them; both take the same flags."""

    backends: list[int] = []

    def prepare(self, setup: Setup) -> None:
        mappings = setup.folder / "mappings"
        mappings.mkdir()
        for number, port in enumerate(self.backends):
            routers = mapping([2 * number]).replace("service: origin", f"service: server-{number}")
            services = SERVICE.format(number=number, port=port).removeprefix("http:\n")
            (mappings / f"server-{number}.yml").write_text(routers + services)

    def flags(self, setup: Setup) -> list[str]:
        return ["--mappings", str(setup.folder / "mappings"), "--host", "127.0.0.1", "--port", str(setup.port)]

    def ask(self) -> int:
        wait_for_port(self.setup.port, 0.1)
        return 200


class OurAggregator(Aggregator):
    name, title = "conclave", "Conclave"

    def binary(self) -> str:
        return self.environment["conclave"]

    def command(self, setup: Setup) -> list[str]:
        return [self.binary(), "aggregator", *self.flags(setup)]


class RoutheonServer(Aggregator):
    name, title = "routheon-server", "routheon-server"

    def version(self) -> str:
        return "1.0.7"

    def command(self, setup: Setup) -> list[str]:
        return [self.binary(), *self.flags(setup)]


def run(ctx: Context) -> list[Table]:
    peers: list[Aggregator] = [OurAggregator(ctx.cores, ctx.programs), RoutheonServer(ctx.cores, ctx.programs)]
    try:
        peers[1].binary()
        ctx.versions["routheon-server"] = peers[1].version()
    except Unavailable as error:
        ctx.missing[peers[1].title] = str(error)
        del peers[1]
    tables = []
    with contextlib.ExitStack() as stack:
        backends = [stack.enter_context(simulator(ctx, name)) for name in ("TinyLlama_Chat", "mistral-tiny")]
        for peer in peers:
            peer.backends = backends
        running = stack.enter_context(ctx.running(peers))
        for path in ("/v1/models", "/stats"):
            table = Table(f"`{path}`", COLUMNS)
            alternate(running, ctx.pick(1, 3), lambda peer, number: once(ctx, table, peer, number, path))
            tables.append(table)
    return tables


def once(ctx: Context, table: Table, peer: Peer, number: int, path: str) -> None:
    # routheon-server's /stats takes more than a second each.
    duration = ctx.pick(2.5, 6)
    sample = ctx.load(
        peer, "requests", "--connections", 4, "--method", "GET", "--path", path, "--keyless", "--expect", "status",
        "--warmup", 0.5, "--duration", duration,
    )  # fmt: skip
    answered = sample.summary.get("answered")
    if table.judge(peer, sample) and answered:
        cpu_s = max(sample.cpu_s, 1e-3)
        table.add(
            peer,
            number,
            per_cpu_s=answered / cpu_s,
            cpu=cpu_s / answered * 100_000,
            per_s=sample.summary["per_s"],
            p50=sample.summary["latency"].get("p50_ms"),
            memory=peer.process.memory_kb()["pss_kb"] / 1024,
        )


@contextlib.contextmanager
def simulator(ctx: Context, model: str):
    """One simulated llama-server, never the one to close a connection."""
    port = free_port()
    process = Process(
        [
            ctx.programs["conclave-sim"], "--listen", f"127.0.0.1:{port}", "--model", model,
            "--keep-alive-s", "3600", "--keep-alive-requests", "1000000000",
        ],
        ctx.cores.origin,
        ctx.folder / f"{model}.log",
    )  # fmt: skip
    try:
        wait_for_port(port)
        yield port
    finally:
        process.stop()
