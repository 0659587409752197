"""gradcheck passes what is right and names what is wrong."""

import re

import numpy as np
import pytest
from faults import LAYERS, LOSSES, ReLUInPlaceForward, TanhInPlace, build
from helpers import off_zero, randomise

from gradnb import (
    RNN,
    BatchNorm1d,
    CrossEntropyLoss,
    GradcheckError,
    LastStep,
    LeakyReLU,
    Linear,
    Module,
    MSELoss,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    gradcheck,
    mlp,
)
from gradnb.init import constant


def problem(loss=MSELoss, seed=0, batch=5):
    rng = np.random.default_rng(seed)
    x = off_zero(rng, (batch, 3))
    target = rng.normal(size=(batch, 3)) if issubclass(loss, MSELoss) else np.arange(batch) % 3
    return rng, loss(), x, target


@pytest.mark.parametrize("loss", [MSELoss, CrossEntropyLoss])
@pytest.mark.parametrize("activation", [Tanh, Sigmoid, ReLU])
def test_gradcheck_passes_what_is_right(loss, activation):
    rng, criterion, x, y = problem(loss)
    model = randomise(mlp([3, 5, 3], activation), rng)
    report = gradcheck(model, criterion, x, y)
    assert report
    assert list(report.errors) == ["0.weight", "0.bias", "2.weight", "2.bias", "input"]
    assert max(report.errors.values()) < 1e-7
    assert not report.mismatches + report.modified + report.unresolved
    assert not report.kinks
    assert "passed" in str(report)


@pytest.mark.parametrize("fault", LAYERS)
def test_gradcheck_catches_planted_faults(fault):
    rng, criterion, x, y = problem()
    layer = build(fault, rng)
    with pytest.raises(GradcheckError) as caught:
        gradcheck(layer, criterion, x, y)
    message = str(caught.value)
    assert "FAILED" in message
    if "InPlace" in fault.__name__:
        assert re.search(r"(x|grad_output) was modified in place", message)
    else:
        assert re.search(r"(weight|bias|input)\[\d(, \d)?\]: analytic \S+, numeric \S+", message)
    assert not gradcheck(layer, criterion, x, y, raise_exception=False)


@pytest.mark.parametrize("fault", [f for f in LAYERS if issubclass(f, Linear)])
def test_gradcheck_catches_them_inside_a_network(fault):
    rng, criterion, x, y = problem()
    model = Sequential(build(Linear, rng), Tanh(), build(fault, rng), Sigmoid(), build(Linear, rng))
    with pytest.raises(GradcheckError, match=r"(0|2)\.(weight|bias)\[.*analytic .* numeric"):
        gradcheck(model, criterion, x, y)


@pytest.mark.parametrize("fault", LOSSES)
def test_gradcheck_catches_a_wrong_loss(fault):
    rng, _criterion, x, y = problem(fault if issubclass(fault, MSELoss) else CrossEntropyLoss)
    with pytest.raises(GradcheckError, match=r"weight\[\d, \d\]: analytic"):
        gradcheck(build(Linear, rng), fault(), x, y)


def test_gradcheck_names_the_worst_entry_with_both_values():
    class OneWrongEntry(Linear):
        def backward(self, grad_output, input_grad=True):
            grad_input = super().backward(grad_output, input_grad)
            self.weight.grad[1, 2] += 0.25
            self.weight.grad[0, 0] += 0.125
            return grad_input

    rng, criterion, x, y = problem()
    layer = build(OneWrongEntry, rng)
    report = gradcheck(layer, criterion, x, y, raise_exception=False)
    (mismatch,) = report.mismatches
    right = x.T @ (2 * (layer(x) - y) / y.size)
    assert (mismatch.name, mismatch.index) == ("weight", (1, 2))
    assert mismatch.analytic == pytest.approx(right[1, 2] + 0.25, rel=1e-12)
    assert mismatch.numeric == pytest.approx(right[1, 2], rel=1e-6)
    expected = f"weight[1, 2]: analytic {mismatch.analytic:.6g}, numeric {mismatch.numeric:.6g}"
    assert expected in str(report)
    assert report.errors["weight"] == pytest.approx(
        0.25 / np.abs(layer.weight.grad + right).max(), rel=1
    )
    assert report.errors["bias"] < 1e-7


