"""results.json: what each scenario gave when it was last run. Running one again replaces that one only."""

import json
import time

from . import machine
from .paths import BENCH

FILE = BENCH / "results.json"


def read() -> dict:
    return json.loads(FILE.read_text()) if FILE.exists() else {"scenarios": {}}


def put(ctx, name: str, scenario, tables: list[dict], seconds: float) -> None:
    found = read()
    found["scenarios"][name] = {
        "title": scenario.TITLE,
        "text": scenario.TEXT,
        "mode": "quick" if ctx.quick else "full",
        "at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "seconds": round(seconds),
        "machine": machine.describe(),
        "cores": str(ctx.cores),
        "versions": {name: version for name, version in ctx.versions.items() if version},
        "commands": ctx.commands,
        "missing": ctx.missing,
        "tables": tables,
    }
    FILE.write_text(json.dumps(_rounded(found), indent=1) + "\n")


def _rounded(value):
    """Four digits are more than a measurement has."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rounded(inner) for inner in value]
    return value
