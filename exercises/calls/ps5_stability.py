"""Call what the student wrote, for problem set 5."""

import math

import numpy as np


def sigmoid(z):
    """Return the sigmoid of z."""
    return 0.5 * (1 + np.tanh(z / 2))


def swish(z):
    """Return z σ(z)."""
    return z * sigmoid(z)


def swish_slope(z):
    """Return the derivative of `swish`."""
    return sigmoid(z) * (1 + z * (1 - sigmoid(z)))


def softplus(z):
    """Return ln(1 + e^z), shifted so that it is 0 at 0."""
    return np.logaddexp(0, z) - math.log(2)


def bent_at(slope):
    """Return a leaky ReLU and its derivative."""
    return (
        lambda z: np.where(z > 0, z, slope * z),
        lambda z: np.where(z > 0, 1.0, slope),
    )


ACTIVATIONS = {
    "sine": (np.sin, np.cos),
    "swish": (swish, swish_slope),
    "softplus": (softplus, sigmoid),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
}


def gains(student, given):
    """Ask for the gains of five activations, without and with biases."""
    for name, q, bias in zip(given["names"], given["q"], given["bias"], strict=True):
        pair = ACTIVATIONS.get(name) or bent_at(given["slope"])
        yield (
            f"{name} without biases",
            lambda pair=pair, q=q: np.reshape(student.gains(*pair, q), 2),
        )
        yield (
            f"{name} with biases",
            lambda pair=pair, q=q, bias=bias: np.reshape(student.gains(*pair, q, bias), 2),
        )


def predict(student, given):
    """Ask for the predictions of some networks."""
    for case in given["cases"]:

        def predicted(case=case):
            network = [
                (*ACTIVATIONS[name], g, bias)
                for name, g, bias in zip(case["names"], case["g"], case["bias"], strict=True)
            ]
            q, decades = student.predict(network, case["mean_square"])
            return {"q": np.reshape(q, -1), "decades": np.reshape(decades, -1)}

        yield case["name"], predicted


def carried(student, given):
    """Ask for the singular values of some sequences."""
    for case in given["cases"]:
        yield (
            case["name"],
            lambda case=case: student.carried(
                *(case[name].copy() for name in ("W_ih", "W_hh", "b", "x"))
            ),
        )


def scales(student, given):
    """Ask for the scales of some matrices, and of their own."""
    for i, (W, T) in enumerate(zip(given["W"], given["T"], strict=True)):
        yield f"W {i}", lambda W=W, T=T: np.reshape(student.largest_scale(W.copy(), int(T)), ())
    yield "own", lambda: np.reshape(student.own, -1)


def clip(student, given):
    """Ask for the clipped gradients of some batches."""
    for case in given["cases"]:

        def clipped(case=case):
            dW, db = student.clip_each(case["x"].copy(), case["delta"].copy(), case["limit"])
            return {"dW": dW, "db": db}

        yield case["name"], clipped


def examine(student, given):
    """Ask for the diagnoses of a ward."""
    for i, log in enumerate(given["logs"]):

        def examined(log=log):
            lists = {name: [np.array(array) for array in log[name]] for name in ("W", "b", "dA")}
            fault, layer, evidence = student.examine({"x": log["x"].copy(), **lists})
            return {
                "fault": str(fault),
                "layer": np.reshape(layer, ()),
                "evidence": np.reshape(evidence, ()),
            }

        yield str(i), examined
