"""How figures are written: three digits, thousands apart."""

from math import floor, log10


def number(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = 2 - floor(log10(abs(value)))
    text = f"{value:.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ratio(value: float) -> str:
    """Two decimals where they decide, three digits where a peer is far off."""
    return f"{value:.2f}" if 0.1 <= value < 100 else number(value)


def spread(found: dict, write=number) -> str:
    """Median, and least and most where they differ."""
    text = write(found["median"])
    if found["min"] == found["max"]:
        return text
    return f"{text} ({write(found['min'])}–{write(found['max'])})"
