"""Which of several findings is the root, and is told and treated first."""

from __future__ import annotations

from gradnb.doctor.signs_numbers import OUTPUT

ORDER = (
    *("nonfinite", "underflow", "wrong backward", "unreached", "not zeroed"),
    *("finished", "zero weights", "unscaled inputs", "dead", "symmetric"),
    *("exploding", "saturated", "penalty", "saddle", "vanishing", "plateau"),
)
STEEP = 1e3  # a growth of errors that large weights before flat slopes do not explain
DEEP = 0.01  # of the loss: a way down that wins less is what vanishing leaves to the first layers


def in_order(found, rest):
    """Return the findings, roots first, what follows from another behind, notes last."""

    def rank(f):
        if f.weight == "note":
            return 3, 0
        return 1 + _follows(f, {g.cause: g for g in found}, rest), ORDER.index(f.cause)

    return sorted(found, key=rank)


def roots(found, rest):
    """Return the causes that explain a small gradient, so that the landscape need not be asked."""
    others = {f.cause: f for f in found}
    enough = rest.is_large and "vanishing" in others and others["vanishing"].sure == "certain"
    return [
        f
        for f in found
        if f.weight == "cause"
        and (f.cause != "vanishing" or enough)
        and not (f.cause == "saturated" and rest.learned)
        and not _follows(f, others, rest)
    ]


def _follows(f, others, rest):
    """Tell whether a finding is the consequence of another one, or in doubt beside it."""
    if f.cause == "underflow":  # what is small by itself is lost in the end
        return f.where != OUTPUT and (
            rest.at_rest or bool(others.keys() & {"vanishing", "exploding", "saturated"})
        )
    if f.cause == "symmetric":  # a penalty, too, makes copies: of units that are not used
        return f.sure != "certain" and "penalty" in others
    if f.cause == "exploding":
        return rest.at_rest or (f.evidence["total"] <= STEEP and "saturated" in others)
    if f.cause == "unscaled inputs":  # small ones make the weights grow, and errors with them
        return f.evidence["overall"] < 1 and "exploding" in others
    if f.cause in ("saturated", "vanishing"):  # once all is learned, errors may well be small
        return rest.learned and "finished" in others
    if f.cause == "saddle":
        return f.evidence["falls"] < DEEP and "vanishing" in others
    if f.cause == "finished":  # or at rest, since nothing arrives that could move it
        if "penalty" in others:  # at rest it is told only where the balance is exact
            return True
        return f.sure != "certain" and "vanishing" in others and not rest.learned
    return f.cause == "not zeroed" and f.sure != "certain"
