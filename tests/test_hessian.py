"""The Hessian from differences: of the gradient and of values."""

import numpy as np
import pytest
from helpers import randomise

from gradnb import CrossEntropyLoss, MSELoss, Tanh, hessian, mlp


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def rosenbrock_gradient(x):
    inner = x[1] - x[0] ** 2
    return np.array([-2 * (1 - x[0]) - 400 * x[0] * inner, 200 * inner])


def rosenbrock_hessian(x):
    return np.array([[2 - 400 * (x[1] - 3 * x[0] ** 2), -400 * x[0]], [-400 * x[0], 200]])


@pytest.mark.parametrize("eps", [None, 2.0**-10, 1.0])
def test_a_quadratic_exactly(eps):
    rng = np.random.default_rng(0)
    a = rng.integers(-4, 5, size=(5, 5)).astype(float)
    a += a.T
    x = rng.integers(-4, 5, size=5).astype(float)
    tol = 0 if eps else 1e-6
    from_values = hessian(lambda x: x @ a @ x / 2, x, eps)
    np.testing.assert_allclose(from_values, a, rtol=0, atol=tol)
    from_gradient = hessian(None, x, eps, gradient=lambda x: a @ x)
    np.testing.assert_allclose(from_gradient, a, rtol=0, atol=tol / 1e3)


@pytest.mark.parametrize("x", [[1.0, 1.0], [-1.2, 1.0], [0.3, -20.0]])
def test_rosenbrock(x):
    x = np.array(x)
    expected = rosenbrock_hessian(x)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(hessian(rosenbrock, x), expected, atol=2e-6 * scale)
    differences = hessian(rosenbrock, x, gradient=rosenbrock_gradient)
    np.testing.assert_allclose(differences, expected, atol=1e-9 * scale)


def test_the_error_is_of_second_order():
    """On x⁴ at 1 the error is 2h² from values and 4h² from the gradient 4x³."""
    x = np.array([1.0])
    for h in (2.0**-4, 2.0**-6):
        assert hessian(lambda x: x[0] ** 4, x, h)[0, 0] - 12 == pytest.approx(2 * h**2, rel=1e-9)
        error = hessian(None, x, h, gradient=lambda x: 4 * x**3)[0, 0] - 12
        assert error == pytest.approx(4 * h**2, rel=1e-9)


def test_a_saddle_has_eigenvalues_of_both_signs():
    eigenvalues = np.linalg.eigvalsh(hessian(lambda x: x[0] ** 2 - x[1] ** 2, np.zeros(2)))
    np.testing.assert_allclose(eigenvalues, [-2, 2], atol=1e-7)


def test_the_matrix_is_symmetric_though_the_differences_are_not():
    def wrong(x):
        return np.array([x[1] * 3, x[0]])

    matrix = hessian(None, np.array([0.5, 2.0]), gradient=wrong)
    np.testing.assert_allclose(matrix, [[0, 2], [2, 0]], atol=1e-9)
    x = np.random.default_rng(0).normal(size=(3, 2))
    for matrix in (
        hessian(lambda x: np.exp(np.sin(x).sum()), x),
        hessian(None, x, gradient=lambda x: np.exp(np.sin(x).sum()) * np.cos(x)),
    ):
        assert matrix.shape == (6, 6)
        assert np.array_equal(matrix, matrix.T)


@pytest.mark.parametrize("shape", [(), (1,), (2, 2), (0,)])
def test_shapes(shape):
    x = np.full(shape, 2.0)
    for matrix in (
        hessian(lambda x: np.sum(x**3), x),
        hessian(None, x, gradient=lambda x: np.asarray(3 * x**2)),
    ):
        assert matrix.shape == (x.size, x.size)
        np.testing.assert_allclose(matrix, 12 * np.eye(x.size), atol=1e-5)


@pytest.mark.parametrize("loss", [CrossEntropyLoss, MSELoss])
def test_all_parameters_of_a_network(loss):
    rng = np.random.default_rng(0)
    model, criterion = randomise(mlp([2, 3, 2], Tanh, rng=0), rng), loss()
    x = rng.normal(size=(6, 2))
    y = rng.integers(2, size=6) if loss is CrossEntropyLoss else rng.normal(size=(6, 2))
    arrays = [p.data for p in model.parameters()]
    before = [a.copy() for a in arrays]

    def gradient(_):
        model.zero_grad()
        criterion(model(x), y)
        model.backward(criterion.backward())
        return [p.grad for p in model.parameters()]  # the same arrays each time

    exact = hessian(None, arrays, gradient=gradient)
    values = hessian(lambda _: criterion(model(x), y), arrays)
    assert exact.shape == (17, 17)
    np.testing.assert_allclose(values, exact, atol=2e-6 * np.abs(exact).max())
    assert np.abs(exact).max() > 0.1
    for array, values in zip(arrays, before, strict=True):
        assert np.array_equal(array, values)


