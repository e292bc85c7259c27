"""Bar charts as SVG, written as text: one group a case, one bar a peer, whiskers from the least to the most.
A logarithmic axis where gateways that are hundreds of times behind would flatten the rest."""

from dataclasses import dataclass
from math import ceil, floor, log10
from xml.sax.saxutils import escape

from .numbers import number

# Light and dark backgrounds both: the colours are of middling lightness, and text takes the page's colour scheme.
COLOURS = {
    "direct": "#8a8f98", "conclave": "#d9480f", "conclave-1-key": "#f08c5a", "nginx": "#2f9e44", "haproxy": "#1971c2",
    "caddy": "#0c8599", "traefik": "#5f3dc4", "envoy": "#ae3ec9", "olla": "#7c6a0a", "bifrost": "#b08900",
    "llama-swap": "#66a80f", "portkey": "#c2255c", "litellm": "#862e9c", "routheon-server": "#495057",
}  # fmt: skip
WIDTH, LEFT, RIGHT = 860, 210, 90
BAR, GAP, GROUP_GAP = 16, 3, 30
LOG_FROM = 12


@dataclass(frozen=True)
class Bar:
    name: str
    title: str
    median: float
    least: float
    most: float


def bars(title: str, unit: str, groups: list[tuple[str, list[Bar]]]) -> str:
    """The whole file."""
    values = [value for _, group in groups for bar in group for value in (bar.least, bar.most) if value > 0]
    scale = Scale(min(values), max(values))
    parts, y = [], 58.0
    for case, group in groups:
        parts.append(text(16, y - 6, case, weight="600"))
        for bar in group:
            parts += one_bar(bar, y, scale)
            y += BAR + GAP
        y += GROUP_GAP
    grid = [
        f'<line x1="{scale.x(tick):.1f}" y1="36" x2="{scale.x(tick):.1f}" y2="{y - GROUP_GAP:.0f}" class="grid"/>'
        + text(scale.x(tick), y - GROUP_GAP + 16, number(tick), anchor="middle", size=11)
        for tick in scale.ticks()
    ]
    height = y + 6
    axis = f"{unit}, logarithmic" if scale.logarithmic else unit
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" role="img">',
        f"<title>{escape(title)}</title>",
        "<style>svg{background:#fff;font-family:system-ui,sans-serif}text{fill:#212529}.grid{stroke:#dee2e6}"
        ".whisker{stroke:#212529;stroke-width:1.2}@media(prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6edf3}"
        ".grid{stroke:#30363d}.whisker{stroke:#e6edf3}}</style>",
        text(16, 22, title, weight="700", size=15),
        text(WIDTH - 16, 22, axis, anchor="end", size=12),
        *grid,
        *parts,
        "</svg>\n",
    ])  # fmt: skip


class Scale:
    """From values to places."""

    def __init__(self, least: float, most: float):
        self.logarithmic = most / least > LOG_FROM
        self.most = most
        self.low = 10 ** floor(log10(least)) if self.logarithmic else 0.0
        self.high = 10 ** ceil(log10(most)) if self.logarithmic else most * 1.05

    def x(self, value: float) -> float:
        room = WIDTH - LEFT - RIGHT
        if self.logarithmic:
            share = log10(max(value, self.low) / self.low) / log10(self.high / self.low)
        else:
            share = value / self.high
        return LEFT + room * share

    def ticks(self) -> list[float]:
        if self.logarithmic:
            return [10.0**power for power in range(round(log10(self.low)), round(log10(self.high)) + 1)]
        step = 10 ** floor(log10(self.high))
        step = next(step * part for part in (1, 0.5, 0.25, 0.2, 0.1) if self.high / (step * part) >= 4)
        return [step * index for index in range(int(self.high / step) + 1)]


def one_bar(bar: Bar, y: float, scale: Scale) -> list[str]:
    end, middle = scale.x(bar.median), y + BAR / 2
    least, most = scale.x(bar.least), scale.x(bar.most)
    size = f'width="{max(end - LEFT, 1):.1f}" height="{BAR}"'
    return [
        text(LEFT - 8, middle + 4, bar.title, anchor="end", size=12),
        f'<rect x="{LEFT}" y="{y:.0f}" {size} fill="{COLOURS.get(bar.name, "#868e96")}"/>',
        f'<line x1="{least:.1f}" y1="{middle:.0f}" x2="{most:.1f}" y2="{middle:.0f}" class="whisker"/>',
        text(max(end, most) + 6, middle + 4, number(bar.median), size=12),
    ]


def text(x: float, y: float, words: str, anchor: str = "start", weight: str = "400", size: int = 13) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} font-size="{size}" font-weight="{weight}">{escape(words)}</text>'
