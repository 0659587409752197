"""Turn records into Markdown tables: every number with its quartiles, or medians for a README."""

from __future__ import annotations

BASES = ("PyTorch", "plain NumPy", "products alone")
"""What a training step is compared with; in a summary with the first of them that was timed."""


def table(rows):
    """Return a Markdown table; `rows` are dicts of strings with the columns' names as keys."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, *([row.get(key, "–") for key in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)


def text(key, value, short=False):
    """Write one value of a record; three numbers are lower quartile, median, upper quartile."""
    if isinstance(value, list):
        low, median, high = (text(key, v) for v in value)
        return median if short else f"{median} ({low}–{high})"
    if not isinstance(value, float):
        return str(value)
    if key == "time":
        unit, size = ("s", 1) if value >= 1 else ("ms", 1e-3) if value >= 1e-3 else ("µs", 1e-6)
        return f"{value / size:.3g} {unit}"
    if key == "overhead":
        return f"{100 * value:.1f} %"
    return f"{value:.1e}" if "error" in key else f"{value:.2f}"


def everything(records, short=False):
    """Return all records as a table."""
    return table([{key: text(key, value, short) for key, value in r.items()} for r in records])


def summary(records):
    """Return the medians as a table; training steps with a row a net and a column a contestant."""
    if not any("optimizer" in r for r in records):
        return everything(records, short=True)
    timed = [r for r in records if "time" in r]
    base = next(base for base in BASES if f"÷ {base}" in timed[0])
    rows = {}
    for r in timed:  # float32 comes before float64
        row = rows.setdefault(
            (r["optimizer"], r["net"]), {"optimizer": r["optimizer"], "net": r["net"]}
        )
        columns = {r["contestant"]: f"÷ {base}"}
        if r["contestant"] == base:
            columns = {base: "time"}
        elif r["contestant"] == "gradnb":
            columns["gradnb ÷ products"] = "÷ products alone"
        for column, key in columns.items():
            row[column] = " / ".join(filter(None, [row.get(column), text(key, r[key], short=True)]))
    return f"Time of a training step ÷ {base}, float32 / float64:\n\n{table(list(rows.values()))}"
