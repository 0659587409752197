"""The same numbers as PyTorch, where it is installed."""

import numpy as np
import pytest

import gradnb
from gradnb import CrossEntropyLoss, Linear, MSELoss, ReLU, Sequential, Sigmoid, Tanh, mlp

torch = pytest.importorskip("torch")


def twin(module):
    """Return the PyTorch module with the same weights, in float64."""
    if isinstance(module, Sequential):
        return torch.nn.Sequential(*map(twin, module))
    if not isinstance(module, Linear):
        return getattr(torch.nn, type(module).__name__)()
    linear = torch.nn.Linear(module.in_features, module.out_features, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(module.weight.data.T.copy()))
        linear.bias.copy_(torch.from_numpy(module.bias.data.copy()))
    return linear


def agree(ours, theirs, rtol=1e-9):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max())


def compare_parameters(ours, theirs):
    names = [name for name, _ in ours.named_parameters()]
    assert names == [name for name, _ in theirs.named_parameters()]
    for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        transpose = name.endswith("weight")
        agree(p.data.T if transpose else p.data, q)
        agree(p.grad.T if transpose else p.grad, q.grad)


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
    ]:
        w = theirs(torch.empty(100, 400))  # PyTorch: (fan_out, fan_in)
        assert ours((400, 100), np.random.default_rng(0)).std() == pytest.approx(
            w.std().item(), rel=0.03
        )
