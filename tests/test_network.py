"""Networks: order of forward and backward, sharing, the first layer's input gradient, errors."""

import numpy as np
import pytest
from helpers import check_layer, fourth_order, off_zero, randomise

from gradnb import (
    BatchNorm1d,
    CrossEntropyLoss,
    Linear,
    MSELoss,
    PReLU,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Tanh,
    mlp,
)
from gradnb.init import constant

NETS = {
    "smooth": lambda: mlp([3, 4, 2], Tanh),
    "sigmoid, no bias": lambda: mlp([3, 5, 4, 2], Sigmoid, bias=False),
    "nested": lambda: Sequential(
        Sequential(Tanh(), Linear(3, 4)), Sigmoid(), Sequential(Sequential(Linear(4, 2)))
    ),
    "one layer": lambda: Sequential(Linear(3, 2)),
    "residual": lambda: Residual(Linear(3, 4), Tanh(), Linear(4, 3), scale=0.5),
    "residual in residual": lambda: Sequential(
        Residual(Tanh(), Residual(Linear(3, 3), scale=-2), Sigmoid()), Linear(3, 2)
    ),
}


@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("net", NETS)
def test_gradients(net, batch):
    rng = np.random.default_rng(batch)
    check_layer(randomise(NETS[net](), rng), off_zero(rng, (batch, 3)), rng)


def test_gradients_of_a_relu_net():
    rng = np.random.default_rng(1)
    model = randomise(mlp([3, 6, 5, 2]), rng)
    x = off_zero(rng, (4, 3))
    z1 = model[0](x)
    z2 = model[2](model[1](z1))
    for z in (z1, z2):
        assert np.abs(z).min() > 0.02, "a pre-activation lies too close to the kink: another seed"
        assert 0.2 < np.mean(z > 0) < 0.8
    check_layer(model, x, rng)


@pytest.mark.parametrize("loss", [MSELoss, CrossEntropyLoss])
def test_gradients_through_a_loss(loss):
    rng = np.random.default_rng(2)
    model, criterion = randomise(mlp([3, 4, 3], Tanh), rng), loss()
    x = off_zero(rng, (5, 3))
    target = rng.normal(size=(5, 3)) if loss is MSELoss else np.array([0, 2, 1, 1, 0])
    criterion(model(x), target)
    grad_input = model.backward(criterion.backward())

    def value():
        return criterion(model(x), target)

    for analytic, array in [(grad_input, x), *((p.grad, p.data) for p in model.parameters())]:
        numeric = fourth_order(value, array)
        assert np.abs(analytic - numeric).max() <= 1e-7 * np.abs(numeric).max()


def test_forward_and_backward_by_hand():
    """With y = 3 · tanh(2 · x), dy/dx = 6 · (1 − tanh²)."""
    net = Sequential(Linear(1, 1, init=constant(2)), Tanh(), Linear(1, 1, init=constant(3)))
    x = np.array([[0.25]])
    t = np.tanh(0.5)
    assert net(x).item() == pytest.approx(3 * t, rel=1e-15)
    assert net.backward(np.array([[10.0]])).item() == pytest.approx(60 * (1 - t**2), rel=1e-14)
    assert net[2].weight.grad.item() == pytest.approx(10 * t, rel=1e-15)
    assert net[0].weight.grad.item() == pytest.approx(10 * 3 * (1 - t**2) * 0.25, rel=1e-14)
    assert net[0].bias.grad.item() == pytest.approx(10 * 3 * (1 - t**2), rel=1e-14)


def test_only_the_first_layer_skips_its_input_gradient():
    wanted = []

    class Spy(Linear):
        def backward(self, grad_output, input_grad=True):
            wanted.append((self.in_features, input_grad))
            return super().backward(grad_output, input_grad)

    net = Sequential(Sequential(Spy(1, 2), Spy(2, 3)), Tanh(), Spy(3, 4))
    net(np.ones((2, 1)))
    assert net.backward(np.ones((2, 4)), input_grad=False) is None
    assert wanted == [(3, True), (2, True), (1, False)]


