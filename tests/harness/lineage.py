"""An edge and those that take over from it, one after the other, on the same sockets."""

import signal

import httpx

from .conclave import Edge, answers, binary
from .process import Process, eventually


class Lineage:
    """`edge` is the address that all of them serve; `processes` are they, the youngest last."""

    def __init__(self, folder, *flags):
        mappings = folder / "mappings"
        mappings.mkdir(exist_ok=True)
        self.folder, self.state = folder, folder / "state"
        self.edge = Edge(mappings, folder, "--state", self.state, *flags)
        self.processes = [self.edge.process]

    def command(self, *further):
        address, admin = "%s:%d" % self.edge.address, "%s:%d" % self.edge.admin
        return [binary(), "edge", "--listen", address, "--admin", admin, "--mappings", self.edge.mappings,
                *self.edge.flags, "--upgrade", *further]

    def upgrade(self, *further):
        """Returns once the successor serves and the predecessor has stopped accepting."""
        before, log = self.processes[-1], self.folder / f"edge-{len(self.processes)}.log"
        process = Process(self.command(*further), log)
        self.processes.append(process)
        process.until(lambda: "took over" in process.output)
        eventually(lambda: "another process serves" in before.output, 30, "the predecessor's retirement")
        # Connections to the operator's address are kept; the next one is the successor's.
        self.edge.operator.close()
        self.edge.operator = httpx.Client(base_url="http://%s:%d" % self.edge.admin, timeout=10)
        process.until(lambda: answers(self.edge.operator, "/ready"))
        return process

    @property
    def youngest(self):
        return self.processes[-1]

    def terminate(self):
        self.youngest.child.send_signal(signal.SIGTERM)

    def await_ends(self, seconds=60):
        for process in self.processes:
            assert process.child.wait(seconds) == 0, process.output[-2000:]

    def stop(self):
        self.edge.http.close()
        self.edge.operator.close()
        for process in reversed(self.processes):
            process.stop()
