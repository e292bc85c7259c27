"""The run itself: starts everything, samples until the time is over, stops it, judges."""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from . import record, verdict
from .clients import Crowd
from .folder import Folder

ROOT = Path(__file__).resolve().parents[3]
SAMPLE_EVERY_S = 10
# What one plane's journal may hold: small, so that the bound is met and kept within a run.
JOURNAL_MAX_MIB = 256
STORE_MAX_MIB = 64


def main(arguments):
    parser = argparse.ArgumentParser(prog="bench/soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=480, help="how long (480)")
    parser.add_argument("--clients", type=int, default=2, help="clients of each manner (2)")
    parser.add_argument("--out", type=Path, help="where samples go, as JSON Lines")
    options = parser.parse_args(arguments)
    work = Path(tempfile.mkdtemp(prefix="conclave-soak-"))
    try:
        return soak(options, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def soak(options, work):
    programs = []
    try:
        sims = [start_sim(programs, work, name) for name in ("one", "two")]
        folder = Folder(work / "mappings", sims)
        conclave = start_conclave(programs, work, folder)
        crowd = Crowd(conclave, folder, options.clients)
        samples = watch(options, work, conclave, crowd, programs)
        crowd.stop()
        samples.append(sample(work, conclave, crowd))
        ended = stop(programs)
    except BaseException:
        stop(programs)
        raise
    for line in (work / "conclave.log").read_text(errors="replace").splitlines():
        if " ERROR " in line and "does not check" not in line and "bad.yml" not in line:
            crowd.note(f"logged: {line[:200]}")
    if ended != 0:
        crowd.note(f"conclave ended with {ended}")
    lines, code = verdict.tell(samples, crowd)
    print("\n".join(lines))
    if options.minutes >= record.MINUTES_MIN:
        record.write(lines, options.minutes, program_path("conclave", "CONCLAVE_BIN"))
    return code


def watch(options, work, conclave, crowd, programs):
    samples, end = [], time.monotonic() + options.minutes * 60
    out = options.out and options.out.open("w")
    while time.monotonic() < end:
        time.sleep(min(SAMPLE_EVERY_S, max(0.0, end - time.monotonic())))
        for program in programs:
            if program.poll() is not None:
                crowd.note(f"{program.args[0]} ended by itself with {program.returncode}")
                return samples
        samples.append(sample(work, conclave, crowd))
        if out:
            print(json.dumps(samples[-1]), file=out, flush=True)
        if len(samples) % 30 == 1:
            print(verdict.line(samples[-1]), flush=True)
        # What a supervisor does now and then.
        if len(samples) % 6 == 0:
            conclave.program.send_signal(signal.SIGHUP)
    return samples


def sample(work, conclave, crowd):
    me = Path(f"/proc/{conclave.program.pid}")
    status = dict(line.split(":", 1) for line in (me / "status").read_text().splitlines())
    return {
        "at_s": round(time.monotonic() - conclave.began, 1),
        "rss_kib": int(status["VmRSS"].split()[0]),
        "threads": int(status["Threads"]),
        "descriptors": len(list((me / "fd").iterdir())),
        "journal_kib": size(work / "journal") >> 10,
        "store_kib": size(work / "store") >> 10,
        "answers": dict(crowd.answers),
        "faults": len(crowd.faults),
    }


def size(folder):
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            pass
    return total


class Conclave:
    def __init__(self, program, port, admin, aggregator):
        self.program, self.began = program, time.monotonic()
        self.address, self.admin, self.aggregator = ("127.0.0.1", port), ("127.0.0.1", admin), ("127.0.0.1", aggregator)


def start_conclave(programs, work, folder):
    port, admin, aggregator = free_port(), free_port(), free_port()
    config = work / "config.yaml"
    config.write_text(
        "response_storage: {enabled: true, db_path: '%s', retention: {max_mib: %d}}\n" % (work / "store/a.db", STORE_MAX_MIB))
    command = [
        program_path("conclave", "CONCLAVE_BIN"), "up", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}",
        "--port", aggregator, "--mappings", folder.path, "--config", config, "--journal", work / "journal",
        "--journal-max-mib", JOURNAL_MAX_MIB, "--capture", "full", "--state", work / "state",
        "--access-log", "/dev/null", "--log-level", "WARNING",
    ]
    if os.geteuid() != 0:
        # A process that denies its memory denies its descriptors' list too, but to root.
        command.append("--core-dumps")
    program = launch(programs, command, work / "conclave.log")
    wait(lambda: urllib.request.urlopen(f"http://127.0.0.1:{admin}/ready", timeout=5).status == 200, program)
    return Conclave(program, port, admin, aggregator)


def start_sim(programs, work, name):
    port = free_port()
    command = [program_path("conclave-sim", "CONCLAVE_SIM_BIN"), "--listen", f"127.0.0.1:{port}", "--model", f"sim-{name}",
               "--slots", "16", "--prefill-rate", "0", "--decode-rate", "400", "--answer-tokens", "60"]
    program = launch(programs, command, work / f"sim-{name}.log")
    wait(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).status == 200, program)
    return f"http://127.0.0.1:{port}"


def launch(programs, command, log):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CONCLAVE_")}
    with log.open("wb") as output:
        programs.append(subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output,
                                         stderr=subprocess.STDOUT, env=environment, start_new_session=True))
    programs[-1].log = log
    return programs[-1]


def program_path(name, variable):
    for path in (os.environ.get(variable), ROOT / "target/release" / name, ROOT / "target/debug" / name):
        if path and Path(path).exists():
            return Path(path).resolve()
    raise SystemExit(f"bench/soak: {name} is missing: build it with `cargo build --release --workspace`, or set {variable}")


def wait(ready, program, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except OSError:
            pass
        if program.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"bench/soak: {program.args[0]} is not ready:\n{program.log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.05)


def stop(programs):
    """Conclave first, so that it drains onto servers that are there. Its exit code."""
    code = 0
    for program in reversed(programs):
        if program.poll() is None:
            program.terminate()
            try:
                program.wait(30)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        if "conclave-sim" not in program.args[0]:
            code = program.returncode
    return code


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
