"""Processes that are started here, pinned, sampled and ended again, by their own id and session, never by name."""

import os
import signal
import subprocess
import time
from pathlib import Path

from .machine import TICKS


class Process:
    """A program with all its children: each is started as the leader of a session of its own."""

    def __init__(self, command: list[str], core: int, log: Path, cwd: Path | None = None, env: dict | None = None):
        self.log = log
        self._file = log.open("wb")
        self._popen = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            # Without it Conclave denies its memory's figures to whoever is not root.
            env={**os.environ, "CONCLAVE_CORE_DUMPS": "true", **(env or {})},
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def alive(self) -> bool:
        return self._popen.poll() is None

    def pids(self) -> list[int]:
        return _tree(self.pid)

    def cpu_s(self) -> float:
        """CPU seconds of the whole tree, children that have ended included."""
        return sum(_cpu_s(pid) for pid in self.pids())

    def memory_kb(self) -> dict:
        """Resident and proportional memory of the whole tree."""
        rss = pss = 0
        for pid in self.pids():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            rss += sum(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
            pss += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        return {"rss_kb": rss, "pss_kb": pss}

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    def stop(self) -> None:
        """Asks, waits, and then ends the session."""
        if self.alive():
            self._popen.terminate()
            try:
                self._popen.wait(timeout=5)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._popen.wait()
        self._file.close()

    def tail(self) -> str:
        text = self.log.read_text(errors="replace").strip()
        return "\n".join(text.splitlines()[-3:])


def _tree(pid: int) -> list[int]:
    """The process and all below it."""
    found = [pid]
    for thread in _listed(f"/proc/{pid}/task"):
        try:
            children = Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += _tree(int(child))
    return found


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _cpu_s(pid: int) -> float:
    """What the process has used, and those of its children that have ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    # From the state on, behind a name that may hold blanks: state, parent, …, utime, stime, cutime, cstime.
    user, system, children_user, children_system = (
        int(field) / TICKS for field in text[text.rindex(")") + 2 :].split()[11:15]
    )
    return cpu_clock_s(pid, user + system) + children_user + children_system


def cpu_clock_s(pid: int, otherwise: float = 0.0) -> float:
    """To the nanosecond where the kernel has a CPU clock for the process; /proc counts in ticks of 10 ms."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2) / 1e9
    except OSError:
        return otherwise
