"""What the doctor says: findings, with evidence and remedy, as text, as HTML and as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from html import escape
from textwrap import fill

from gradnb.doctor.remedies import REMEDIES
from gradnb.jsonlines import spelt

HEALTHY = "healthy"
WIDTH = 78  # columns of a printed report: as many as a page of the book shows


@dataclass
class Finding:
    """One cause that was found.

    Attributes
    ----------
    cause : str
        Its key, one of `gradnb.doctor.remedies.REMEDIES`.
    where : str
        The layer, parameter or place: ``"2 (ReLU)"``.
    says : str
        The evidence in a sentence.
    evidence : dict of str to number
        The numbers behind it, not rounded.
    sure : str
        ``"certain"``, ``"likely"`` or ``"possible"``, as `diagnose` explains.
    why : str
        What makes it so sure, or what could still speak against it.
    remedy : str
        What to do; by default that of `REMEDIES`.
    weight : str
        ``"cause"``, or ``"note"`` for what is worth knowing and no trouble by itself.
    """

    cause: str
    where: str
    says: str
    evidence: dict
    sure: str
    why: str
    remedy: str = ""
    weight: str = "cause"

    def __post_init__(self):
        self.remedy = self.remedy or REMEDIES[self.cause]


@dataclass
class Diagnosis:
    """What `gradnb.diagnose` returns; ``print`` it to read it.

    Attributes
    ----------
    findings : list of Finding
        The primary cause first, then what else was found; notes last. One that follows from
        another stands behind it.
    layers : list of dict
        For each layer: ``"name"``, and as far as measured ``"gradient"`` and ``"weight"``, the
        norms of its own gradients and parameters, ``"error"``, that of ∂L/∂output, and ``"zero"``,
        the share of its outputs that are exactly 0 after the activation.
    loss : float
        Of the batch.
    """

    findings: list = field(default_factory=list)
    layers: list = field(default_factory=list)
    loss: float = 0.0

    @property
    def primary(self):
        """The `Finding` to treat first, or None."""
        return next((f for f in self.findings if f.weight == "cause"), None)

    @property
    def cause(self):
        """The key of the primary cause, or ``"healthy"``."""
        return self.primary.cause if self.primary else HEALTHY

    @property
    def healthy(self):
        """Whether no cause was found."""
        return self.primary is None

    def to_dict(self):
        """Return everything as dicts, lists, strings and numbers, ``"nan"`` and ``"inf"`` spelt."""
        data = {"cause": self.cause, "loss": self.loss, "healthy": self.healthy}
        data |= {"findings": [asdict(f) for f in self.findings], "layers": self.layers}
        return spelt(data)

    def __str__(self):
        lines = [f"Diagnosis: {self.cause}" + (f" ({self.primary.sure})" if self.primary else "")]
        for f in self.findings:
            head = f"{f.cause} at {f.where}" if f.where else f.cause
            if f.weight == "note":
                lines.append(_item_text(f"- note, {head}: {f.says}; {f.why}"))
                continue
            said = f"- {head}: {f.says}", f"  {f.sure}: {f.why}", f"  remedy: {f.remedy}"
            lines += map(_item_text, said)
        return "\n".join([*lines, *self._table()])

    __repr__ = __str__

    def _table(self):
        rows = [("layer", "gradient", "weights", "error", "zeros"), *self._rows()]
        wide = max(len(row[0]) for row in rows)
        return [f"{name:{wide}}" + "".join(f"{n:>10}" for n in row) for name, *row in rows]

    def _rows(self):
        for row in self.layers:
            zero = row.get("zero")
            numbers = [_short(row.get(key)) for key in ("gradient", "weight", "error")]
            yield row["name"], *numbers, "" if zero is None else f"{zero:.0%}"

    def _repr_html_(self):
        title = f"Diagnosis: {escape(self.cause)}"
        if self.primary:
            title += f" ({self.primary.sure})"
        findings = "".join(map(_item_html, self.findings))
        head = "".join(
            f'<th scope="col">{h}</th>' for h in ("layer", "gradient", "weights", "error", "zeros")
        )
        body = "".join(
            f'<tr><th scope="row">{escape(name)}</th>'
            + "".join(f"<td>{n}</td>" for n in numbers)
            + "</tr>"
            for name, *numbers in self._rows()
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p><strong>{title}</strong></p><ul>{findings}</ul>{table}"


def two_digits(value):
    """Return a number as text, rounded to two digits, and without an exponent where it is short."""
    return f"{float(f'{value:.2g}'):g}"


def _item_text(text):
    """Return a line of the report, broken where it is too long."""
    return fill(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _item_html(f):
    head = f"<strong>{escape(f.cause)}</strong>{' at ' + escape(f.where) if f.where else ''}"
    if f.weight == "note":
        return f"<li>Note, {head}: {escape(f.says)}; {escape(f.why)}</li>"
    why = f"{f.sure}: {escape(f.why)}<br>Remedy: {escape(f.remedy)}"
    return f"<li>{head}: {escape(f.says)}<br>{why}</li>"


def _short(value):
    return "" if value is None else f"{value:.2g}"