@pytest.mark.parametrize("size", [1e-3, 1e-5, 1e-6])
def test_gradcheck_catches_small_errors(size):
    class Slightly(Tanh):
        def backward(self, grad_output, input_grad=True):
            return super().backward(grad_output) * (1 + size)

    rng, criterion, x, y = problem()
    with pytest.raises(GradcheckError, match=r"0.weight"):
        gradcheck(Sequential(build(Linear, rng), Slightly()), criterion, x, y)


def test_gradcheck_catches_nan_and_a_gradient_of_the_wrong_shape():
    class Broken(Tanh):
        gradient = None

        def backward(self, grad_output, input_grad=True):
            return self.gradient

    _rng, criterion, x, y = problem()
    layer = Broken()
    layer.gradient = np.full_like(x, np.nan)
    with pytest.raises(GradcheckError, match=r"input\[0, 0\]: analytic nan"):
        gradcheck(layer, criterion, x, y)
    layer.gradient = np.zeros((1, 3))
    with pytest.raises(
        ValueError, match=r"gradient with respect to the input .* \(5, 3\), got \(1, 3\)"
    ):
        gradcheck(layer, criterion, x, y)
    layer.gradient = None
    with pytest.raises(
        TypeError, match=r"gradient with respect to the input must be .* got NoneType"
    ):
        gradcheck(layer, criterion, x, y)


def kinked(distance, weight=1.0, size=1.0, relu=ReLU):
    """Return a model and a batch of which one pre-activation lies `distance` above ReLU's kink."""
    model = Sequential(Linear(2, 2), relu(), Linear(2, 1))
    model[0].weight.data[...] = [[weight, 0.5], [-0.7, 1.1]]
    model[2].weight.data[...] = [[1.5], [-0.8]]
    model[2].bias.data[...] = 0.3
    x = size * np.array([[0.8, 0.4], [-0.9, 0.6], [0.3, -0.5]])
    model[0].bias.data[...] = [distance - (x[0] @ model[0].weight.data)[0], 0.1]
    return model, x, np.array([[0.2], [-1.0], [0.7]])


@pytest.mark.parametrize("distance", [1e-7, -1e-7, 1e-9, 3e-8, 2e-6, -5e-6, 0.0])
@pytest.mark.parametrize("size", [1.0, 1000.0])
def test_a_right_gradient_near_a_kink_is_reported_and_not_failed(distance, size):
    model, x, y = kinked(distance, size=size)
    distances = model[0](x)
    distances[0, 0] = 1
    assert np.abs(distances).min() > 0.05, "only one pre-activation may be near the kink"
    report = gradcheck(model, MSELoss(), x, y)
    assert report
    assert report.kinks["0.bias"] == 1
    assert "0.bias: kink nearby at 1 of its entries, not compared there" in str(report)
    assert max(report.errors.values()) < 1e-7


def test_far_from_the_kink_nothing_is_reported():
    model, x, y = kinked(1e-2)
    assert not gradcheck(model, MSELoss(), x, y).kinks


def test_a_kink_that_matters_little_beside_the_rest():
    """One row in a thousand lies near the kink, so the slopes differ by less than a percent."""
    rng = np.random.default_rng(0)
    model = Sequential(Linear(1, 1, init=constant(1)), ReLU())
    x = np.concatenate([[[1e-7]], rng.uniform(0.5, 1, size=(999, 1))])
    report = gradcheck(model, MSELoss(), x, np.ones((1000, 1)))
    assert report.kinks["0.bias"] == 1


class ReLUDoubled(ReLU):
    def backward(self, grad_output, input_grad=True):
        return 2 * super().backward(grad_output)


class ReLUPasses(ReLU):
    def backward(self, grad_output, input_grad=True):
        return grad_output.copy()


class ReLUBlocks(ReLU):
    def backward(self, grad_output, input_grad=True):
        return np.zeros_like(grad_output)


@pytest.mark.parametrize("relu", [ReLUDoubled, ReLUPasses, ReLUBlocks])
@pytest.mark.parametrize("distance", [1e-7, -1e-7, 2e-6])
def test_a_wrong_gradient_near_a_kink_still_fails(relu, distance):
    model, x, y = kinked(distance, relu=relu)
    with pytest.raises(GradcheckError, match=r"0.weight"):
        gradcheck(model, MSELoss(), x, y)


