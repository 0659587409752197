"""Parameters and modules: names, order, sharing, gradients in place, state."""

import numpy as np
import pytest

from gradnb import Linear, Module, Parameter, ReLU, Sequential, Tanh, mlp


class Branches(Module):
    """A module of one's own: parameters and modules are found as attributes."""

    def __init__(self):
        self.right = Linear(2, 1, rng=1)
        self.gain = Parameter(np.array([2.0]))
        self.left = Sequential(Linear(2, 1, rng=2), Tanh())


def test_parameter():
    data = np.array([[1.0, 2.0]])
    p = Parameter(data)
    assert p.data is data
    assert p.grad.tolist() == [[0, 0]]
    assert (p.shape, p.size) == ((1, 2), 2)
    assert Parameter(np.zeros(2, np.float32)).grad.dtype == np.float32
    assert repr(p) == "Parameter(shape=(1, 2), dtype=float64)"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([1.0], "data must be a NumPy array, got list"),
        (np.array([1]), "data must hold floating-point numbers, got dtype int64"),
    ],
)
def test_parameter_refuses(data, message):
    with pytest.raises(TypeError, match=message):
        Parameter(data)


def test_zero_grad_is_in_place():
    model = mlp([2, 3, 1], rng=0)
    grads = [p.grad for p in model.parameters()]
    for g in grads:
        g += 5
    model.zero_grad()
    for p, g in zip(model.parameters(), grads, strict=True):
        assert p.grad is g
        assert not g.any()
    p = Parameter(np.ones(2))
    grad = p.grad
    grad += 1
    p.zero_grad()
    assert p.grad is grad
    assert grad.tolist() == [0, 0]


def test_names_and_order():
    net = Sequential(
        Linear(2, 3), ReLU(), Sequential(Linear(3, 3, bias=False), Tanh(), Linear(3, 1))
    )
    named = dict(net.named_parameters())
    assert list(named) == ["0.weight", "0.bias", "2.0.weight", "2.2.weight", "2.2.bias"]
    assert named["2.2.bias"] is net[2][2].bias
    assert [id(p) for p in net.parameters()] == [id(p) for p in named.values()]
    assert [name for name, _ in net.named_modules()] == ["", "0", "1", "2", "2.0", "2.1", "2.2"]


def test_names_of_a_module_of_ones_own_are_those_of_pytorch():
    """Its own parameters first, then those of the modules inside, in the order of assignment."""
    names = [name for name, _ in Branches().named_parameters()]
    assert names == ["gain", "right.weight", "right.bias", "left.0.weight", "left.0.bias"]


def test_a_shared_parameter_is_listed_once_and_its_gradients_add():
    first, second = Linear(2, 2, rng=0, bias=False), Linear(2, 2, bias=False)
    second.weight = first.weight
    net = Sequential(first, second)
    assert [name for name, _ in net.named_parameters()] == ["0.weight"]
    assert len(list(net.parameters())) == 1
    assert list(net.state_dict()) == ["0.weight"]
    x, g = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([[1.0, 3.0], [-2.0, 1.0]])
    w = first.weight.data
    net(x)
    net.backward(g)
    # y = x W W, so dL/dW = xᵀ (g Wᵀ) + (x W)ᵀ g
    np.testing.assert_allclose(first.weight.grad, x.T @ g @ w.T + w.T @ x.T @ g, rtol=1e-13)


def test_train_and_eval_reach_every_module():
    net = Sequential(Linear(2, 2), Sequential(Tanh(), ReLU()))
    modules = [module for _, module in net.named_modules()]
    assert all(m.training is True for m in modules)
    assert net.eval() is net
    assert all(m.training is False for m in modules)
    assert net.train() is net
    assert all(m.training is True for m in modules)
    assert not net.train(False).training
    assert Tanh().training


