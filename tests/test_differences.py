"""Numerical gradients of any function."""

import numpy as np
import pytest

from gradnb import numerical_gradient

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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_x_must_be_finite(method, value):
    x = np.array([[0.0, 1.0], [value, 2.0]])
    with pytest.raises(ValueError, match=rf"x must be finite, got {value} at index \(1, 0\)"):
        numerical_gradient(cubes, x, method=method)


def test_a_function_that_is_nan_shows_in_the_gradient():
    x = np.array([1e-7, 1.0])
    with np.errstate(invalid="ignore"):
        gradient = numerical_gradient(lambda x: np.sum(np.sqrt(x)), x)
    assert np.isnan(gradient[0])
    assert gradient[1] == pytest.approx(0.5)


@pytest.mark.parametrize("f", [3, None, "f", [np.sum], np.ndarray])
def test_f_must_be_a_function(f):
    with pytest.raises(TypeError, match="f must be a callable x -> number, got "):
        numerical_gradient(f, np.ones(2))


@pytest.mark.parametrize(
    ("eps", "x", "method", "message"),
    [
        (
            8e-17,
            1.0,
            "central",
            r"eps=8e-17 is too small to change x\[0\] = 1",
        ),  # moves 1 − h alone
        (8e-17, 1.0, "forward", r"eps=8e-17 is too small to change x\[0\] = 1"),
        (1.2e-16, -1.0, "forward", None),  # x + h moves, x − h would not
        (1.2e-16, -1.0, "central", None),
        (8e-17, -1.0, "central", r"eps=8e-17 is too small to change x\[0\] = -1"),  # −1 + h alone
        (1e300, np.float32(1), "central", r"eps=1e\+300 leads from x\[0\] = 1 out of .* float32"),
        (1e300, np.float32(1), "forward", r"eps=1e\+300 leads from x\[0\] = 1 out of .* float32"),
        (1e308, 1.0, "central", r"eps=1e\+308 leads from x\[0\] = 1 out of .* float64"),
        (1e308, 1e308, "forward", r"eps=1e\+308 leads from x\[0\] = 1e\+308 out of .* float64"),
        (None, np.finfo(float).max, "central", r"the step leads from x\[0\] = 1.79769e\+308 out"),
        (1e-60, np.float32(1), "complex", "eps=1e-60 is too small for float32"),
        (1e60, np.float32(1), "complex", "eps=1e[+]60 is too large for float32"),
    ],
)
def test_steps_that_would_mislead(eps, x, method, message):
    x = np.array([x])
    if message is None:
        numerical_gradient(lambda x: float(x[0]), x, eps, method)
    else:
        with pytest.raises(ValueError, match=message):
            numerical_gradient(lambda x: x.sum(), x, eps, method)


@pytest.mark.parametrize("method", [np.array([1, 2]), None, 3, ["central"]])
def test_a_method_that_is_no_string(method):
    with pytest.raises(ValueError, match="method must be one of central, forward, complex, got "):
        numerical_gradient(cubes, np.ones(2), method=method)
