"""The matrix as text: a table of marks for each client, and below it every reason, once."""

from .questions import FEATURES

MARKS = {"ok": "ok", "refused": "refused", "skipped": "skipped", "failed": "FAILED"}


class Table:
    def __init__(self):
        self.cells = {}  # (route, client, column) → {feature: (outcome, reason)}

    def put(self, route, client, column, feature, outcome, reason=""):
        self.cells.setdefault((route, client, column), {})[feature] = (outcome, reason)

    def lines(self):
        reasons = {}
        widths = [max(len(feature), 10) for feature in FEATURES]
        for route in dict.fromkeys(key[0] for key in self.cells):
            yield f"-- {route} --"
            yield f"{'client':24} {'backend':22} " + " ".join(map(str.ljust, FEATURES, widths))
            for (of, client, column), row in self.cells.items():
                if of == route:
                    marks = [self.mark(row.get(feature), reasons) for feature in FEATURES]
                    yield f"{client:24} {column:22} " + " ".join(map(str.ljust, marks, widths))
        for reason, number in reasons.items():
            yield f"[{number}] {reason}"

    @staticmethod
    def mark(cell, reasons):
        if cell is None:
            return "-"
        outcome, reason = cell
        if not reason:
            return MARKS[outcome]
        number = reasons.setdefault(f"{outcome}: {reason}", len(reasons) + 1)
        return f"{MARKS[outcome]} [{number}]"


TABLE = Table()
