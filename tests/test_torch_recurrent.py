"""The recurrent layer against `torch.nn.RNN`, where PyTorch is installed."""

import numpy as np
import pytest

from gradnb import RNN, CrossEntropyLoss, LastStep, Linear, Sequential

torch = pytest.importorskip("torch")

NAMES = {"weight_ih": ["weight_ih_l0"], "weight_hh": ["weight_hh_l0"]}
NAMES["bias"] = ["bias_ih_l0", "bias_hh_l0"]
"""Ours and PyTorch's, whose two biases add to ours and so have the same gradient."""


def twin(rnn):
    """Return the PyTorch layer with the same weights, in float64."""
    other = torch.nn.RNN(
        rnn.input_size,
        rnn.hidden_size,
        bias=rnn.bias is not None,
        batch_first=True,
        dtype=torch.float64,
    )
    with torch.no_grad():
        for name, p in rnn.named_parameters():
            values = torch.tensor(p.data.T.copy())
            for their_name in NAMES[name]:
                getattr(other, their_name).copy_(values / len(NAMES[name]))
    return other


def agree(ours, theirs, rtol=1e-9):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max())


def parameters_agree(rnn, other):
    for name, p in rnn.named_parameters():
        for their_name in NAMES[name]:
            agree(p.grad.T, getattr(other, their_name).grad)


def random_rnn(rng, *sizes, **options):
    rnn = RNN(*sizes, rng=rng, **options)
    for p in rnn.parameters():
        p.data += rng.normal(0, 0.2, p.shape)
    return rnn


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("batch", "time", "n_in", "n"), [(1, 1, 1, 1), (5, 1, 3, 4), (1, 7, 3, 4), (8, 30, 5, 16)]
)
def test_states_and_all_gradients(batch, time, n_in, n, bias):
    rng = np.random.default_rng(time)
    rnn = random_rnn(rng, n_in, n, bias=bias)
    other = twin(rnn)
    x, g = rng.normal(size=(batch, time, n_in)), rng.normal(size=(batch, time, n))
    inputs = torch.tensor(x, requires_grad=True)
    h, _ = other(inputs)
    agree(rnn(x), h)
    h.backward(torch.tensor(g))
    agree(rnn.backward(g), inputs.grad)
    parameters_agree(rnn, other)


def test_a_classifier_of_sequences():
    rng = np.random.default_rng(1)
    model = Sequential(random_rnn(rng, 3, 8), LastStep(), Linear(8, 2, rng=rng))
    other, linear = twin(model[0]), torch.nn.Linear(8, 2, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(model[2].weight.data.T.copy()))
        linear.bias.copy_(torch.tensor(model[2].bias.data))
    x, target = rng.normal(size=(6, 20, 3)), rng.integers(2, size=6)
    inputs, criterion = torch.tensor(x, requires_grad=True), CrossEntropyLoss()
    value = criterion(model(x), target)
    reference = torch.nn.functional.cross_entropy(
        linear(other(inputs)[0][:, -1]), torch.tensor(target)
    )
    reference.backward()
    assert value == pytest.approx(reference.item(), rel=1e-12)
    agree(model.backward(criterion.backward()), inputs.grad)
    parameters_agree(model[0], other)
    agree(model[2].weight.grad.T, linear.weight.grad)
    agree(model[2].bias.grad, linear.bias.grad)


def test_an_exploding_gradient_overflows_at_the_same_steps():
    rnn = RNN(1, 1, init=lambda shape, rng: np.ones(shape), hidden_init=lambda s, r: [[100.0]])
    other, x, g = twin(rnn), np.zeros((1, 201, 1)), np.zeros((1, 201, 1))
    g[:, -1] = 1
    inputs = torch.tensor(x, requires_grad=True)
    other(inputs)[0].backward(torch.tensor(g))
    rnn(x)
    with np.errstate(all="ignore"):
        grad_input = rnn.backward(g)
    theirs = inputs.grad.numpy()
    assert np.array_equal(np.isfinite(grad_input), np.isfinite(theirs))
    assert not np.isfinite(theirs).all()
