"""Clients of HTTP/2: nghttp2's load generator `h2load`, held to every status and every byte it counts."""

import re
import resource
import subprocess

from .load import TIMEOUT_S, Sample, Window
from .process import Process

COUNTS = re.compile(r"requests: (\d+) total, .* (\d+) failed, .* (\d+) timeout")
STATUSES = re.compile(r"status codes: (\d+) 2xx")
DATA_BYTES = re.compile(r"\((\d+)\) data$", re.MULTILINE)
RATE = re.compile(r"finished in .*, ([\d.]+) req/s")


def measure(binary: str, arguments: list[object], cores, proxy: Process, origin: Process, answer_bytes: int) -> Sample:
    """A fixed number of requests in a closed loop; the window is all of it, its connections' beginning included."""
    command = ["taskset", "-c", str(cores.load), binary, *map(str, arguments)]
    window, sample = Window(cores, proxy, origin, _children_cpu_s), Sample(summary={})
    window.begin()
    try:
        text = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False).stdout
    except subprocess.TimeoutExpired:
        text = ""
    window.end()
    window.fill(sample)
    found = [pattern.search(text) for pattern in (COUNTS, STATUSES, DATA_BYTES, RATE)]
    if not all(found):
        sample.error = f"h2load said: {' '.join(text.split())[:200] or 'nothing'}"
        return sample
    total, failed, late = (int(count) for count in found[0].groups())
    answered = int(found[1][1])
    missing = answered * answer_bytes - int(found[2][1])
    sample.summary = {
        "answered": answered,
        "per_s": float(found[3][1]),
        "failed": max(failed, total - answered),
        "unfinished": late,
        "reasons": {"bytes that the answers lack": missing} if missing else {},
    }
    return sample


def _children_cpu_s() -> float:
    """Of those that have ended: between two looks, the load generator alone."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