def test_mlp_structure():
    model = mlp([4, 3, 2, 1], Tanh, rng=0)
    assert repr(model) == ("Sequential(Linear(4, 3), Tanh(), Linear(3, 2), Tanh(), Linear(2, 1))")
    assert repr(mlp((2, 1))) == "Sequential(Linear(2, 1))"
    assert isinstance(mlp([2, 2, 1])[1], ReLU)
    assert [layer.bias for layer in mlp([2, 2, 1], bias=False) if isinstance(layer, Linear)] == [
        None,
        None,
    ]
    assert mlp([2, 1], init=constant(4))[0].weight.data.tolist() == [[4], [4]]
    assert len(model) == 5


def test_mlp_draws_layer_after_layer_from_one_generator():
    model, rng = mlp([3, 4, 2], rng=5), np.random.default_rng(5)
    expected = [Linear(3, 4, rng=rng), Linear(4, 2, rng=rng)]
    for layer, other in zip([model[0], model[2]], expected, strict=True):
        assert np.array_equal(layer.weight.data, other.weight.data)
    generator = np.random.default_rng(5)
    assert np.array_equal(mlp([3, 4, 2], rng=generator)[2].weight.data, model[2].weight.data)


def test_mlp_stays_in_float32():
    model = mlp([3, 4, 2], Sigmoid, rng=0, dtype=np.float32)
    criterion = MSELoss()
    y = model(np.ones((2, 3), np.float32))
    criterion(y, np.zeros((2, 2), np.float32))
    assert y.dtype == model.backward(criterion.backward()).dtype == np.float32
    assert {p.grad.dtype for p in model.parameters()} == {np.dtype(np.float32)}


def test_one_layer_object_in_two_places_is_refused():
    layer, act = Linear(2, 2), Tanh()
    with pytest.raises(ValueError, match="the same Linear object stands at 0 and at 1"):
        Sequential(layer, layer)
    with pytest.raises(ValueError, match=r"the same Linear object stands at 0\.0 and at 2"):
        Sequential(Sequential(layer, Tanh()), Tanh(), layer)
    with pytest.raises(ValueError, match=r"the same Tanh object stands at 0\.1 and at 1\.1"):
        Sequential(Sequential(Linear(2, 2), act), Sequential(Linear(2, 2), act))
    inner = Sequential(Tanh())
    with pytest.raises(ValueError, match="the same Sequential object stands at 0 and at 1"):
        Sequential(inner, inner)
    relu = ReLU()
    with pytest.raises(ValueError, match="the same ReLU object stands at 1 and at 3"):
        mlp([2, 2, 2, 1], lambda: relu)


@pytest.mark.parametrize(
    ("modules", "error", "message"),
    [
        ([], ValueError, "modules must hold at least one module, got none"),
        ([Tanh], TypeError, r"modules\[0\] must be a Module, got type"),
        ([Tanh(), np.tanh], TypeError, r"modules\[1\] must be a Module, got ufunc"),
        ([[Tanh()]], TypeError, r"modules\[0\] must be a Module, got list"),
    ],
)
def test_sequential_errors(modules, error, message):
    with pytest.raises(error, match=message):
        Sequential(*modules)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([3],), ValueError, r"sizes must hold at least two integers, got \[3\]"),
        (([],), ValueError, r"sizes must hold at least two integers, got \[\]"),
        (([3, 0],), ValueError, r"sizes\[1\] must be at least 1, got 0"),
        (([3.0, 1],), TypeError, r"sizes\[0\] must be an integer, got 3\.0"),
        ((3,), TypeError, "sizes must be a sequence of integers, got 3"),
        (([3, 1], Tanh()), TypeError, r"activation must be a class .* got Tanh\(\)"),
        (([3, 1], "tanh"), TypeError, "activation must be a class .* got 'tanh'"),
        (([3, 2, 1], dict), TypeError, "activation must make a layer .* got .*dict.* a dict$"),
        (([3, 2, 1], np.tanh), TypeError, "activation must make a layer .* got <ufunc 'tanh'>"),
        (([3, 2, 1], BatchNorm1d), TypeError, "activation must make a layer .*BatchNorm1d"),
    ],
)
def test_mlp_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        mlp(*arguments)


def test_mlp_passes_its_options_on():
    with pytest.raises(TypeError, match=r"rng must be .* got 'x'"):
        mlp([2, 1], rng="x")
    with pytest.raises(TypeError, match="dtype must be a floating-point type"):
        mlp([2, 1], dtype=int)