def test_lists_are_in_the_order_of_their_entries():
    a, b = np.array([[1.0, 2.0]]), np.array(3.0)
    matrix = hessian(lambda x: x[0][0, 0] * x[0][0, 1] ** 2 * x[1], [a, b])
    np.testing.assert_allclose(matrix, [[0, 12, 4], [12, 6, 4], [4, 4, 0]], atol=1e-5)


@pytest.mark.parametrize("call", range(1, 10))
@pytest.mark.parametrize("with_gradient", [True, False])
def test_everything_is_put_back_when_it_raises(call, with_gradient):
    x, calls = [np.array([0.1, 0.2]), np.array([0.3])], []
    before = [a.copy() for a in x]

    def f(x):
        calls.append(None)
        if len(calls) == min(call, 6 if with_gradient else 9):
            raise KeyError("midway")
        return [a * 1.0 for a in x] if with_gradient else sum(np.sum(a) for a in x)

    with pytest.raises(KeyError, match="midway"):
        hessian(f, x, gradient=f if with_gradient else None)
    assert all(np.array_equal(a, b) for a, b in zip(x, before, strict=True))


def test_float32():
    x = np.array([0.5, 1.5], dtype=np.float32)
    matrix = hessian(lambda x: 1.5 * x[0] ** 2 * x[1], x)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix, [[4.5, 1.5], [1.5, 0]], atol=2e-2)
    matrix = hessian(
        None, x, gradient=lambda x: np.array([3 * x[0] * x[1], 1.5 * x[0] ** 2], dtype=np.float32)
    )
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix, [[4.5, 1.5], [1.5, 0]], atol=1e-3)


two = [np.ones(2), np.ones(1)]
ERRORS = [
    (np.array([1, 2]), {}, TypeError, "x must hold floating-point numbers, got dtype int64"),
    (1.0, {}, TypeError, "x must be a NumPy array, got float"),
    ([np.ones(1), 2.0], {}, TypeError, r"x\[1\] must be a NumPy array, got float"),
    ([], {}, ValueError, "x must hold at least one array, got an empty list"),
    (two[:1] * 2, {}, ValueError, r"arrays of x must be apart, got x\[0\] and x\[1\] overlap"),
    (np.array([np.nan]), {}, ValueError, r"x must be finite, got nan at index \(0,\)"),
    (np.ones(2), {"eps": 0}, ValueError, "eps must be positive, got 0"),
    (np.ones(2), {"eps": 1e-20}, ValueError, r"eps=1e-20 is too small to change x\[0\] = 1"),
    (two, {"eps": 1e-20}, ValueError, r"eps=1e-20 is too small to change x\[0\]\[0\] = 1"),
    (np.ones(2), {"gradient": 1}, TypeError, "gradient must be a callable x -> array, got 1"),
    (
        np.ones(2),
        {"gradient": lambda x: np.ones(3)},
        ValueError,
        r"the gradient must have the shape of x, \(2,\), got \(3,\)",
    ),
    (
        np.ones(2),
        {"gradient": lambda x: [1.0, 2.0]},
        TypeError,
        "the gradient must be a NumPy array, got list",
    ),
    (np.ones(2), {"gradient": np.ndarray}, TypeError, "x -> array, got the class ndarray itself"),
    (np.ones(2), {"eps": 8e-17}, ValueError, r"eps=8e-17 is too small to change x\[0\] = 1"),
    (np.ones(2), {"eps": 1e308}, ValueError, r"eps=1e\+308 leads from x\[0\] = 1 out of the range"),
    (two, {"gradient": lambda x: x[0]}, TypeError, "return a list of 2 arrays, as x is, got ndar"),
    (two, {"gradient": lambda x: x[:1]}, TypeError, "return a list of 2 arrays, as x is, got 1"),
    (
        two,
        {"gradient": lambda x: x[::-1]},
        ValueError,
        r"gradient\[0\] must have the shape of x, \(2,\), got \(1,\)",
    ),
]


@pytest.mark.parametrize(("x", "options", "error", "message"), ERRORS)
def test_errors(x, options, error, message):
    with pytest.raises(error, match=message):
        hessian(lambda x: 0.0, x, **options)


def test_read_only_and_no_number():
    x = np.ones(2)
    with pytest.raises(ValueError, match=r"f must return a single number, got .* shape \(2,\)"):
        hessian(lambda x: x, x)
    with pytest.raises(TypeError, match="f must be a callable x -> number, got None"):
        hessian(None, x)
    with pytest.raises(TypeError, match="f must be a callable x -> number, got 3"):
        hessian(3, x, gradient=np.copy)
    x.flags.writeable = False
    with pytest.raises(ValueError, match=r"x must be writeable, .* got a read-only array"):
        hessian(np.sum, x)