@pytest.mark.parametrize("factor", [2, -1, 0.5, 1.1, 1.001])
def test_a_wrong_entry_at_the_kink_itself_still_fails(factor):
    """Everything but the entry at the kink is right, so only that entry can fail."""

    class WrongAtTheKink(ReLU):
        def backward(self, grad_output, input_grad=True):
            grad_input = super().backward(grad_output)
            grad_input[0, 0] *= factor
            return grad_input

    model, x, y = kinked(1e-7, relu=WrongAtTheKink)
    with pytest.raises(GradcheckError, match=r"input\[0, [01]\]: analytic"):
        gradcheck(model, MSELoss(), x, y)


def test_nothing_but_kinks_is_no_pass_and_no_failure():
    report = gradcheck(ReLU(), MSELoss(), np.full((1, 3), 1e-9), np.ones((1, 3)))
    assert not report
    assert not report.found_wrong
    assert report.kinks == {"input": 3}
    assert str(report).splitlines() == [
        "gradcheck could compare nothing (relative tolerance 1e-07)",
        "  input: kink nearby at 3 of its entries, not compared there",
    ]


@pytest.mark.parametrize("layer", [Linear(3, 3, rng=0), ReLU(), Tanh()])
def test_a_gradient_of_zeros_is_no_pass(layer):
    """Not even when nobody looks at the report: it would hide any mistake in ``backward``."""
    rng = np.random.default_rng(0)
    x = off_zero(rng, (4, 3))
    with pytest.raises(GradcheckError, match="gradcheck could compare nothing"):
        gradcheck(layer, MSELoss(), x, layer(x))
    report = gradcheck(layer, MSELoss(), x, layer(x), raise_exception=False)
    assert not report
    assert not report.found_wrong
    assert str(report).startswith("gradcheck could compare nothing")
    assert "input: gradient below the rounding noise" in str(report)


def test_gradients_of_a_trained_net_are_small_and_still_right():
    """The truncation error O(h²) does not shrink with the gradient, so a plain difference fails."""
    rng, criterion, x, _y = problem(batch=6)
    model = randomise(mlp([3, 8, 3], Tanh), rng)
    target = model(x)
    model[0].weight.data += 1e-6 * rng.normal(size=(3, 8))
    report = gradcheck(model, criterion, x, target)
    assert criterion(model(x), target) < 1e-9
    assert list(report.errors) == ["0.weight", "0.bias", "2.weight", "2.bias", "input"]
    with pytest.raises(GradcheckError, match=r"0.weight.*analytic .* numeric"):
        gradcheck(Sequential(model[0], TanhTwice(), model[2]), criterion, x, target)


def test_arrays_without_a_gradient_are_named():
    rng, criterion, x, y = problem()
    model = Sequential(build(Linear, rng), ReLU(), build(Linear, rng))
    model[0].bias.data[...] = -100
    report = gradcheck(model, criterion, x, y)
    assert report.unresolved == ["0.weight", "0.bias", "2.weight", "input"]
    assert list(report.errors) == ["2.bias"]
    assert "0.weight: gradient below the rounding noise" in str(report)


def test_a_backward_of_zeros_fails():
    class Zeros(Tanh):
        def backward(self, grad_output, input_grad=True):
            return np.zeros_like(grad_output)

    rng, criterion, x, y = problem()
    with pytest.raises(GradcheckError, match=r"0.weight.*analytic 0, numeric"):
        gradcheck(Sequential(build(Linear, rng), Zeros()), criterion, x, y)


