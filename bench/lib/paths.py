"""Where things are. Nothing of this may get into a result: a committed file names no folder of one machine."""

from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent
TOOLS = ROOT / ".tools"
PEERS = TOOLS / "peers"
TEMPLATES = BENCH / "peers"


def template(name: str, **values: object) -> str:
    """A file of bench/peers/ with each {{name}} replaced."""
    text = (TEMPLATES / name).read_text()
    for key, value in values.items():
        text = text.replace("{{" + key + "}}", str(value))
    if "{{" in text:
        raise ValueError(f"{name}: nothing given for {text[text.index('{{') :][:30]}")
    return text
