"""What a scenario works with: the peers that are here, the origin, folders, ports; and rounds over them."""

import contextlib
import socket
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from . import h2load, load, machine
from .keys import key
from .load import Sample
from .peers import ALL, Peer, Setup, Unavailable
from .process import Process
from .programs import say


@dataclass
class Context:
    quick: bool
    programs: dict[str, str]
    cores: machine.Cores
    descriptors: int
    folder: Path
    # Peers that could not be measured, and why.
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)
    origin: Process | None = None
    origin_port: int = 0
    origin_reserved: bool = False
    only: set[str] | None = None

    def pick(self, quick, full):
        return quick if self.quick else full

    def peers(self, *names: str, wanted=lambda peer: True) -> list[Peer]:
        """Those of these names, or all, that are here."""
        found = []
        for kind in ALL:
            if (names and kind.name not in names) or not wanted(kind):
                continue
            if self.only and kind.name not in self.only | {"direct", "conclave"}:
                continue
            peer = kind(self.cores, self.programs)
            try:
                peer.binary()
            except Unavailable as error:
                self.missing[kind.title] = str(error)
                continue
            if kind.name not in self.versions:
                self.versions[kind.name] = peer.version()
            found.append(peer)
        return found

    @contextlib.contextmanager
    def origin_running(self, **options: int):
        """The backend of every peer in this block."""
        if not self.origin_reserved:
            self.origin_port = free_port()
        arguments = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        command = [self.programs["load"], "origin", "--listen", f"127.0.0.1:{self.origin_port}", *arguments]
        self.origin = Process(command, self.cores.origin, self.folder / "origin.log")
        try:
            wait_for_port(self.origin_port)
            yield
        finally:
            self.origin.stop()
            self.origin = None

    def reserve_origin_port(self) -> None:
        """The next origin's port stays the peers' after it has gone."""
        self.origin_port, self.origin_reserved = free_port(), True

    def setup(self, peer: Peer, keys: int, **more) -> Setup:
        folder = Path(tempfile.mkdtemp(prefix=f"{peer.name}-", dir=self.folder))
        return Setup(folder, free_port(), free_port(), free_port(), self.origin_port, keys, self.descriptors, **more)

    def start(self, peer: Peer, keys: int = 1, **more) -> bool:
        """Whether it runs; if not, the tables will say why."""
        setup = self.setup(peer, keys, **more)
        try:
            peer.start(setup)
        except Unavailable as error:
            say(f"  {peer.title}: {error}")
            self.missing[peer.title] = self.without_places(str(error), peer)[:300]
            peer.stop()
            return False
        self._note_command(peer)
        return True

    @contextlib.contextmanager
    def running(self, peers: list[Peer], keys: int = 1, **more):
        """All that start, at once; idle ones cost nothing, and the noise check would see it if they did."""
        started = []
        try:
            for peer in peers:
                if self.start(peer, keys, **more):
                    started.append(peer)
            yield started
        finally:
            for peer in started:
                peer.stop()

    def load(self, peer: Peer, *arguments: object) -> Sample:
        """One run of the load generator against a peer."""
        words = [str(argument) for argument in arguments]
        command = [words[0], *peer.load_arguments(), *words[1:]]
        text = self.without_places(" ".join(["load", words[0], "--target", "PROXY", *words[1:]]), peer)
        self.commands.setdefault(f"load {words[0]}", text)
        return load.measure(
            Path(self.programs["load"]), command, self.cores, peer.process, self.origin, peer.load_environment()
        )

    def h2load(self, peer: Peer, answer_bytes: int, *arguments: object, http2: bool = True) -> Sample:
        """One run of the load generator for HTTP/2 against a peer; it speaks HTTP/1.1 too."""
        words = [*([] if http2 else ["--h1"]), *arguments, "-H", f"authorization: Bearer {key(0)}", peer.url(http2)]
        text = self.without_places(" ".join(["h2load", *map(str, words)]), peer).replace(key(0), "KEY")
        self.commands.setdefault("h2load", text)
        return h2load.measure(self.programs["h2load"], words, self.cores, peer.process, self.origin, answer_bytes)

    def _note_command(self, peer: Peer) -> None:
        if not peer.process:
            return
        program = peer.program or peer.name
        words = [program if word == peer.binary() else word for word in peer.command(peer.setup)]
        self.commands.setdefault(program, self.without_places(" ".join(words), peer))

    def without_places(self, text: str, peer: Peer) -> str:
        """Without the folders and ports of this one run."""
        setup = peer.setup
        text = text.replace(str(setup.folder), "DIR").replace(str(self.folder), "DIR")
        for number, name in (
            (setup.port, "PORT"), (setup.admin_port, "ADMIN"), (setup.http2_port, "PORT"), (self.origin_port, "ORIGIN")
        ):
            text = text.replace(str(number), name)
        return " ".join(text.split())


def alternate(peers: list[Peer], count: int, once, slow_count: int = 1) -> None:
    """`once(peer, round)` for each peer in each round, the order reversed every other round."""
    for number in range(count):
        taking_part = [peer for peer in peers if number < slow_count or not peer.slow]
        for peer in taking_part if number % 2 == 0 else reversed(taking_part):
            once(peer, number)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