@pytest.mark.parametrize("raise_after", [None, 1, 2, 3, 4, 10, 25, 60])
def test_gradcheck_leaves_everything_as_it_was(raise_after):
    class Failing(MSELoss):
        calls = 0

        def __call__(self, prediction, target):
            Failing.calls += 1
            if Failing.calls == raise_after:
                raise KeyError("midway")
            return super().__call__(prediction, target)

    rng, criterion, x, y = problem(Failing)
    model = randomise(mlp([3, 4, 3], Tanh), rng)
    grads = [p.grad for p in model.parameters()]
    for grad in grads:
        grad += rng.normal(size=grad.shape)
    before = [a.copy() for a in (x, y, *grads, *model.state_dict().values())]
    if raise_after is None:
        assert gradcheck(model, criterion, x, y)
    else:
        with pytest.raises(KeyError, match="midway"):
            gradcheck(model, criterion, x, y)
    assert all(p.grad is g for p, g in zip(model.parameters(), grads, strict=True))
    after = (x, y, *grads, *(p.data for p in model.parameters()))
    for a, b in zip(before, after, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("distance", [1e-7, 1e-2])
def test_after_gradcheck_the_model_remembers_the_batch_as_it_is(distance):
    model, x, y = kinked(distance)
    gradcheck(model, MSELoss(), x, y)
    after = model.backward(np.ones((3, 1)))
    grads = [p.grad.copy() for p in model.parameters()]
    model.zero_grad()
    model(x)
    assert np.array_equal(model.backward(np.ones((3, 1))), after)
    for p, grad in zip(model.parameters(), grads, strict=True):
        assert np.array_equal(p.grad, grad)


def test_gradcheck_of_an_autoencoder_whose_target_is_its_input():
    rng, criterion, x, _ = problem()
    assert gradcheck(randomise(mlp([3, 2, 3], Tanh), rng), criterion, x, x)


def test_gradcheck_does_not_mind_what_the_gradients_hold():
    rng, criterion, x, y = problem()
    model = build(Linear, rng)
    model.weight.grad.fill(np.nan)
    model.bias.grad.fill(1e30)
    assert gradcheck(model, criterion, x, y)
    assert np.isnan(model.weight.grad).all()
    assert (model.bias.grad == 1e30).all()


def test_an_in_place_change_is_all_that_is_reported():
    _rng, criterion, x, y = problem()

    class ScalesInPlace(Tanh):
        """Right but for the place: y = tanh(2 x)."""

        def forward(self, x):
            x *= 2
            return super().forward(x)

        def backward(self, grad_output, input_grad=True):
            return 2 * super().backward(grad_output)

    for fault, name in [
        (ReLUInPlaceForward, "x"),
        (ScalesInPlace, "x"),
        (TanhInPlace, "grad_output"),
    ]:
        report = gradcheck(fault(), criterion, x, y, raise_exception=False)
        assert report.modified == [name]
        assert not report.mismatches
        assert f"{name} was modified in place" in str(report)


def test_gradcheck_of_shared_weights():
    rng, criterion, x, y = problem()
    first, second = build(Linear, rng), build(Linear, rng)
    second.weight = first.weight
    report = gradcheck(Sequential(first, Tanh(), second), criterion, x, y)
    assert list(report.errors) == ["0.weight", "0.bias", "2.bias", "input"]


def test_gradcheck_in_float32():
    rng, criterion, x, y = problem()
    x, y = x.astype(np.float32), y.astype(np.float32)
    model = mlp([3, 4, 3], Tanh, rng=rng, dtype=np.float32)
    assert gradcheck(model, criterion, x, y, tol=1e-2)
    with pytest.raises(GradcheckError, match="weight"):
        gradcheck(Sequential(model, TanhTwice()), criterion, x, y, tol=1e-2)


class TanhTwice(Tanh):
    def backward(self, grad_output, input_grad=True):
        return 2 * super().backward(grad_output)


def test_the_report_says_what_rounding_hides():
    class Slightly(Tanh):
        def backward(self, grad_output, input_grad=True):
            return super().backward(grad_output) * 1.0001

    rng, criterion, x, y = problem()
    double = randomise(mlp([3, 4, 3], Tanh, rng=rng), rng)
    report = gradcheck(double, criterion, x, y)
    assert list(report.hidden) == list(report.errors)
    assert max(report.hidden.values()) < 1e-7
    assert "hidden" not in str(report)
    single = mlp([3, 4, 3], dtype=np.float32)
    single.load_state_dict(double.state_dict())
    x, y = x.astype(np.float32), y.astype(np.float32)
    report = gradcheck(Sequential(single[0], Tanh(), single[2]), criterion, x, y, tol=3e-5)
    for name, size in report.hidden.items():
        assert 1e-6 < size < 1e-3
        line = f"  {name}: errors below {size:.1g} are hidden by rounding"
        assert (line in str(report)) == (size > 3e-5)
    assert max(report.hidden.values()) > 3e-5
    size = 3 * max(report.hidden.values())
    Slightly.backward = lambda self, g, input_grad=True: Tanh.backward(self, g) * (1 + size)
    with pytest.raises(GradcheckError, match=r"0.weight"):
        gradcheck(Sequential(single[0], Slightly(), single[2]), criterion, x, y)


@pytest.mark.parametrize("activation", [ReLU, LeakyReLU, Tanh])
def test_float32_nets_are_compared_in_double_precision(activation):
    """In float32 itself, steps of 0.5 % of a weight cross kinks in any larger batch."""
    for seed in (0, 3, 7):
        rng = np.random.default_rng(900 + seed)
        model = mlp([6, 8, 8, 3], activation, rng=seed, dtype=np.float32)
        x = rng.normal(size=(200, 6)).astype(np.float32)
        y = rng.normal(size=(200, 3)).astype(np.float32)
        assert gradcheck(model, MSELoss(), x, y)
        assert {p.data.dtype for p in model.parameters()} == {np.dtype(np.float32)}

        class Slightly(activation):
            def backward(self, grad_output, input_grad=True):
                return super().backward(grad_output) * np.float32(1.001)

        wrong = Sequential(*(Slightly() if type(m) is activation else m for m in model))
        with pytest.raises(GradcheckError, match="analytic"):
            gradcheck(wrong, MSELoss(), x, y)


def test_a_layer_that_keeps_its_precision_is_compared_in_it():
    class Scale(Module):
        """Its factor is a plain array, which no copy of the parameters would change."""

        def __init__(self, dtype):
            self.factor = np.array([2.0], dtype)

        def forward(self, x):
            y = x.astype(self.factor.dtype) * self.factor
            self._remember(None, y)
            return y

        def backward(self, grad_output, input_grad=True):
            self._recall(grad_output)
            return grad_output * self.factor

    class Narrow(Module):
        """It has nothing that a copy could widen, and narrows what it is given."""

        def forward(self, x):
            y = x.astype(np.float32) * 2
            self._remember(None, y)
            return y

        def backward(self, grad_output, input_grad=True):
            self._recall(grad_output)
            return grad_output * 2

    x = np.array([[0.5, -1.0]], np.float32)
    for model in (
        Scale(np.float32),
        Narrow(),
        Sequential(Linear(2, 2, rng=0, dtype="f4"), Scale(np.float32)),
    ):
        report = gradcheck(model, MSELoss(), x, np.zeros_like(x), tol=1e-2)
        assert report
        assert max(report.hidden.values()) > 1e-4  # as coarse as float32 is


def test_a_report_shows_itself():
    rng, criterion, x, y = problem()
    report = gradcheck(build(Linear, rng), criterion, x, y)
    assert repr(report) == str(report) == "gradcheck passed (relative tolerance 1e-07)"
    assert issubclass(GradcheckError, AssertionError)


@pytest.mark.parametrize("raise_after", [None, 1, 2, 3, 4, 30])
@pytest.mark.parametrize("training", [True, False])
def test_real_layers_are_left_as_they_were(training, raise_after):
    class Failing(MSELoss):
        calls = 0

        def __call__(self, prediction, target):
            Failing.calls += 1
            if Failing.calls == raise_after:
                raise KeyError("midway")
            return super().__call__(prediction, target)

    rng = np.random.default_rng(0)
    model = Sequential(
        *(RNN(2, 3, rng=0), LastStep(), BatchNorm1d(3), PReLU(3)),
        Residual(Linear(3, 3, rng=1), Tanh()),
    )
    randomise(model, rng)
    x, y = rng.normal(size=(5, 2, 2)), rng.normal(size=(5, 3))
    model(x)
    model[2].train(training)
    modes = [module.training for _, module in model.named_modules()]
    for p in model.parameters():
        p.grad += rng.normal(size=p.shape)
    before = [p.grad.copy() for p in model.parameters()]
    buffers = [(buffer, buffer.copy()) for _, buffer in model.named_buffers()]
    if raise_after is None:
        assert gradcheck(model, Failing(), x, y)
    else:
        with pytest.raises(KeyError, match="midway"):
            gradcheck(model, Failing(), x, y)
    assert [module.training for _, module in model.named_modules()] == modes
    for p, grad in zip(model.parameters(), before, strict=True):
        assert np.array_equal(p.grad, grad)
    assert len(buffers) == 2
    for (_, now), (buffer, values) in zip(model.named_buffers(), buffers, strict=True):
        assert now is buffer
        assert np.array_equal(now, values)
    grad_input = model.backward(np.ones((5, 3)))
    model(x)
    assert np.array_equal(model.backward(np.ones((5, 3))), grad_input)


class NoBackward:
    def __call__(self, prediction, target):
        return 1.0


class BackwardOfNothing(MSELoss):
    def backward(self):
        return None


@pytest.mark.parametrize(
    ("model", "loss", "message"),
    [
        (None, MSELoss(), r"model must be a Module, got None \(NoneType\)"),
        (np.tanh, MSELoss(), "model must be a Module, got <ufunc 'tanh'>"),
        (Tanh, MSELoss(), "model must be a Module, got the class Tanh itself"),
        (NoBackward(), MSELoss(), "model must be a Module, got .*NoBackward object"),
        (Tanh(), None, r"loss must be a callable .* backward\(\), as MSELoss\(\), got None"),
        (Tanh(), "mse", "loss must be a callable .* got 'mse'"),
        (Tanh(), MSELoss, "loss must be a callable .* got the class MSELoss itself"),
        (Tanh(), NoBackward(), r"loss must have a backward\(\), as MSELoss\(\) has, got "),
        (Tanh(), BackwardOfNothing(), "the gradient of the loss must be a NumPy array, got None"),
    ],
)
def test_what_is_no_model_and_no_loss(model, loss, message):
    with pytest.raises(TypeError, match=message):
        gradcheck(model, loss, np.ones((2, 2)), np.ones((2, 2)))


def test_a_parameter_is_named():
    rng, criterion, x, y = problem()
    model = mlp([3, 4, 3], Tanh, rng=rng)
    with pytest.raises(ValueError, match=r"eps=1e-20 is too small to change 0.weight\[0, 0\]"):
        gradcheck(model, criterion, x, y, eps=1e-20)
    with pytest.raises(ValueError, match=r"eps=1e-20 is too small to change x\[0, 0\]"):
        gradcheck(Tanh(), criterion, x, y, eps=1e-20)
    model[2].weight.data.flags.writeable = False
    with pytest.raises(ValueError, match=r"2.weight must be writeable, .* got a read-only array"):
        gradcheck(model, criterion, x, y)


def test_tol_and_eps_are_used():
    rng, criterion, x, y = problem()
    model = randomise(mlp([3, 4, 3], Tanh), rng)
    with pytest.raises(GradcheckError, match="tolerance 1e-07"):
        gradcheck(model, criterion, x, y, eps=0.1)
    assert gradcheck(model, criterion, x, y, eps=0.1, tol=0.1)
    coarse = gradcheck(model, criterion, x, y, eps=0.1, tol=0.1).errors["input"]
    assert 1e-5 < coarse < 0.1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"tol": -1}, ValueError, "tol must be at least 0, got -1"),
        ({"tol": "x"}, TypeError, "tol must be a number, got 'x'"),
        ({"eps": 0}, ValueError, "eps must be positive, got 0"),
    ],
)
def test_gradcheck_options(options, error, message):
    rng, criterion, x, y = problem()
    with pytest.raises(error, match=message):
        gradcheck(build(Linear, rng), criterion, x, y, **options)


