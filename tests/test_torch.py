"""The same numbers as PyTorch, where it is installed."""

import functools

import numpy as np
import pytest

import gradnb
from gradnb import (
    BatchNorm1d,
    CrossEntropyLoss,
    LeakyReLU,
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

torch = pytest.importorskip("torch")
kaiming_uniform_ = pytest.importorskip("torch.nn.init").kaiming_uniform_


class TorchResidual(torch.nn.Sequential):
    def __init__(self, *modules, scale):
        super().__init__(*modules)
        self.scale = scale

    def forward(self, x):
        return x + self.scale * super().forward(x)


def twin(module):
    """Return the PyTorch module with the same parameters, buffers and mode, in float64."""
    double = {"dtype": torch.float64}
    if isinstance(module, Residual):
        return TorchResidual(*map(twin, module), scale=module.scale)
    if isinstance(module, Sequential):
        return torch.nn.Sequential(*map(twin, module))
    if isinstance(module, Linear):
        sizes = module.in_features, module.out_features
        other = torch.nn.Linear(*sizes, bias=module.bias is not None, **double)
    elif isinstance(module, PReLU):
        other = torch.nn.PReLU(module.num_parameters, **double)
    elif isinstance(module, BatchNorm1d):
        options = {"eps": module.eps, "momentum": module.momentum}
        other = torch.nn.BatchNorm1d(module.num_features, **options, **double)
    elif isinstance(module, LeakyReLU):
        return torch.nn.LeakyReLU(module.negative_slope)
    else:
        return getattr(torch.nn, type(module).__name__)()
    state = {
        name: torch.tensor(array.T if array.ndim == 2 else array)
        for name, array in module.state_dict().items()
    }
    other.load_state_dict(state, strict=False)  # PyTorch counts batches too
    return other.train(module.training)


def agree(ours, theirs, rtol=1e-9):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max())


def compare_parameters(ours, theirs):
    names = [name for name, _ in ours.named_parameters()]
    assert names == [name for name, _ in theirs.named_parameters()]
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        agree(p.data.T, q)  # a vector is its own transpose
        agree(p.grad.T, q.grad)


@pytest.mark.parametrize("activation", [ReLU, Sigmoid, Tanh])
@pytest.mark.parametrize("loss", [MSELoss, CrossEntropyLoss])
def test_layers_and_losses(activation, loss):
    rng = np.random.default_rng(0)
    model = mlp([4, 6, 5, 3], activation, rng=rng)
    for p in model.parameters():
        p.data += rng.normal(0, 0.1, p.shape)
    x = rng.normal(size=(7, 4))
    target = rng.normal(size=(7, 3)) if loss is MSELoss else rng.integers(3, size=7)
    other, criterion = twin(model), loss()
    inputs = torch.tensor(x, requires_grad=True)
    value = criterion(model(x), target)
    reference = getattr(torch.nn, loss.__name__)()(other(inputs), torch.tensor(target))
    reference.backward()
    assert value == pytest.approx(reference.item(), rel=1e-12)
    agree(model.backward(criterion.backward()), inputs.grad)
    compare_parameters(model, other)


