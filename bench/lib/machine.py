"""What machine this is, how it is divided, and whether anything else ran on it."""

import os
import platform
import resource
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cores:
    """One for the proxy under test, so that its CPU time is its own; origin and load generator share the next, or
    have one each where there are three."""

    proxy: int
    load: int
    origin: int

    def __str__(self) -> str:
        if self.load == self.proxy:
            return "everything on one core"
        rest = f"origin and load generator on core {self.load}"
        if self.origin != self.load:
            rest = f"load generator on core {self.load}, origin on core {self.origin}"
        return f"proxy under test on core {self.proxy}, {rest}"


def cores() -> Cores:
    usable = sorted(os.sched_getaffinity(0))
    proxy, load, origin = usable[0], usable[min(1, len(usable) - 1)], usable[min(2, len(usable) - 1)]
    return Cores(proxy, load, origin)


def describe() -> dict:
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    system = (
        platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
        if hasattr(platform, "freedesktop_os_release")
        else "Linux"
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kb / 2**20),
        "kernel": platform.release(),
        "system": system,
        "virtual": " hypervisor" in Path("/proc/cpuinfo").read_text(),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    }


def in_words(described: dict) -> str:
    virtual = ", virtual" if described["virtual"] else ""
    return (
        f"{described['cpu']}, {described['cores']} cores{virtual}, {described['memory_gib']} GiB, {described['system']}, "
        f"Linux {described['kernel']}, {described['descriptors']:,} open files a process"
    )


def raise_descriptors(wanted: int = 1 << 16) -> int:
    """As many open files as we may have; every process started from here inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in ((max(wanted, soft), max(wanted, hard)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@dataclass(frozen=True)
class CpuTimes:
    """Seconds that one core was busy, and that the hypervisor gave to someone else."""

    busy: float
    steal: float


def cpu_times() -> dict[int, CpuTimes]:
    times = {}
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name != "cpu":
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) / TICKS for field in fields[:8])
            times[int(name[3:])] = CpuTimes(user + nice + system + irq + softirq, steal)
    return times