def test_gradcheck_refuses_integers():
    with pytest.raises(TypeError, match="x must hold floating-point numbers, got dtype int64"):
        gradcheck(Tanh(), MSELoss(), np.ones((2, 2), int), np.ones((2, 2)))


# Kinks, attacked


class Slope(Module):
    """Slope 1 above 0 and another below: LeakyReLU, |x|; at 0 itself whatever it is told."""

    below, at_zero = 0.01, 0.01

    def forward(self, x):
        slope = np.where(x > 0, 1, np.where(x < 0, self.below, self.at_zero)).astype(x.dtype)
        self._remember(slope, x)
        return x * slope

    def backward(self, grad_output, input_grad=True):
        return grad_output * self._recall(grad_output)


class Absolute(Slope):
    below, at_zero = -1.0, 0.0


DISTANCES = [0.0, 1e-12, 1e-9, 1e-7, 1e-6, 3e-6, 1.2e-5]


def many_kinks(activation, distance, units, batch=6, loss=MSELoss, seed=0, dtype=float):
    """Return a net with some units at a kink, of both signs, and all others far from it."""
    rng = np.random.default_rng(seed)
    while True:
        model = Sequential(Linear(3, 4, rng=rng), activation(), Linear(4, 2, rng=rng))
        randomise(model, rng)
        x = rng.normal(size=(batch, 3))
        for unit in range(units):
            model[0].bias.data[unit] -= model[0](x)[unit % 3, unit]
        others = np.abs(model[0](x))
        others[[unit % 3 for unit in range(units)], range(units)] = 1
        if others.min() > 0.5 / batch**2:
            break
    model[0].bias.data[:units] += distance * np.array([1, -1, 1, -1])[:units]
    y = rng.normal(size=(batch, 2)) if loss is MSELoss else rng.integers(2, size=batch)
    return model, loss(), x, y


