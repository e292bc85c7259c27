"""SOAK.md: what the last long run came to, whatever it was."""

import subprocess
import time

from .. import machine
from ..paths import BENCH

FILE = BENCH / "SOAK.md"
# A shorter run is a try.
MINUTES_MIN = 20

TEXT = """# The last endurance run

Written by `bench/soak --minutes {minutes:g}`; [README.md](README.md) says what it does. {version}, ended {at},
{machine}.

```
{lines}
```
"""


def write(lines, minutes, program):
    version = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    where = machine.in_words(machine.describe())
    FILE.write_text(TEXT.format(minutes=minutes, version=version, at=at, machine=where, lines="\n".join(lines)))
