"""What the scenarios of small and large requests share: a closed loop for CPU and throughput, then an open loop at one
rate for all for the latencies."""

from collections.abc import Callable
from dataclasses import dataclass

from ..context import Context, alternate
from ..peers import Peer
from ..table import Column, Table

COLUMNS = [
    Column("cpu", "CPU s per 100,000", "s", ratio=True),
    Column("per_s", "requests/s", "1/s"),
    Column("busy", "of its core", "%"),
    Column("p50", "p50", "ms"),
    Column("p99", "p99", "ms", ratio=True),
    Column("p999", "p99.9", "ms"),
    Column("memory", "memory", "MB"),
]
# Of the slowest fast peer's throughput: busy, but no queue that grows.
LOAD_SHARE = 0.5
# A peer this far behind the fastest gets a rate of its own.
FAST_SHARE = 0.25


@dataclass
class Plan:
    """How one case is measured."""

    ctx: Context
    table: Table
    peers: list[Peer]
    # The load generator's arguments for a peer, besides loop and time.
    arguments: Callable[[Peer], list[object]]
    rounds: int
    duration: float
    slow_rounds: int = 1

    def load(self, peer: Peer, *more: object):
        expected = ["--expect", "exact" if peer.exact else "mark"]
        warmup, duration = self.ctx.pick(0.2, 0.7), self.duration
        if peer.slow:
            # A hundred requests a second need longer to be counted.
            warmup, duration = 1.0, self.ctx.pick(3.0, 8.0)
        timing = ["--warmup", warmup, "--duration", duration]
        return self.ctx.load(peer, "requests", *self.arguments(peer), *more, *timing, *expected)

    def closed(self, peer: Peer, number: int, cpu: str = "cpu", more: tuple = ()) -> None:
        """As many as go: CPU, and throughput unless it is another figure's CPU that is asked for."""
        sample = self.load(peer, *more)
        answered = sample.summary.get("answered")
        if not self.table.judge(peer, sample) or not answered:
            return
        if peer.process:
            self.table.add(peer, number, **{cpu: sample.cpu_s / answered * 100_000})
        if cpu == "cpu":
            self.table.add(peer, number, per_s=sample.summary["per_s"])
            if peer.process:
                memory = peer.process.memory_kb()["pss_kb"] / 1024
                self.table.add(peer, number, busy=100 * sample.cpu_s / sample.wall_s, memory=memory)

    def opened(self, peer: Peer, number: int, rate: float, prefix: str = "", more: tuple = ()) -> None:
        """At a rate: latencies."""
        sample = self.load(peer, "--rate", f"{rate:.0f}", *more)
        latency = sample.summary.get("latency", {})
        if self.table.judge(peer, sample) and latency.get("count"):
            figures = {"p50": latency["p50_ms"], "p99": latency["p99_ms"], "p999": latency["p999_ms"]}
            self.table.add(peer, number, **{prefix + key: value for key, value in figures.items()})

    def rounds_of(self, once: Callable[[Peer, int], None]) -> None:
        alternate(self.peers, self.rounds, once, self.slow_rounds)

    def run(self) -> None:
        """Closed loops first, from which the rate of the open ones comes."""
        self.rounds_of(self.closed)
        rates = self.rates()
        self.rounds_of(lambda peer, number: peer.name in rates and self.opened(peer, number, rates[peer.name]))
        self.note_rates(rates)

    def rates(self, share: float = LOAD_SHARE) -> dict[str, float]:
        """One rate for the fast, each slow one's own."""
        throughput = {}
        for peer in self.peers:
            values = sorted(value for value in self.table.rows.get(peer.name, {}).get("per_s", []) if value)
            if values:
                throughput[peer.name] = values[len(values) // 2]
        best = max((value for name, value in throughput.items() if name != "direct"), default=0)
        common = share * min((value for value in throughput.values() if value >= FAST_SHARE * best), default=0)
        return {
            name: common if value >= FAST_SHARE * best else share * value
            for name, value in throughput.items()
            if common
        }

    def note_rates(self, rates: dict[str, float]) -> None:
        told = {}
        for peer in self.peers:
            if peer.name in rates:
                told.setdefault(f"{rates[peer.name]:,.0f}/s", []).append(peer.title)
        parts = "; ".join(f"{rate} ({', '.join(names)})" for rate, names in told.items())
        self.table.note = f"{self.table.note} Latencies at {parts}.".strip()