NETS = {
    "leaky": lambda rng: mlp([4, 6, 5, 3], lambda: LeakyReLU(0.2), rng=rng),
    "prelu": lambda rng: Sequential(
        *(Linear(4, 6, rng=rng), PReLU(6), Linear(6, 5, bias=False, rng=rng), PReLU()),
        Linear(5, 3, rng=rng),
    ),
    "batch norm": lambda rng: Sequential(  # a bias right before has no gradient but rounding
        *(Linear(4, 6, bias=False, rng=rng), BatchNorm1d(6), Tanh()),
        *(Linear(6, 5, bias=False, rng=rng), BatchNorm1d(5, eps=0.1, momentum=0.3), ReLU()),
        Linear(5, 3, rng=rng),
    ),
    "residual": lambda rng: Sequential(
        Linear(4, 6, rng=rng),
        Residual(BatchNorm1d(6), Sigmoid(), Linear(6, 6, rng=rng), scale=0.5),
        Residual(Residual(Linear(6, 6, rng=rng), Tanh(), scale=-1.5), ReLU()),
        Linear(6, 3, rng=rng),
    ),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("net", NETS)
def test_networks(net, training):
    """Two passes that accumulate, since the running statistics move between them."""
    rng = np.random.default_rng(3)
    model = NETS[net](rng)
    for p in model.parameters():
        p.data += rng.normal(0, 0.1, p.shape)
    for _, buffer in model.named_buffers():
        buffer += rng.uniform(0, 0.5, buffer.shape)
    model.train(training)
    other = twin(model)
    for _ in range(2):
        x, target = rng.normal(size=(7, 4)), rng.integers(3, size=7)
        inputs = torch.tensor(x, requires_grad=True)
        criterion = CrossEntropyLoss()
        value = criterion(model(x), target)
        reference = torch.nn.functional.cross_entropy(other(inputs), torch.tensor(target))
        reference.backward()
        assert value == pytest.approx(reference.item(), rel=1e-12)
        agree(model.backward(criterion.backward()), inputs.grad)
    compare_parameters(model, other)
    theirs = {name: b for name, b in other.named_buffers() if "num_batches" not in name}
    assert [*theirs] == [name for name, _ in model.named_buffers()]
    for name, buffer in model.named_buffers():
        agree(buffer, theirs[name])


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_batch_norm_of_large_float32_inputs(offset):
    """Ours and PyTorch's float32 are both held against its float64."""
    rng = np.random.default_rng(4)
    x = (offset + 64 * rng.normal(size=(200, 3))).astype(np.float32)
    g = rng.normal(size=x.shape).astype(np.float32)
    results = []
    for dtype in (torch.float32, torch.float64):
        inputs = torch.tensor(x, dtype=dtype, requires_grad=True)
        output = torch.nn.BatchNorm1d(3, dtype=dtype)(inputs)
        output.backward(torch.tensor(g, dtype=dtype))
        results.append((output.detach().numpy(), inputs.grad.numpy()))
    layer = BatchNorm1d(3, dtype=np.float32)
    ours = layer(x), layer.backward(g)
    for mine, single, double in zip(ours, *results, strict=True):
        scale = np.abs(double).max()
        error = np.abs(mine - double).max() / scale
        assert error < 1e-6
        assert error <= 4 * max(np.abs(single - double).max() / scale, 1e-7)


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e8])
def test_cross_entropy_of_large_logits(scale):
    logits = scale * np.random.default_rng(2).normal(size=(6, 4))
    target = np.array([0, 1, 2, 3, 0, 1])
    criterion, z = CrossEntropyLoss(), torch.tensor(logits, requires_grad=True)
    reference = torch.nn.functional.cross_entropy(z, torch.tensor(target))
    reference.backward()
    assert criterion(logits, target) == pytest.approx(reference.item(), rel=1e-12)
    agree(criterion.backward(), z.grad)


def test_initialisers_have_the_same_spread():
    torch.manual_seed(0)
    for ours, theirs in [
        (gradnb.init.he_normal, torch.nn.init.kaiming_normal_),
        (gradnb.init.glorot_normal, torch.nn.init.xavier_normal_),
        (gradnb.init.he_uniform, functools.partial(kaiming_uniform_, nonlinearity="relu")),
        (gradnb.init.glorot_uniform, torch.nn.init.xavier_uniform_),
        (gradnb.init.orthogonal, torch.nn.init.orthogonal_),
    ]:
        w = theirs(torch.empty(100, 400))  # PyTorch: (fan_out, fan_in)
        assert ours((400, 100), np.random.default_rng(0)).std() == pytest.approx(
            w.std().item(), rel=0.03
        )
