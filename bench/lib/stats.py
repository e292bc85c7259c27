"""Medians, spreads and paired ratios. A round is one measurement of each peer, one right after another: a ratio within
a round has what both had in common taken out."""

from statistics import median


def figure(values: list[float]) -> dict | None:
    """Median and spread of what the rounds gave."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {"median": median(values), "min": min(values), "max": max(values), "rounds": len(values)}


def ratio(ours: list[float | None], theirs: list[float | None]) -> dict | None:
    """Ours over theirs, round by round."""
    return figure([a / b for a, b in zip(ours, theirs) if a is not None and b is not None and b > 0])