def test_state_dict_is_a_copy():
    model = mlp([2, 3, 1], rng=0)
    state = model.state_dict()
    before = {name: value.copy() for name, value in state.items()}
    for p in model.parameters():
        p.data += 1
    for name, value in state.items():
        assert np.array_equal(value, before[name])
    state["0.weight"][...] = 99
    assert not (model[0].weight.data == 99).any()


def test_load_state_dict_writes_in_place_and_keeps_the_dtype():
    source, target = mlp([2, 3, 1], rng=0), mlp([2, 3, 1], rng=1, dtype=np.float32)
    arrays = [p.data for p in target.parameters()]
    state = source.state_dict()
    target.load_state_dict(state)
    for p, array, value in zip(target.parameters(), arrays, state.values(), strict=True):
        assert p.data is array
        assert array.dtype == np.float32
        assert np.array_equal(array, value.astype(np.float32))
    state["0.weight"][...] = 99
    assert not (target[0].weight.data == 99).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"1.weight": None}, r"missing 1\.weight \(3, 1\)"),
        ({"2.weight": np.ones(2)}, r"unknown 2\.weight \(2,\)"),
        ({"1.bias": np.ones((1, 1))}, r"1\.bias has shape \(1, 1\), expected \(1,\)"),
        ({"1.bias": np.array(["a"])}, r"1\.bias has dtype <U1, expected float64"),
        ({"1.bias": np.array([1j])}, r"1\.bias has dtype complex128, expected float64"),
        ({"1.bias": np.ma.masked_array([1.0], mask=True)}, r"1\.bias is a MaskedArray"),
        ({"1.bias": np.array([True])}, r"1\.bias has dtype bool, expected float64"),
        ({"0.weight": [[1.0, 2.0], [3.0]], "1.bias": 1.0}, r"0\.weight .*; 1\.bias has shape \(\)"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    model = Sequential(Linear(2, 3, rng=0), Linear(3, 1, rng=1))
    before = model.state_dict()
    state = {name: np.full_like(value, 7) for name, value in before.items()} | change
    state = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        model.load_state_dict(state)
    for name, value in model.state_dict().items():
        assert np.array_equal(value, before[name])


@pytest.mark.parametrize("error", [TypeError, RuntimeError])
def test_a_value_that_gives_no_array_changes_nothing(error):
    """PyTorch's tensors do so on another device, or with a gradient to follow."""

    class Elsewhere:
        def __array__(self, *args, **kwargs):
            raise error("cannot be converted")

    model = Linear(2, 1, rng=0)
    before = model.state_dict()
    with pytest.raises(ValueError, match="not fit this module: bias cannot be converted"):
        model.load_state_dict({"weight": np.zeros((2, 1)), "bias": Elsewhere()})
    assert np.array_equal(model.weight.data, before["weight"])


def test_a_state_too_large_for_the_type_changes_nothing():
    model = Linear(2, 1, dtype=np.float32, rng=0)
    before = model.state_dict()
    with pytest.raises(ValueError, match=r"bias has values too large for float32, up to 1e\+300"):
        model.load_state_dict({"weight": np.zeros((2, 1)), "bias": np.array([1e300])})
    assert np.array_equal(model.weight.data, before["weight"])
    model.load_state_dict({"weight": np.zeros((2, 1)), "bias": np.array([np.inf])})
    assert model.bias.data.tolist() == [np.inf]


def test_a_state_that_cannot_be_written_changes_nothing():
    model = Linear(2, 1, rng=0)
    state = {name: value + 1 for name, value in model.state_dict().items()}
    before = model.weight.data.copy()
    model.bias.data.flags.writeable = False
    with pytest.raises(ValueError, match="bias cannot be written to in this module"):
        model.load_state_dict(state)
    assert np.array_equal(model.weight.data, before)


def test_a_state_may_hold_the_module_s_own_arrays():
    model = Sequential(Linear(2, 2, rng=0), Linear(2, 2, rng=1))
    first, second = (layer.weight.data.copy() for layer in model)
    own = dict(model.named_parameters())
    swapped = {"0.weight": own["1.weight"].data, "1.weight": own["0.weight"].data}
    model.load_state_dict({name: p.data for name, p in own.items()} | swapped)
    assert np.array_equal(model[0].weight.data, second)
    assert np.array_equal(model[1].weight.data, first)


@pytest.mark.parametrize("mode", ["false", None, 0])
def test_train_takes_true_or_false(mode):
    with pytest.raises(TypeError, match=f"mode must be True or False, got {mode!r}"):
        Linear(1, 1).train(mode)


def test_a_parameter_can_be_written_to():
    with pytest.raises(ValueError, match=r"data must be writeable.* got a read-only array"):
        Parameter(np.broadcast_to(1.0, (3,)))


@pytest.mark.parametrize(
    "array",
    [np.ones((2, 2)).view(np.matrix), np.ma.masked_array(np.ones((2, 2)), mask=True)],
    ids=["matrix", "masked"],
)
def test_arrays_whose_operators_mean_other_things_are_refused(array):
    name = type(array).__name__
    layer = Linear(2, 2, rng=0)
    layer(np.ones((2, 2)))
    for call in (layer, ReLU(), Parameter):
        with pytest.raises(TypeError, match=f"must be a NumPy array, got {name}"):
            call(array)
    with pytest.raises(TypeError, match=f"grad_output must be a NumPy array, got {name}"):
        layer.backward(array)
    assert not layer.weight.grad.any()


def test_an_array_on_disk_is_as_good_as_any(tmp_path):
    x = np.memmap(tmp_path / "x", dtype=float, mode="w+", shape=(4, 3))
    x[...] = np.arange(12).reshape(4, 3)
    model, same = mlp([3, 2], rng=0), mlp([3, 2], rng=0)
    y = model(x)
    assert type(y) is np.ndarray
    assert np.array_equal(y, same(np.array(x)))
    assert np.array_equal(model.backward(y), same.backward(y))


def test_foreign_byte_order_is_refused():
    other = np.ones((2, 2)).astype(np.dtype(float).newbyteorder())
    with pytest.raises(TypeError, match=r"x must hold floating-point numbers, got dtype .f8"):
        ReLU()(other)
    with pytest.raises(TypeError, match="dtype must be a floating-point type"):
        Linear(2, 2, dtype=other.dtype)


def test_load_state_dict_refuses_what_is_no_dict():
    with pytest.raises(TypeError, match="state must be a dict of arrays, got list"):
        Linear(1, 1).load_state_dict([1.0])


def test_a_module_without_forward_or_backward_says_so():
    with pytest.raises(NotImplementedError, match="Branches has no forward"):
        Branches()(np.zeros((1, 2)))
    with pytest.raises(NotImplementedError, match="Branches has no backward"):
        Branches().backward(np.zeros((1, 2)))


def test_forward_hooks_look_on_and_can_be_removed():
    layer, seen = Linear(2, 1, rng=0), []
    handles = [
        layer.register_forward_hook(lambda *args, i=i: seen.append((i, *args)) or 99)
        for i in range(2)
    ]
    x = np.ones((1, 2))
    y = layer(x)
    assert [(i, module) for i, module, _, _ in seen] == [(0, layer), (1, layer)]
    assert seen[0][2][0] is x
    assert seen[0][3] is y
    handles[0].remove()
    handles[0].remove()
    layer(x)
    assert [i for i, *_ in seen] == [0, 1, 1]
    assert Linear(2, 1)._forward_hooks == ()
    with pytest.raises(TypeError, match="hook must be a callable, got 3"):
        layer.register_forward_hook(3)


def test_a_hook_registered_twice_is_removed_once():
    layer, seen = ReLU(), []

    def hook(*args):
        seen.append(args)

    handle, _ = layer.register_forward_hook(hook), layer.register_forward_hook(hook)
    handle.remove()
    handle.remove()
    layer(np.ones(1))
    assert len(seen) == 1
