"""The claims that the book settles, and the line in which an experiment states its verdict.

An experiment cell ends with `verdict`: the claim, what was decided, by which number, against which
threshold. The word is computed from the number, not chosen, so a changed result changes it.
"""

from __future__ import annotations

import math
import operator

ARTICLES = {
    "A": (
        "当部分参数的梯度计算为0(接近0)时,可能是什么情况?是否意味着完成训练? "
        "(community Q&A, 2023-03-19)"
    ),
    "B": "神经网络问题之:梯度不稳定 (blog article, undated)",
    "C": "梯度下降算法中为什么要对梯度清零 (community Q&A, 2023-06-17)",
    "D": "综述梯度异常的处理方法 (community Q&A, 2024-03-04)",
    "E": "機器學習(神經網絡基礎篇)——個人理解篇5(梯度下降中遇到的問題) (blog article, undated)",
}
"""The five articles whose claims are tested: title, kind and date."""

CLAIMS = {
    "A1": "Gradients shrink towards zero as they pass back through many layers",
    "A2": "A zero gradient can mean the optimiser sits at a local minimum",
    "A3": "Symmetry (such as shared weights) makes gradients zero",
    "A4": "Regularisation can drive gradients to zero",
    "A5": "A near-zero gradient does not mean that training has finished",
    "A6": "Clipping, another optimiser or regularisation cures (near-)zero gradients",
    "A7": "Saturating activations have a derivative near zero away from the origin",
    "A8": "Zero or constant initial weights keep neurons identical and block learning",
    "A9": "Normalised inputs give zero gradients unless the normalisation is undone in backprop",
    "A10": "A too small learning rate makes the gradient zero",
    "A11": "Too many layers, or a bottleneck between layers, makes gradients vanish",
    "A12": "SGD draws one sample at random, computes its gradient and steps",
    "A13": "Update = learning rate × gradient, added to the parameters",
    "A14": (
        "One SGD step costs the same however large the data set is; a full-batch step grows with it"
    ),
    "A15": "SGD needs memory for one sample only",
    "A16": "SGD can learn online",
    "A17": (
        "SGD may end in a local optimum, its step is not always downhill, and the learning "
        "rate is hard to choose"
    ),
    "A18": "Momentum, Adagrad and Adam improve on SGD",
    "A19": "SGD repeats until the loss reaches its minimum",
    "B1": "The gradient of an early layer is a product with one factor per later layer",
    "B2": "More layers make vanishing or explosion worse",
    "B3": (
        "Saturating activations make gradients vanish; an activation with a large derivative "
        "makes them explode"
    ),
    "B4": "Too large or too small initial weights make gradients unstable",
    "B5": (
        "Forward pass, loss (mean squared error, cross-entropy) and gradient are as the article "
        "defines them"
    ),
    "B6": (
        "Backprop = output error, then layer by layer by the chain rule, then new = old − "
        "rate × gradient"
    ),
    "B7": "When gradients vanish, the layers next to the input hardly move",
    "B8": (
        "When gradients explode, updates overshoot and numbers overflow; recurrent nets with "
        "long dependencies are prone to it"
    ),
    "B9": "Gradients of different layers can differ by orders of magnitude",
    "B10": "The update is printed as W_new = W_old − α·W_old",
    "B11": "The learning rate sets the speed; too large and too small are both bad",
    "B12": (
        "ReLU, leaky ReLU and PReLU have a constant derivative for positive inputs and so "
        "ease vanishing"
    ),
    "B13": "He or Glorot initialisation reduces instability",
    "B14": (
        "Batch normalisation stabilises gradients, speeds convergence and does so by reducing"
        " covariate shift"
    ),
    "B15": "Residual connections let gradients skip layers",
    "B16": "Tuning learning rate and momentum prevents vanishing or exploding gradients",
    "B17": "Unstable gradients keep the net from learning useful features and cost accuracy",
    "C1": "Without zeroing, earlier gradients add to the current one",
    "C2": "Not zeroing traps the model in a local optimum or slows convergence",
    "C3": "Zeroing before every iteration makes the step depend on this iteration alone",
    "C4": "optimizer.zero_grad() or tf.keras.backend.clear_session() zero the gradients",
    "C5": (
        "Gradients accumulate because one parameter can be used in several places or losses, "
        "and the contributions add"
    ),
    "C6": "Not zeroing between batches gives wrong updates",
    "C7": "Zero at the start of the iteration, before the backward pass",
    "C8": "Accumulation can be wanted: k small batches equal one large one",
    "D1": "Clipping by a threshold prevents explosion",
    "D2": "Smaller or adaptive learning rates relieve explosion",
    "D3": "Xavier/He initialisation reduces vanishing and explosion",
    "D4": "Batch normalisation makes gradients steadier",
    "D5": "L1/L2 regularisation relieves explosion",
    "D6": "Fewer layers or fewer neurons per layer help",
    "D7": "Combining methods works best",
    "D8": "Watch L1/L2 norms per parameter against a threshold and log what exceeds it",
    "D9": (
        "YOLOv8 descends with Adam, an adaptive rate per parameter from the gradient and its "
        "history"
    ),
    "D10": "Data augmentation and cross-stage partial connections improve such training",
    "E1": "The numerical gradient is a central difference over each parameter",
    "E2": "lambda W: loss(x, t), which ignores W, gives wrong gradients",
    "E3": "Each component must be restored after its perturbation, or the error accumulates",
    "E4": "One component at a time, the others at their original values",
    "E5": "Momentum and Adam keep a history, which speeds up or steadies convergence",
    "E6": (
        "Gradients must come from the current parameters and the current batch; stale ones "
        "slow or destabilise"
    ),
    "E7": "The printed repair (set the dictionary entry, compute, put back a copy) is correct",
    "E8": "If the loss raises midway, the parameters stay perturbed",
}
"""Every claim by its id, in our words."""

_RELATIONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

ROUNDING = 1e-12
"""Magnitudes below this print as ``< 1e-12``: their digits belong to the processor."""


def verdict(claim, measure, value, relation, threshold, *, when=None, outside=None, instead=None):
    """Print whether a claim holds, from the number that decides and its threshold.

    The claim holds if ``value relation threshold`` is true, else it fails. A claim that holds only
    under a condition needs both sides of it: `value` measured where the condition is met and
    `outside` where it is not. If the relation is true of both, the condition was not needed, and
    the line says "holds".

    Parameters
    ----------
    claim : str
        Its id, such as ``"A10"``.
    measure : str
        What was measured, as a noun.
    value : float
        The number that decides.
    relation : {"<", "<=", ">", ">="}
        How `value` must compare with `threshold` for the claim to hold.
    threshold : float
        Chosen before the number was known.
    when : str, optional
        The condition, as it follows "holds when".
    outside : float, optional
        The same measure where the condition is not met.
    instead : str, optional
        What is true instead, in one sentence; printed if the claim fails.

    Raises
    ------
    ValueError
        If the claim or the relation is unknown, a number is NaN, only one of `when` and `outside`
        is given, or `when` holds the ": " that ends it in the printed line.

    Notes
    -----
    Numbers are printed with two digits, or with as many as it takes to be on the same side of the
    threshold as the number itself.

    Examples
    --------
    >>> instead = "The gradient at a point does not contain the rate; the step does."
    >>> verdict("A10", "change of the gradient over six rates", 0.0, ">", 0.5, instead=instead)
    Claim A10. A too small learning rate makes the gradient zero
    A10 fails: change of the gradient over six rates 0 (threshold > 0.5)
    Instead: The gradient at a point does not contain the rate; the step does.
    """
    if relation not in _RELATIONS:
        raise ValueError(f"relation must be one of {', '.join(_RELATIONS)}, got {relation!r}")
    if (when is None) != (outside is None):
        raise ValueError("when and outside go together: give both or neither")
    if ": " in (when or ""):
        raise ValueError(f"when must not hold a colon, which ends it in the line, got {when!r}")
    if any(number is not None and math.isnan(number) for number in (value, threshold, outside)):
        raise ValueError(
            f"value, threshold and outside must not be NaN, got {value}, {threshold}, {outside}"
        )

    def holds(number):
        return _RELATIONS[relation](number, threshold)

    word, numbers = ("holds" if holds(value) else "fails"), _show(value, holds)
    if when is not None:
        numbers += f" then, {_show(outside, holds)} otherwise"
        if holds(value) and not holds(outside):
            word = f"holds when {when}"
    _print(claim, f"{word}: {measure} {numbers} (threshold {relation} {_plain(threshold, 6)})")
    if instead is not None and word == "fails":
        print(f"Instead: {instead}")


def cited(claim, says, source):
    """Print what the primary source says of a claim that cannot be run here.

    Parameters
    ----------
    claim : str
        Its id, such as ``"C4"``.
    says : str
        What the source says, in one sentence.
    source : str
        The source, with date.

    Raises
    ------
    ValueError
        If the claim is unknown.

    Examples
    --------
    >>> cited("C4", "It resets the global state that Keras keeps.", "tf.keras documentation")
    Claim C4. optimizer.zero_grad() or tf.keras.backend.clear_session() zero the gradients
    C4 cited: It resets the global state that Keras keeps. (tf.keras documentation)
    """
    _print(claim, f"cited: {says} ({source})")


def _print(claim, line):
    if claim not in CLAIMS:
        raise ValueError(f"claim must be one of A1 to E8, got {claim!r}")
    print(f"Claim {claim}. {CLAIMS[claim]}")
    print(f"{claim} {line}")


def _show(value, holds):
    if value != 0 and abs(value) < ROUNDING:
        return f"< {_plain(ROUNDING, 1)}"
    # The second digit of a tiny error is the first that differs between processors
    digits = 1 if abs(value) < 1e-6 else 2
    while holds(float(_plain(value, digits))) != holds(value):
        digits += 1
    return _plain(value, digits)


def _plain(value, digits):
    text = f"{value:.{digits}g}"
    if 10 <= abs(value) < 1e5:
        return f"{float(text)}".removesuffix(".0")  # 100, not 1e+02
    return text.replace("e-0", "e-").replace("e+0", "e+")
