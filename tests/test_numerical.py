"""Numerical gradients, and gradcheck: it passes what is right and names what is wrong."""

import re

import numpy as np
import pytest
from faults import LAYERS, LOSSES, ReLUInPlaceForward, TanhInPlace, build
from helpers import off_zero, randomise

from gradnb import (
    CrossEntropyLoss,
    Linear,
    MSELoss,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    gradcheck,
    mlp,
    numerical_gradient,
)
from gradnb.init import constant
from gradnb.numerical import GradcheckError

METHODS = {"central": 1e-9, "forward": 1e-6, "complex": 1e-15}


def cubes(x):
    return np.sum(x**3 + 2 * x)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(), (1,), (4,), (2, 3), (2, 1, 3), (0,), (2, 0)])
def test_every_method_on_a_polynomial(method, shape):
    x = np.array(np.random.default_rng(0).uniform(0.5, 2, size=shape))
    before = x.copy()
    gradient = numerical_gradient(cubes, x, method=method)
    assert gradient.shape == shape
    assert gradient.dtype == np.float64
    np.testing.assert_allclose(gradient, 3 * before**2 + 2, rtol=METHODS[method])
    assert np.array_equal(x, before)


def test_the_order_of_the_methods():
    """On x³ at 1, central has an error of exactly h² and forward one of 3h + h²."""
    x = np.array([1.0])
    for h in (2.0**-5, 2.0**-8):
        central = numerical_gradient(lambda x: x[0] ** 3, x, eps=h)
        forward = numerical_gradient(lambda x: x[0] ** 3, x, eps=h, method="forward")
        complex_step = numerical_gradient(lambda x: x[0] ** 3, x, eps=h, method="complex")
        np.testing.assert_allclose(central - 3, h**2, rtol=1e-9)
        np.testing.assert_allclose(forward - 3, 3 * h + h**2, rtol=1e-9)
        np.testing.assert_allclose(complex_step - 3, -(h**2), rtol=1e-9)


def test_the_default_is_the_central_difference():
    x = np.array([0.7, 30.0])
    default = numerical_gradient(lambda x: np.sum(np.sin(x)), x)
    assert np.array_equal(
        default, numerical_gradient(lambda x: np.sum(np.sin(x)), x, method="central")
    )
    np.testing.assert_allclose(default, np.cos(x), atol=1e-9)


@pytest.mark.parametrize(("method", "rtol"), [("central", 1e-8), ("forward", 1e-6)])
def test_the_step_grows_with_the_entry(method, rtol):
    x = np.array([1e6, -1e9, 1.0])
    gradient = numerical_gradient(
        lambda x: np.log(x[0]) + np.log(-x[1]) + np.log(x[2]), x, None, method
    )
    np.testing.assert_allclose(gradient, [1e-6, -1e-9, 1], rtol=5e-3)
    alone = np.array([1e8])
    gradient = numerical_gradient(lambda x: x[0] ** 2, alone, method=method)
    np.testing.assert_allclose(gradient, [2e8], rtol=rtol)


@pytest.mark.parametrize("method", ["central", "forward"])
def test_a_closure_over_the_same_array(method):
    w = np.array([[1.0, 2.0], [3.0, 4.0]])
    of_argument = numerical_gradient(cubes, w, method=method)
    of_closure = numerical_gradient(lambda _: cubes(w), w, method=method)
    assert np.array_equal(of_argument, of_closure)


def test_one_entry_at_a_time_and_each_put_back():
    x, seen = np.array([1.0, 2.0, 3.0]), []
    numerical_gradient(lambda x: seen.append(x.copy()) or 0.0, x, eps=0.5)
    assert [list(p) for p in seen] == [
        [1.5, 2, 3],
        [0.5, 2, 3],
        [1, 2.5, 3],
        [1, 1.5, 3],
        [1, 2, 3.5],
        [1, 2, 2.5],
    ]


def test_entries_are_put_back_to_the_last_bit():
    """0.1 + h − h is not 0.1 in floating point."""
    x = np.random.default_rng(0).normal(size=100)
    before = x.copy()
    for method in METHODS:
        numerical_gradient(cubes, x, eps=1e-3, method=method)
        assert np.array_equal(x, before)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("call", range(1, 7))
def test_entries_are_put_back_when_f_raises(method, call):
    x = np.array([0.1, 0.2, 0.3])
    before, calls = x.copy(), []

    def f(x):
        calls.append(None)
        if len(calls) == call:
            raise KeyError("midway")
        return np.sum(x**2)

    if call <= {"central": 6, "forward": 4, "complex": 3}[method]:
        with pytest.raises(KeyError, match="midway"):
            numerical_gradient(f, x, method=method)
    else:
        numerical_gradient(f, x, method=method)
    assert np.array_equal(x, before)