@pytest.mark.parametrize(("units", "loss"), [(1, MSELoss), (2, CrossEntropyLoss), (4, MSELoss)])
@pytest.mark.parametrize("activation", [ReLU, Slope, Absolute])
@pytest.mark.parametrize("distance", DISTANCES)
def test_a_right_gradient_is_never_failed(activation, distance, units, loss):
    model, criterion, x, y = many_kinks(activation, distance, units, loss=loss, seed=units)
    report = gradcheck(model, criterion, x, y)
    if distance < 2e-6 and activation is not Absolute:  # at its kink 0 is the mean of the slopes
        assert report.kinks["0.bias"] == units


@pytest.mark.parametrize("factor", [1.01, 0.99, 1 + 1e-5])
@pytest.mark.parametrize(("activation", "units"), [(ReLU, 4), (Slope, 1), (Absolute, 2)])
@pytest.mark.parametrize("distance", [0.0, 1e-7, 3e-6])
def test_a_slightly_wrong_gradient_fails_near_kinks_too(activation, units, distance, factor):
    class Wrong(activation):
        def backward(self, grad_output, input_grad=True):
            return factor * super().backward(grad_output)

    model, criterion, x, y = many_kinks(Wrong, distance, units, batch=3)
    with pytest.raises(GradcheckError, match="analytic"):
        gradcheck(model, criterion, x, y)


