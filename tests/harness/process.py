"""Child processes: started on free ports, waited for until ready, stopped by their own id, never left behind."""

import os
import socket
import subprocess
import time


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(condition, seconds=10, what="the condition", interval=0.005):
    """The first true value of `condition`, asked for again and again until `seconds` have gone."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(interval)


class Process:
    def __init__(self, command, log, environment=None, folder=None):
        self.log = log
        # Its settings come from the command line alone, whatever the machine's environment holds.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CONCLAVE_")}
        # What keys used in one test is nothing to the next.
        inherited["CONCLAVE_STATE"] = "none"
        with open(log, "wb") as output:
            self.child = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT,
                env={**inherited, **(environment or {})}, cwd=folder,
            )

    @property
    def output(self):
        return self.log.read_text(errors="replace")

    def until(self, condition, seconds=30):
        def alive_and():
            if self.child.poll() is not None:
                raise Exited(f"{self.child.args[0]} ended with {self.child.returncode}:\n{self.output[-4000:]}")
            return condition()

        return eventually(alive_and, seconds, f"readiness of {self.child.args[0]} (log: {self.log})")

    def stop(self, seconds=5):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
        self.child.stdin.close()
        return self.child.wait()


class Exited(Exception):
    """A process ended before it was ready."""


def start_on_free_ports(start, attempts=5):
    """Calls `start`, which picks its ports anew each time: between picking and binding, another may take them."""
    for attempt in range(attempts):
        try:
            return start()
        except Exited as error:
            if attempt + 1 == attempts or "in use" not in str(error):
                raise
