"""What every peer has in common: it can be found or not, is configured into a folder, started on a core, and asked
until it answers."""

import http.client
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from ..keys import key
from ..paths import template
from ..process import Process

START_TIMEOUT_S = 240


class Unavailable(Exception):
    """This peer cannot be measured here; the text says why."""


@dataclass(frozen=True)
class Setup:
    """What one start of a peer is given."""

    folder: Path
    port: int
    admin_port: int
    # For peers that do not tell HTTP/2 from HTTP/1.1 by a connection's first bytes.
    http2_port: int
    origin_port: int
    keys: int
    descriptors: int
    # One mapping file for each key, where the peer has files of keys.
    file_per_key: bool = False


class Peer:
    name = ""
    # Its command's first word in the results.
    program = ""
    title = ""
    # It hands bodies on byte by byte; otherwise it writes the JSON anew.
    exact = True
    # It knows numbered keys; otherwise one key of its own, or none.
    keyed = True
    # It speaks HTTP/2 without TLS, here on the port of its HTTP/1.1 or on one of its own.
    http2 = False
    http2_apart = False
    # Its users add keys while it runs.
    reloads = False
    # Orders of magnitude behind: measured in fewer cases and rounds, at its own pace.
    slow = False
    # Looks keys up one after another, so that more would only show how that ends.
    keys_max = 1_000_000
    streams_max = 10_000
    # Headers that each request needs besides the key.
    headers: tuple[str, ...] = ()
    fixed_key: str | None = None
    # What its tables must say about it.
    note = ""

    def __init__(self, machine_cores, environment: dict[str, str]):
        self.cores = machine_cores
        self.environment = environment
        self.setup: Setup | None = None
        self.process: Process | None = None
        self.started_s = 0.0

    # What each peer says for itself.

    def binary(self) -> str:
        """Its program; raises Unavailable."""
        return self.on_path(self.name)

    def version(self) -> str:
        raise NotImplementedError

    def prepare(self, setup: Setup) -> None:
        """Writes its configuration."""

    def command(self, setup: Setup) -> list[str]:
        raise NotImplementedError

    def process_environment(self, setup: Setup) -> dict[str, str]:
        return {}

    def change_key(self, number: int, present: bool) -> None:
        """Adds or takes away one key while it runs, as its users would."""
        raise NotImplementedError

    # What they share.

    def start(self, setup: Setup) -> None:
        setup.folder.mkdir(parents=True, exist_ok=True)
        self.setup = setup
        self.prepare(setup)
        began = time.monotonic()
        self.process = Process(
            self.command(setup), self.cores.proxy, setup.folder / "log", setup.folder, self.process_environment(setup)
        )
        self.wait_until_ready()
        self.started_s = time.monotonic() - began

    def stop(self) -> None:
        if self.process:
            self.process.stop()
            self.process = None
        if self.setup:
            shutil.rmtree(self.setup.folder, ignore_errors=True)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        answer = "nothing"
        while time.monotonic() < deadline:
            if not self.process.alive():
                raise Unavailable(f"it ended at its start: {self.process.tail()}")
            try:
                answer = self.ask()
                if answer == 200:
                    return
            except (OSError, http.client.HTTPException) as error:
                answer = type(error).__name__
            time.sleep(0.02)
        raise Unavailable(f"it did not answer in {START_TIMEOUT_S} s (last: {answer}): {self.process.tail()}")

    def ask(self) -> int:
        """The status that a right key's request gets."""
        body = b'{"model":"bench","messages":[{"role":"user","content":"hello"}]}'
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.fixed_key or key(0)}"}
        headers.update(line.split(": ", 1) for line in self.request_headers())
        connection = http.client.HTTPConnection("127.0.0.1", self.setup.port, timeout=10)
        try:
            connection.request("POST", "/v1/chat/completions", body, headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def request_headers(self) -> list[str]:
        values = {"origin_port": self.setup.origin_port}
        return [header.format(**values) for header in self.headers]

    def load_arguments(self) -> list[str]:
        """How the load generator speaks to it."""
        arguments = ["--target", f"127.0.0.1:{self.setup.port}"]
        for header in self.request_headers():
            arguments += ["--header", header]
        return arguments

    def url(self, http2: bool) -> str:
        port = self.setup.http2_port if http2 and self.http2_apart else self.setup.port
        return f"http://127.0.0.1:{port}/v1/chat/completions"

    def load_environment(self) -> dict[str, str]:
        return {"LOAD_FIXED_KEY": self.fixed_key} if self.fixed_key else {}

    def write(self, name: str, source: str | None = None, **values: object) -> Path:
        """One of its templates, filled in, into its folder."""
        setup = self.setup
        ports = {name: getattr(setup, name) for name in ("port", "admin_port", "http2_port", "origin_port")}
        values = ports | values | {"folder": setup.folder, "descriptors": setup.descriptors}
        text = template(f"{self.name}/{source or name}", **values)
        path = setup.folder / name
        path.write_text(text)
        return path

    def on_path(self, program: str) -> str:
        found = self.environment.get(program) or shutil.which(program)
        if not found:
            raise Unavailable(f"no {program} on PATH")
        return found

    def first_line(self, *command: str) -> str:
        """What a version command says first."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        lines = (done.stdout + done.stderr).strip().splitlines()
        return lines[0] if lines else "unknown"
