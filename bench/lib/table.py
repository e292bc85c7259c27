"""One table of results: rows are peers, columns are figures, each with its rounds; and whether to believe it."""

from dataclasses import dataclass, field

from .load import Sample
from .peers import Peer
from .stats import figure, ratio

# Of a window, on a core that should be ours alone: more than this and the sample is a disturbed one.
FOREIGN_MAX = 0.06
STEAL_MAX = 0.02
# Of a case's samples; a single hiccup is what medians are for.
DISTURBED_MAX = 0.25
# Between the largest and the smallest ratio of two peers over the rounds.
SPREAD_MAX = 1.3
# A peer further off than this is not a matter of percents.
NEAR_MIN = 0.4


@dataclass(frozen=True)
class Column:
    key: str
    title: str
    unit: str = ""
    # Also shown as Conclave's figure over this peer's.
    ratio: bool = False


@dataclass
class Table:
    title: str
    columns: list[Column]
    note: str = ""
    rows: dict[str, dict[str, list]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    samples: int = 0
    disturbed: int = 0
    foreign_max: float = 0.0
    steal_max: float = 0.0
    errors: list[str] = field(default_factory=list)

    def add(self, peer: Peer, number: int, **figures: float | None) -> None:
        """What a round gave; figures of several measurements of one round come together."""
        self.titles[peer.name] = peer.title
        row = self.rows.setdefault(peer.name, {})
        for key, value in figures.items():
            values = row.setdefault(key, [])
            values.extend([None] * (number + 1 - len(values)))
            values[number] = value

    def subtract(self, key: str, minuend: str, baseline: str) -> None:
        """A figure that is what another has above the baseline peer's of the same round."""
        floor = self.rows.get(baseline, {}).get(minuend, [])
        for name, row in self.rows.items():
            if name != baseline:
                pairs = zip(row.get(minuend, []), floor)
                row[key] = [None if a is None or b is None else a - b for a, b in pairs]

    def judge(self, peer: Peer, sample: Sample) -> bool:
        """Counts a sample's noise and wrong answers; false if it must not be used."""
        self.samples += 1
        self.disturbed += sample.foreign > FOREIGN_MAX or sample.steal > STEAL_MAX
        self.foreign_max = max(self.foreign_max, sample.foreign)
        self.steal_max = max(self.steal_max, sample.steal)
        summary = sample.summary
        wrong = {key: summary[key] for key in ("failed", "unanswered", "unfinished") if summary.get(key)}
        if sample.error or wrong:
            parts = [sample.error] if sample.error else []
            parts += [f"{count:,} {how}" for how, count in wrong.items()]
            parts += [f"{how}: {count:,}" for how, count in summary.get("reasons", {}).items()]
            parts += [summary["last_failure"]] if summary.get("last_failure") else []
            self.errors.append(f"{peer.title}: {'; '.join(parts)}")
        return sample.error is None

    def finish(self) -> dict:
        rows = []
        for name, row in self.rows.items():
            figures = {key: figure(values) for key, values in row.items()}
            rows.append({
                "peer": name,
                "title": self.titles[name],
                "figures": {key: value for key, value in figures.items() if value},
                "ratios": self._ratios(name),
            })  # fmt: skip
        return {
            "title": self.title,
            "note": self.note,
            "columns": [vars(column) for column in self.columns],
            "rows": rows,
            "noise": self._noise(rows),
            "errors": sorted(set(self.errors)),
        }

    def _ratios(self, name: str) -> dict:
        ours = self.rows.get("conclave", {})
        if name in ("conclave", "direct"):
            return {}
        pairs = {
            column.key: ratio(ours.get(column.key, []), self.rows[name].get(column.key, []))
            for column in self.columns
            if column.ratio
        }
        return {key: value for key, value in pairs.items() if value}

    def _noise(self, rows: list[dict]) -> dict:
        reasons = []
        if self.samples and self.disturbed / self.samples > DISTURBED_MAX:
            reasons.append(
                f"{self.disturbed} of {self.samples} measurements shared their cores with other work "
                f"(up to {self.foreign_max:.0%} of a core, {self.steal_max:.0%} stolen)"
            )
        for row in rows:
            for key, value in row["ratios"].items():
                first = next(column for column in self.columns if column.ratio)
                near = NEAR_MIN < value["median"] < 1 / NEAR_MIN
                if key == first.key and near and value["max"] / value["min"] > SPREAD_MAX:
                    went = f"from {value['min']:.2f} to {value['max']:.2f}"
                    reasons.append(f"the ratio to {row['title']} went {went} over the rounds")
        return {
            "samples": self.samples,
            "disturbed": self.disturbed,
            "foreign_max": round(self.foreign_max, 4),
            "steal_max": round(self.steal_max, 4),
            "reasons": reasons,
        }