def kinks_on_kinks(activation, seed):
    """Return a deep net with more than half of the units of each layer at a kink in some row."""
    rng = np.random.default_rng(seed)
    model, x = mlp([3, 4, 5, 4, 3], activation, rng=seed), rng.normal(size=(4, 3))
    z = x
    for linear, act in zip(list(model)[::2], [*list(model)[1::2], None], strict=True):
        distances = rng.choice([0, 1e-9, -1e-8, 1e-7, -1e-6, 3e-6, -1e-5, 3e-5], linear.bias.shape)
        at_kink = distances - linear(z)[rng.integers(4), :]
        linear.bias.data += np.where(rng.random(at_kink.shape) < 0.6, at_kink, 0)
        z = act(linear(z)) if act else z
    return model, MSELoss(), x, rng.normal(size=(4, 3))


@pytest.mark.parametrize("seed", [0, 192])
@pytest.mark.parametrize("activation", [ReLU, LeakyReLU, PReLU])
def test_kinks_in_every_layer(activation, seed):
    model, criterion, x, y = kinks_on_kinks(activation, seed)
    report = gradcheck(model, criterion, x, y)
    assert report.kinks["0.bias"] > 0


@pytest.mark.parametrize("activation", [ReLU, LeakyReLU, PReLU])
def test_a_row_of_zeros_in_a_wide_net(activation):
    for seed in (1, 9):  # the hardest among fifty
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(4, 8))
        x[1] = 0
        model = mlp([8, 16, 16, 4], activation, rng=seed)
        assert gradcheck(model, MSELoss(), x, rng.normal(size=(4, 4))).kinks["0.bias"] == 16


@pytest.mark.parametrize("slope", [5.0, -3.0])
def test_what_is_no_slope_at_the_kink_fails(slope):
    """Right everywhere but at exactly 0, where any slope from 0 to 1 would do."""

    class WrongAtZero(ReLU):
        def forward(self, x):
            y = super().forward(x)
            self._remember(np.where(x == 0, slope, x > 0), y)
            return y

    x = np.array([[0.0, 0.5, -0.5]])
    with pytest.raises(GradcheckError, match=r"input\[0, 0\]: analytic"):
        gradcheck(WrongAtZero(), MSELoss(), x, np.ones((1, 3)))
    assert gradcheck(ReLU(), MSELoss(), x, np.ones((1, 3))).kinks == {"input": 1}


def test_a_row_of_zeros_without_biases():
    """All units are at the kink, and neither slope of an input is the gradient 0 of backward."""
    rng = np.random.default_rng(0)
    model = Sequential(Linear(3, 8, rng=rng), ReLU(), Linear(8, 2, rng=rng))
    x = rng.normal(size=(5, 3))
    x[0] = 0
    report = gradcheck(model, MSELoss(), x, rng.normal(size=(5, 2)))
    assert report.kinks == {"0.bias": 8, "input": 3}