def test_entries_are_put_back_when_f_returns_too_much():
    x = np.array([0.1, 0.2])
    with pytest.raises(ValueError, match=r"f must return a single number, got .* shape \(2,\)"):
        numerical_gradient(lambda x: x * 2, x)
    assert x.tolist() == [0.1, 0.2]


def test_views_of_every_kind():
    base = np.random.default_rng(0).normal(size=(6, 8))
    before = base.copy()
    for view in (base[::2, 1::3], base.T, base[::-1, 0], np.asfortranarray(base)):
        gradient = numerical_gradient(cubes, view)
        np.testing.assert_allclose(gradient, 3 * view**2 + 2, rtol=1e-8)
    assert np.array_equal(base, before)


@pytest.mark.parametrize(
    ("method", "rtol"), [("central", 1e-3), ("forward", 5e-3), ("complex", 1e-6)]
)
def test_float32(method, rtol):
    x = np.array([0.5, 1.5], dtype=np.float32)
    gradient = numerical_gradient(cubes, x, method=method)
    assert gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, 3 * x**2 + 2, rtol=rtol)


def test_a_number_may_come_in_any_wrapping():
    x = np.array([2.0])
    for f in (
        lambda x: float(x[0] ** 2),
        lambda x: x[0] ** 2,
        lambda x: np.array(x[0] ** 2),
        lambda x: x[:, np.newaxis] ** 2,
    ):
        np.testing.assert_allclose(numerical_gradient(f, x), [4], rtol=1e-9)


def test_complex_needs_no_writeable_array_and_has_no_cancellation():
    x = np.array([1e-3, 0.5])
    x.flags.writeable = False
    gradient = numerical_gradient(lambda x: np.sum(np.exp(x) / x), x, method="complex")
    np.testing.assert_allclose(gradient, np.exp(x) * (x - 1) / x**2, rtol=2e-15)


def test_complex_refuses_a_function_that_ignores_its_argument():
    x = np.array([1.0, 2.0])
    for f in (lambda _: np.sum(x**2), lambda z: np.abs(z).sum(), lambda z: float(z[0].real)):
        with pytest.raises(TypeError, match=r"f must return a complex number .* got a real one"):
            numerical_gradient(f, x, method="complex")
    with pytest.raises(ValueError, match=r"f must return a single number, got .* shape \(2,\)"):
        numerical_gradient(lambda z: z, x, method="complex")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([1, 2]), r"x must hold floating-point numbers, got dtype int64.*astype\(float\)"),
        (np.array([True]), "x must hold floating-point numbers, got dtype bool"),
        (np.array([1j]), "x must hold floating-point numbers, got dtype complex128"),
        ([1.0, 2.0], "x must be a NumPy array, got list"),
        (1.0, "x must be a NumPy array, got float"),
    ],
)
def test_x_must_be_a_float_array(method, x, message):
    with pytest.raises(TypeError, match=message):
        numerical_gradient(cubes, x, method=method)


@pytest.mark.parametrize(
    ("eps", "error", "message"),
    [
        (0, ValueError, "eps must be positive, got 0"),
        (-1e-5, ValueError, "eps must be positive, got -1e-05"),
        (np.nan, ValueError, "eps must be finite, got nan"),
        (np.inf, ValueError, "eps must be finite, got inf"),
        ("1e-5", TypeError, "eps must be a number, got '1e-5'"),
        (1e-20, ValueError, r"eps=1e-20 is too small to change x\[0, 1\] = 3"),
    ],
)
def test_eps(eps, error, message):
    x = np.array([[0.0, 3.0]])
    with pytest.raises(error, match=message):
        numerical_gradient(cubes, x, eps=eps)
    assert x.tolist() == [[0, 3]]


def test_method_and_read_only_x():
    x = np.array([1.0])
    with pytest.raises(ValueError, match=r"method must be one of central, .* got 'backward'"):
        numerical_gradient(cubes, x, method="backward")
    x.flags.writeable = False
    for method in ("central", "forward"):
        with pytest.raises(ValueError, match=r"x must be writeable, .* got a read-only array"):
            numerical_gradient(cubes, x, method=method)


@pytest.mark.parametrize("result", [None, "1", 1j])
def test_f_must_return_a_real_number(result):
    with pytest.raises(TypeError, match=f"f must return a real number, got {result!r}"):
        numerical_gradient(lambda x: result, np.array([1.0]))


# gradcheck


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


def test_nothing_but_kinks_is_no_pass():
    with pytest.raises(GradcheckError, match="input: kink nearby at 3 of its entries"):
        gradcheck(ReLU(), MSELoss(), np.full((1, 3), 1e-9), np.ones((1, 3)))


@pytest.mark.parametrize("layer", [Linear(3, 3, rng=0), ReLU(), Tanh()])
def test_a_gradient_of_zeros_is_no_pass(layer):
    rng = np.random.default_rng(0)
    x = off_zero(rng, (4, 3))
    with pytest.raises(GradcheckError, match="input: gradient below the rounding noise"):
        gradcheck(layer, MSELoss(), x, layer(x))


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
