"""Real llama-servers on models made on the spot."""

import re
import sys
from pathlib import Path

import httpx

from llama.make_gguf import Shape, make_gguf

from .process import Process

SERVER = Path(__file__).resolve().parents[1] / "llama" / "llama_server.py"
# Some 40 million parameters: a prompt of thousands of tokens takes seconds, a token milliseconds.
HEAVY = Shape(layers=8, dim=640, ff=1728, heads=8, q8=True)
TINY = Shape()
# Where the grammar leaves a choice, the end comes before a further call.
CALLS_TOOLS = Shape(tool_bias=20, end_bias=25)
BATCH = 256


class Llama:
    def __init__(self, folder, alias, shape, *flags):
        model = Path(folder) / f"{alias}.gguf"
        make_gguf(model, shape)
        self.alias = alias
        self.process = Process(
            [sys.executable, SERVER, model, "--alias", alias, "--batch", BATCH, *flags], Path(folder) / f"{alias}.log"
        )
        self.url = self.process.until(self.listening)
        self.http = httpx.Client(base_url=self.url, timeout=60)

    def listening(self):
        # Its own log may have begun a line just before.
        found = re.search(r"listening (http://\S+)\n", self.process.output)
        return found and found[1]

    def busy_slots(self):
        return sum(slot["is_processing"] for slot in self.http.get("/slots").json())

    def running(self):
        """Slots at work, from the log: to ask /slots would put off the server's look at its clients."""
        log = self.process.output
        return log.count("| processing task") - log.count("| stop processing")

    def stop(self):
        self.http.close()
        self.process.stop()