def test_backward_errors_name_the_layer_and_the_shape():
    net = mlp([2, 3, 1], Tanh, rng=0)
    with pytest.raises(RuntimeError, match=r"Linear.backward was called before forward"):
        net.backward(np.zeros((1, 1)))
    net(np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"grad_output .* \(4, 1\), got \(4,\)"):
        net.backward(np.zeros(4))
    with pytest.raises(ValueError, match=r"x must have shape \(batch, 2\), got \(4, 3\)"):
        net(np.zeros((4, 3)))


def test_residual_by_hand():
    """With y = x + 0.5 · 3 tanh x, dy/dx = 1 + 1.5 (1 − tanh²)."""
    block = Residual(Tanh(), Linear(1, 1, init=constant(3)), scale=0.5)
    x = np.array([[0.25]])
    t = np.tanh(0.25)
    np.testing.assert_allclose(block(x), x + 1.5 * t, rtol=1e-15)
    np.testing.assert_allclose(block.backward(np.array([[2.0]])), 2 + 3 * (1 - t**2), rtol=1e-15)
    np.testing.assert_allclose(block[1].weight.grad, [[0.5 * 2 * t]], rtol=1e-15)


def test_residual_with_scale_0_is_the_identity():
    block = Residual(Linear(2, 2, rng=0), ReLU(), scale=0)
    x, g = np.array([[1.0, -2.0]]), np.array([[3.0, 4.0]])
    assert np.array_equal(block(x), x)
    assert np.array_equal(block.backward(g), g)
    assert not block[0].weight.grad.any()


def test_residual_is_a_module_like_others():
    block = Residual(Linear(2, 2, rng=0, dtype=np.float32), ReLU())
    assert block.scale == 1
    assert [name for name, _ in block.named_parameters()] == ["0.weight", "0.bias"]
    assert repr(block) == "Residual(Linear(2, 2), ReLU(), scale=1)"
    y = block(np.ones((3, 2), np.float32))
    assert y.dtype == block.backward(y).dtype == np.float32
    y = Residual(ReLU(), scale=0.3)(np.ones((3, 2), np.float32))
    assert y.dtype == np.float32
    with pytest.raises(ValueError, match="the same Linear object stands at 0"):
        Residual(block[0], block[0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (Residual, ValueError, "modules must hold at least one module, got none"),
        (lambda: Residual(ReLU), TypeError, r"modules\[0\] must be a Module, got type"),
        (lambda: Residual(ReLU(), scale="1"), TypeError, "scale must be a number, got '1'"),
        (lambda: Residual(ReLU(), scale=np.inf), ValueError, "scale must be finite, got inf"),
        (
            lambda: Residual(Linear(2, 1))(np.ones((4, 2))),
            ValueError,
            r"modules must give back the shape of x, \(4, 2\), got \(4, 1\)",
        ),
        (lambda: Residual(ReLU()).backward(np.ones(1)), RuntimeError, "Residual.backward was"),
    ],
)
def test_residual_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_residual_refuses_a_wrong_grad_output():
    block = Residual(Linear(2, 2, rng=0))
    block(np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"grad_output .* the output, \(3, 2\), got \(1, 2\)"):
        block.backward(np.ones((1, 2)))
    with pytest.raises(TypeError, match="grad_output must be a NumPy array, got list"):
        block.backward([[1.0, 2.0]] * 3)


def test_a_slice_is_a_network_of_the_same_layers():
    model = mlp([2, 3, 1], rng=0)
    x = np.ones((4, 2))
    assert np.array_equal(model[1:](model[:1](x)), model(x))
    assert model[:2][0] is model[0]


def test_a_subclass_of_sequential_registers_its_attributes():
    class Extended(Sequential):
        def __init__(self):
            super().__init__(Linear(2, 1, bias=False))
            self.after = Linear(1, 1, bias=False)

    assert [name for name, _ in Extended().named_parameters()] == ["0.weight", "after.weight"]


def test_mlp_makes_one_activation_for_each_hidden_layer():
    made = []

    def activation():
        made.append(Tanh())
        return made[-1]

    model = mlp([2, 3, 4, 1], activation)
    assert made == [model[1], model[3]]
    assert len(model) == 5


def test_mlp_gives_prelu_its_dtype():
    model = mlp([3, 2, 1], PReLU, dtype=np.float32, rng=0)
    y = model(np.ones((4, 3), np.float32))
    assert y.dtype == model.backward(y).dtype == model[1].weight.grad.dtype == np.float32
