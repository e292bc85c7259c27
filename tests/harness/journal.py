"""What an edge or an aggregator kept, read back with the `dump` example of crates/capture."""

import json
import os
import subprocess
from pathlib import Path

from .conclave import binary


def dump(folder):
    """The exchanges in one writer's folder, in the order of their ids; bodies as bytes."""
    program = Path(os.environ.get("CONCLAVE_DUMP_BIN") or binary().parent / "examples" / "dump")
    assert program.exists(), f"{program} is missing: build it with `cargo build -p capture --example dump`"
    done = subprocess.run([program, folder], capture_output=True, text=True, timeout=60, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    gaps = [line["gap"] for line in lines if "gap" in line]
    exchanges = [line for line in lines if "gap" not in line]
    for exchange in exchanges:
        exchange["request"] = bytes.fromhex(exchange.pop("request_hex"))
        exchange["response"] = bytes.fromhex(exchange.pop("response_hex"))
    return exchanges, gaps


def all_bytes(folder):
    """Everything that lies in a folder and below it."""
    return b"".join(path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file())
