"""Runs the load generator and samples the proxy when it says so: memory when all is open, CPU at both ends of the
window that counts."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .machine import cpu_times
from .process import Process, cpu_clock_s

# Beyond this a load generator hangs: no scenario runs that long.
TIMEOUT_S = 300


@dataclass
class Sample:
    """One measurement: what the load generator saw, and what it cost the proxy meanwhile."""

    summary: dict
    wall_s: float = 0.0
    cpu_s: float = 0.0
    memory: dict = field(default_factory=dict)
    # Shares of the window: what ran on our cores besides us, and what the hypervisor took.
    foreign: float = 0.0
    steal: float = 0.0
    error: str | None = None


class Window:
    """The counters of proxy, origin and load generator at both ends."""

    def __init__(self, cores, proxy: Process | None, origin: Process | None, load_cpu_s: Callable[[], float]):
        self._cores, self._proxy, self._origin, self._load_cpu_s = cores, proxy, origin, load_cpu_s
        self._start = self._end = None

    def _read(self) -> tuple:
        return (
            time.monotonic(),
            self._proxy.cpu_s() if self._proxy else 0.0,
            self._origin.cpu_s() if self._origin else 0.0,
            self._load_cpu_s(),
            cpu_times(),
        )

    def begin(self) -> None:
        self._start = self._read()

    def end(self) -> None:
        if self._start:
            self._end = self._read()

    def fill(self, sample: Sample) -> None:
        if not self._start or not self._end:
            return
        wall, proxy, origin, load = (self._end[i] - self._start[i] for i in range(4))
        before, after = self._start[4], self._end[4]
        ours = {core: 0.0 for core in before}
        ours[self._cores.proxy] += proxy
        ours[self._cores.origin] += origin
        ours[self._cores.load] += load
        used = {self._cores.proxy, self._cores.origin, self._cores.load}
        foreign = max(after[core].busy - before[core].busy - ours[core] for core in used)
        sample.wall_s, sample.cpu_s = wall, proxy
        sample.foreign = max(0.0, foreign) / wall
        sample.steal = max(after[core].steal - before[core].steal for core in used) / wall


def measure(
    binary: Path | str,
    arguments: list[str],
    cores,
    proxy: Process | None,
    origin: Process | None,
    env: dict | None = None,
    on_open=None,
) -> Sample:
    """Runs `load ARGUMENTS…` to its end; `on_open` is called when it says that all is open."""
    command = ["taskset", "-c", str(cores.load), str(binary), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    ) as running:
        window = Window(cores, proxy, origin, lambda: cpu_clock_s(running.pid))
        sample = Sample(summary={})
        watchdog = threading.Timer(TIMEOUT_S, running.kill)
        watchdog.daemon = True
        watchdog.start()
        for line in running.stdout:
            message = json.loads(line)
            event = message.pop("event")
            if event == "open" and on_open:
                on_open()
            elif event == "open" and proxy:
                sample.memory = proxy.memory_kb()
            elif event == "window":
                window.begin()
            elif event == "end":
                window.end()
            elif event == "summary":
                sample.summary = message
        error = running.stderr.read().strip()
        status = running.wait()
        watchdog.cancel()
        if status != 0 or not sample.summary:
            sample.error = error.splitlines()[0] if error else f"the load generator ended with status {status}"
        if origin and not origin.alive():
            sample.error = f"the origin ended: {origin.tail()}"
        window.fill(sample)
    return sample