def test_a_kink_in_a_large_batch():
    model, criterion, x, y = many_kinks(ReLU, 1e-7, 1, batch=100)
    assert gradcheck(model, criterion, x, y).kinks["0.bias"] == 1


def test_kinks_in_float32():
    for distance in (0.0, 1e-7, 1e-4, 2e-3):
        double, criterion, x, y = many_kinks(ReLU, distance, 2)
        model = mlp([3, 4, 2], dtype=np.float32)
        model.load_state_dict(double.state_dict())
        x, y = x.astype(np.float32), y.astype(np.float32)
        assert gradcheck(model, criterion, x, y, tol=1e-2)
        wrong = Sequential(model[0], ReLUDoubled(), model[2])
        with pytest.raises(GradcheckError, match="analytic"):
            gradcheck(wrong, criterion, x, y, tol=1e-2)


# The numeric gradients come from numerical_gradients, whose short cut must not be fooled


WRONG_FORWARDS = [
    lambda self, x: self._both(x, x @ self.weight.data + 2 * self.bias.data),
    lambda self, x: self._both(x, x @ (1.01 * self.weight.data) + self.bias.data),
    lambda self, x: self._both(x, x @ (self.weight.data + 1e-5 * self.weight.data**2)),
    lambda self, x: self._both(x, (x + 1e-5 * x**2) @ self.weight.data + self.bias.data),
]


def remember(self, x, y):
    self._remember(x, y)
    return y


@pytest.mark.parametrize("wrong", WRONG_FORWARDS)
@pytest.mark.parametrize("on_instance", [True, False])
def test_a_wrong_forward_is_caught(monkeypatch, wrong, on_instance):
    monkeypatch.setattr(Linear, "_both", remember, raising=False)
    rng, criterion, x, y = problem()
    model = randomise(mlp([3, 4, 3], Tanh), rng)
    assert gradcheck(model, criterion, x, y)
    if on_instance:
        monkeypatch.setattr(model[0], "forward", lambda x: wrong(model[0], x), raising=False)
    else:
        monkeypatch.setattr(Linear, "forward", wrong)
    with pytest.raises(GradcheckError, match="analytic"):
        gradcheck(model, criterion, x, y)


def test_a_large_network_is_checked_without_a_pass_for_each_parameter(monkeypatch):
    calls, forward = [], Linear.forward
    monkeypatch.setattr(Linear, "forward", lambda self, x: calls.append(None) or forward(self, x))
    rng = np.random.default_rng(0)
    model, x = mlp([20, 30, 3], Tanh, rng=0), rng.normal(size=(4, 20))
    assert gradcheck(model, CrossEntropyLoss(), x, np.array([0, 1, 2, 0]))
    assert len(calls) < 4 * x.size + 60  # the input's differences, and 723 parameters with few


# Numbers that are none


class Nowhere(MSELoss):
    def __call__(self, prediction, target):
        return float("nan")


def test_what_is_not_finite_is_reported_and_never_passes():
    rng, criterion, x, y = problem()
    model = randomise(mlp([3, 4, 3], Tanh), rng)
    for value in (np.nan, np.inf):
        with pytest.raises(ValueError, match=rf"x must be finite, got {value} at index \(0, 1\)"):
            gradcheck(model, criterion, np.where(np.arange(3) == 1, value, x), y)
        with pytest.raises(ValueError, match="the loss must be finite, got nan"):
            gradcheck(model, Nowhere(), x, y)
        model[2].bias.data[1] = value
        with pytest.raises(
            ValueError, match=rf"2.bias must be finite, got {value} at index \(1,\)"
        ):
            gradcheck(model, criterion, x, y)
        model[2].bias.data[1] = 0


def test_a_loss_that_turns_nan_on_the_way_fails():
    class Turns(MSELoss):
        calls = 0

        def __call__(self, prediction, target):
            Turns.calls += 1
            value = super().__call__(prediction, target)
            return value if Turns.calls < 5 else float("nan")

    rng, _, x, y = problem()
    with pytest.raises(GradcheckError, match="numeric nan"):
        gradcheck(randomise(mlp([3, 4, 3], Tanh), rng), Turns(), x, y)
