"""The gradient doctor on PyTorch modules: what it says, and that nothing is changed."""

import copy
import functools
import gc
import random
import subprocess
import sys
import weakref
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import gradnb
from gradnb import CrossEntropyLoss, GradientMonitor, MSELoss, diagnose, mlp

torch = pytest.importorskip("torch")
pytest.importorskip("torch.fx")
nn, functional = torch.nn, torch.nn.functional

X, Y, *_ = gradnb.datasets.digits(rng=0)
X, Y = X[:64], Y[:64]
CRITERION = nn.CrossEntropyLoss()


def chain(*sizes, activation=nn.ReLU, dtype=torch.float32, seed=0, gain=1.0):
    """Return a network with weights by He's rule, times the gain."""
    torch.manual_seed(seed)
    layers = []
    for n_in, n_out in pairwise(sizes):
        layers += [nn.Linear(n_in, n_out, dtype=dtype), activation()]
        nn.init.normal_(layers[-2].weight, std=gain * (2 / n_in) ** 0.5)
        nn.init.zeros_(layers[-2].bias)
    return nn.Sequential(*layers[:-1])


def digits(dtype=torch.float32):
    return torch.tensor(X, dtype=dtype), torch.tensor(Y)


def cause(model, loss=CRITERION, x=None, y=None, **options):
    given = digits() if x is None else (x, y)
    return diagnose(model, loss, *given, **options).cause


# --- the same verdicts ----------------------------------------------------------------------------


def twin(model, dtype):
    """Return the same network as `mlp` made, with its gradients."""
    layers = []
    for module in model:
        if isinstance(module, gradnb.Linear):
            layers.append(nn.Linear(module.in_features, module.out_features, dtype=dtype))
            for name, p in module.named_parameters():
                theirs = getattr(layers[-1], name)
                theirs.data = torch.tensor(p.data.T)
                theirs.grad = torch.tensor(p.grad.T) if p.grad.any() else None
        else:
            layers.append(getattr(nn, type(module).__name__)())
    return nn.Sequential(*layers)


def linear_layers(model):
    return [m for m in model if isinstance(m, gradnb.Linear)]


def dead(model):
    linear_layers(model)[1].bias.data -= 30


def zero(model):
    for p in model.parameters():
        p.data[...] = 0


def copies(model):
    for layer in linear_layers(model):
        layer.weight.data[...] = 0.1


def twice(model):
    criterion = CrossEntropyLoss()
    for _ in range(3):
        criterion(model(X.astype(model[0].weight.data.dtype)), Y)
        model.backward(criterion.backward())


def saturate(model):
    linear_layers(model)[0].bias.data += 12


def shrink(model):
    for layer in linear_layers(model):
        layer.weight.data *= 0.2


def grow(model):
    for layer in linear_layers(model):
        layer.weight.data *= 4


def spoil(model):
    linear_layers(model)[1].weight.data[3, 2] = np.nan


NETS = {
    "healthy": ("healthy", gradnb.ReLU, 3, lambda model: None),
    "healthy tanh": ("healthy", gradnb.Tanh, 3, lambda model: None),
    "dead": ("dead", gradnb.ReLU, 4, dead),
    "zero": ("zero weights", gradnb.ReLU, 3, zero),
    "copies": ("symmetric", gradnb.Tanh, 3, copies),
    "three passes": ("not zeroed", gradnb.ReLU, 3, twice),
    "saturated": ("saturated", gradnb.Tanh, 3, saturate),
    "shrinking": ("vanishing", gradnb.ReLU, 8, shrink),
    "growing": ("exploding", gradnb.ReLU, 12, grow),
    "nan": ("nonfinite", gradnb.ReLU, 3, spoil),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("expected", "activation", "depth", "change"), NETS.values(), ids=NETS)
def test_the_verdict_on_the_same_network_in_numpy(expected, activation, depth, change, dtype):
    options = {"activation": activation, "rng": 0, "dtype": dtype}
    model = mlp([64, *[32] * (depth - 1), 10], **options)
    change(model)
    other = twin(model, getattr(torch, np.dtype(dtype).name))
    ours = diagnose(model, CrossEntropyLoss(), X.astype(dtype), Y)
    theirs = diagnose(other, CRITERION, torch.tensor(X.astype(dtype)), torch.tensor(Y))
    assert ours.cause == theirs.cause == expected
    assert [f.cause for f in ours.findings] == [f.cause for f in theirs.findings]
    assert theirs.loss == pytest.approx(ours.loss, rel=1e-4, nan_ok=True)
    assert len(theirs.layers) == len(ours.layers) == depth
    for a, b in zip(ours.layers, theirs.layers, strict=True):
        assert a.pop("name") == b.pop("name")
        assert a == pytest.approx(b, rel=1e-3, abs=1e-7, nan_ok=True)


def test_unscaled_inputs_and_a_fitted_network():
    x, y = digits()
    assert cause(chain(64, 32, 10), x=300 * x, y=y) == "unscaled inputs"
    x = torch.randn(64, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = chain(5, 16, 16, 2, activation=nn.Tanh, dtype=torch.float64)
    y = model(x).detach()
    assert cause(model, nn.MSELoss(), x, y) == "finished"


def test_underflow():
    model = chain(64, 32, 10)
    report = diagnose(model, lambda p, t: 1e-42 * CRITERION(p, t), *digits())
    assert report.cause == "underflow"
    assert cause(chain(64, 32, 10).double(), CRITERION, *digits(torch.float64)) == "healthy"


class WrongScale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient


class Wrong(nn.Module):
    def forward(self, x):
        return WrongScale.apply(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_wrong_backward(dtype):
    model = chain(64, 32, 32, 10, dtype=dtype, activation=nn.Tanh)
    model.insert(2, Wrong())
    report = diagnose(model, CRITERION, *digits(dtype))
    assert report.cause == "wrong backward"
    assert report.primary.where == "backward of 2 (Wrong)"


class WrongBlock(nn.Module):
    """The layers in it are right, and what it does between them is not."""

    def __init__(self, *layers):
        super().__init__()
        self.first, self.second = layers

    def forward(self, x):
        return self.second(WrongScale.apply(self.first(x)))


@pytest.mark.parametrize("p", [0.0, 0.2])
def test_the_place_of_a_wrong_backward(p):
    x, y = digits()
    model = chain(64, 32, 32, 10, activation=nn.Tanh)
    model[2] = WrongBlock(nn.Dropout(p), model[2])
    assert diagnose(model, CRITERION, x, y).primary.where == "backward of 2 (WrongBlock)" or p
    assert diagnose(model, CRITERION, x, y).cause == "wrong backward"
    model = convolutions().eval()
    model.insert(4, Wrong())
    report = diagnose(model, CRITERION, x.reshape(-1, 1, 8, 8), y)
    assert report.primary.where == "backward of 4 (Wrong)"
    report = diagnose(chain(64, 10), lambda q, t: WrongScale.apply(CRITERION(q, t)), x, y)
    assert report.primary.where == "backward of the loss"


def test_a_module_is_asked_again_by_itself():
    from gradnb.doctor.torch_subject import TorchSubject

    x = digits()[0].reshape(-1, 8, 8)
    model = nn.Sequential(
        *(nn.Conv1d(8, 4, 3, padding=1), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Dropout(0.5)),
        *(nn.LSTM(8, 4), nn.Identity()),
    )
    model[5].forward = lambda pair: pair[0]
    subject = TorchSubject(model, nn.MSELoss(), x, torch.zeros(64, 4, 4))
    with subject.untouched():
        run = subject.run()
        for stage in run.stages:
            again = subject.again(stage, stage.input)
            if stage.name == "3":  # its random numbers are those after other ones
                assert again is None
            elif stage.label != "Identity":
                np.testing.assert_allclose(again, stage.output, rtol=1e-5, atol=1e-7)
                assert not np.allclose(subject.again(stage, stage.input + 1), stage.output)


class Detached(nn.Module):
    def forward(self, x):
        return x.detach()


def test_a_path_that_is_cut():
    model = chain(64, 32, 32, 10)
    model.insert(2, Detached())
    report = diagnose(model, CRITERION, *digits())
    assert report.cause == "unreached"
    assert report.primary.evidence["parameters"] == 2
    assert "no gradient arrives: .grad is None" in report.primary.says


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.spare = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, x):
        return self.used(x)


def test_a_layer_that_is_never_used():
    report = diagnose(Unused(), CRITERION, *digits())
    assert report.cause == "unreached"
    assert report.primary.where.startswith("spare.")


@pytest.mark.parametrize("how", ["loss", "told", "untold"])
def test_a_penalty_in_balance(how):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 6, generator=generator, dtype=torch.float64)
    y = torch.randn(64, 1, generator=generator, dtype=torch.float64)
    model, decay = nn.Linear(6, 1, bias=False, dtype=torch.float64), 2.0
    a = 2 * x.T @ x / 64 + decay * torch.eye(6)
    model.weight.data = torch.linalg.solve(a, 2 * x.T @ y / 64).T.contiguous()

    def penalised(prediction, target):
        squares = sum((p**2).sum() for p in model.parameters())
        return functional.mse_loss(prediction, target) + decay / 2 * squares

    loss = penalised if how == "loss" else nn.MSELoss()
    assert cause(model, loss, x, y, weight_decay=decay if how == "told" else 0) == "penalty"


def test_a_saddle_and_a_plateau():
    x = torch.randn(64, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model = chain(6, 16, 1, activation=nn.Tanh, dtype=torch.float64, gain=1e-4)
    y = x[:, :1] - x[:, :1].mean()
    assert cause(model, nn.MSELoss(), x, y) == "saddle"
    model = chain(6, 16, 1, activation=nn.Tanh, dtype=torch.float64)
    assert cause(model, lambda p, t: 1 - torch.exp(-((p - t) ** 2)).mean(), x, y + 9) == "plateau"


# --- what is seen ---------------------------------------------------------------------------------


class Functional(nn.Module):
    """The activation and the dropout are functions, not modules."""

    def __init__(self, activation, p=0.0):
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)
        self.activation, self.p = activation, p

    def forward(self, x):
        for layer in (self.fc1, self.fc2):
            x = functional.dropout(self.activation(layer(x)), self.p, self.training)
        return self.fc3(x)


RELUS = {
    "F.relu": functional.relu,
    "in place": torch.relu_,
    "F.relu in place": functools.partial(functional.relu, inplace=True),
    "method": torch.Tensor.relu,
    "clamp": lambda x: x.clamp(min=0),
    "mask": lambda x: x * (x > 0),
    "where": lambda x: torch.where(x > 0, x, 0.0),
}


@pytest.mark.parametrize("p", [0.0, 0.3])
@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_functional_activations(relu, p):
    torch.manual_seed(0)
    model = Functional(relu, p)
    assert cause(model) == "healthy"
    model.fc2.bias.data -= 50
    if p and relu in (RELUS["mask"], RELUS["where"]):
        return  # what is neither a module nor an activation of PyTorch's must stand alone
    report = diagnose(model, CRITERION, *digits())
    assert report.cause == "dead"
    assert "fc2" in report.primary.where


def test_what_is_between_two_layers_was_copied():
    class Masked(nn.Sequential):
        def forward(self, x):
            h = self[0](x)
            return self[2](self[1](h * (h > 0)))

    between = stages(
        Masked(nn.Linear(64, 32), nn.Hardtanh(0, 0.1, inplace=True), nn.Linear(32, 10))
    )
    assert [s.name for s in between] == ["0", "0 → 1", "1", "2"]
    assert between[1].kind == "relu"
    np.testing.assert_array_equal(between[1].output, np.maximum(between[0].output, 0))
    assert between[1].output.max() > 0.1


@pytest.mark.parametrize("function", [torch.tanh, torch.sigmoid, torch.Tensor.tanh_])
def test_functional_saturation(function):
    torch.manual_seed(0)
    model = Functional(function, 0.1)
    model.fc1.weight.data *= 200
    model.fc2.weight.data *= 200
    report = diagnose(model, CRITERION, *digits())
    assert report.cause == "saturated"


def stages(model, *x, loss=CRITERION, y=None):
    from gradnb.doctor.torch_subject import TorchSubject

    subject = TorchSubject(model, loss, *(x or digits()[:1]), digits()[1] if y is None else y)
    with subject.untouched():
        return subject.run().stages


def test_what_a_layer_in_place_overwrites_was_seen_before():
    model = chain(64, 32, 10)
    other = copy.deepcopy(model)
    other[1].inplace = True
    for a, b in zip(stages(model), stages(other), strict=True):
        assert (a.name, a.label, a.kind) == (b.name, b.label, b.kind)
        for key in ("input", "output", "error_in", "error_out"):
            np.testing.assert_array_equal(getattr(a, key), getattr(b, key))
    assert (stages(other)[0].output < 0).any()
    other[0].bias.data -= 50
    assert cause(other) == "dead"


class Shortcut(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.branch = nn.Sequential(*layers)

    def forward(self, x):
        out = self.branch(x)
        out += x
        return out


def test_a_stage_has_its_own_error_not_that_of_the_shortcut():
    torch.manual_seed(0)
    first, inner, last = nn.Linear(64, 8), nn.Linear(8, 8), nn.Linear(8, 10)
    seen = {s.name: s for s in stages(nn.Sequential(first, Shortcut(inner), last))}
    own = seen["1.branch.0"].error_out @ inner.weight.detach().numpy()
    np.testing.assert_allclose(seen["1.branch.0"].error_in, own, rtol=1e-5, atol=1e-9)
    both = own + seen["1.branch.0"].error_out
    np.testing.assert_allclose(seen["0"].error_out, both, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(seen["2"].error_in, seen["1.branch.0"].error_out, rtol=1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_zeros_at_the_end_of_a_branch_block_nothing(first):
    torch.manual_seed(0)
    branch = Shortcut(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    nn.init.zeros_(branch.branch[2].weight)
    before = [] if first else [nn.Linear(64, 64), nn.ReLU()]
    model = nn.Sequential(*before, branch, nn.Linear(64, 10))
    assert cause(model) == "healthy"
    chained = nn.Sequential(*before, *branch.branch, nn.Linear(64, 10))
    assert cause(chained) == "zero weights"


def test_zeros_behind_an_embedding_block():
    torch.manual_seed(0)
    x = torch.randint(50, (32, 4))
    y = torch.randint(3, (32,))
    model = nn.Sequential(
        nn.Embedding(50, 8), nn.Flatten(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 3)
    )
    assert cause(model, CRITERION, x, y) == "healthy"
    nn.init.zeros_(model[2].weight)
    assert cause(model, CRITERION, x, y) == "zero weights"
    model[2] = Shortcut(nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 32))
    model[4] = nn.Linear(32, 3)
    nn.init.zeros_(model[2].branch[2].weight)
    assert cause(model, CRITERION, x, y) == "healthy"


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x):
        for _ in range(3):
            x = torch.tanh(self.inner(x))
        return self.outer(x)


def test_a_layer_used_several_times_has_several_stages():
    torch.manual_seed(0)
    seen = [s for s in stages(Shared()) if s.name == "inner"]
    assert len(seen) == 3
    errors = [s.error_out for s in seen]
    assert not np.array_equal(errors[0], errors[1])
    assert cause(Shared()) == "healthy"


class OnAGraph(nn.Module):
    """Takes all of its nodes or none."""

    def __init__(self, nodes):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.outer = nn.Linear(64, 16), nn.Linear(16, 10)
        self.register_buffer("edges", torch.eye(nodes))

    def forward(self, x):
        return self.outer(functional.relu(torch.mm(self.edges, self.inner(x))))


def test_a_batch_that_cannot_be_divided():
    model = OnAGraph(64)
    assert unchanged(model, lambda: cause(model)) == "healthy"
    model.inner.bias.data -= 50
    assert cause(model) == "dead"


class Autoencoder(nn.Module):
    """Leaves a part of the loss in an attribute."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.decoder = nn.Linear(64, 16), nn.Linear(8, 64)

    def forward(self, x):
        mean, log_variance = self.encoder(x).chunk(2, 1)
        self.divergence = (mean**2 + log_variance.exp() - log_variance - 1).mean() / 2
        return self.decoder(mean + torch.randn_like(mean) * (log_variance / 2).exp())


def test_a_loss_that_looks_into_the_model():
    model, (x, _) = Autoencoder(), digits()

    def loss(prediction, target):
        return functional.mse_loss(prediction, target) + model.divergence

    report = unchanged(model, lambda: diagnose(model, loss, x, x))
    assert report.cause == "healthy"
    assert not hasattr(model, "divergence")
    from gradnb.doctor.torch_subject import TorchSubject

    subject = TorchSubject(model, loss, x, x)
    with subject.untouched():
        run = subject.run()
    assert set(run.direct) == {"encoder.weight", "encoder.bias"}
    loss(model(x), x).backward()
    for name, p in model.named_parameters():
        np.testing.assert_allclose(run.gradients[name].T, p.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [torch.jit.script, torch.fx.symbolic_trace])
def test_models_that_were_compiled(make):
    model = make(chain(64, 32, 10))
    assert unchanged(model, lambda: cause(model)) == "healthy"


def test_tied_weights_are_listed_once():
    torch.manual_seed(0)

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.decoder = nn.Embedding(50, 16), nn.Linear(16, 50)
            self.decoder.weight = self.inner.weight
            nn.init.normal_(self.inner.weight, std=0.2)

        def forward(self, x):
            return self.decoder(torch.tanh(self.inner(x)))

    x = torch.randint(50, (64,))
    assert cause(Tied(), CRITERION, x, x.roll(1)) == "healthy"


class Recurrent(nn.Module):
    def __init__(self, kind, batch_first, scale=1.0, hidden=24):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = kind(8, hidden, batch_first=batch_first)
        nn.init.orthogonal_(self.rnn.weight_hh_l0)
        self.rnn.weight_hh_l0.data *= scale
        self.head = nn.Linear(hidden, 10)

    def forward(self, x):
        states, _ = self.rnn(x if self.rnn.batch_first else x.transpose(0, 1))
        return self.head(states[:, -1] if self.rnn.batch_first else states[-1])


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_sequences_stand_as_batch_time_features(kind):
    x = digits()[0].reshape(-1, 8, 8)
    runs = [stages(Recurrent(kind, first), x) for first in (True, False)]
    for a, b in zip(*runs, strict=True):
        assert (a.kind, b.kind) in {("recurrent",) * 2, ("other",) * 2}
        np.testing.assert_allclose(a.error_in, b.error_in, rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(a.output, b.output, rtol=1e-4, atol=1e-8)
    assert runs[0][0].error_in.shape == (64, 8, 8)
    assert cause(Recurrent(kind, False), x=x, y=digits()[1]) == "healthy"


def test_states_that_forget_everything():
    x, y = digits()
    assert cause(Recurrent(nn.RNN, True, scale=0.0), x=x.reshape(-1, 8, 8), y=y) == "zero weights"


@pytest.mark.parametrize("batch_first", [True, False])
def test_vanishing_through_time(batch_first):
    x, y = digits()
    model = Recurrent(nn.RNN, batch_first, scale=0.05)
    report = diagnose(model, CRITERION, x.reshape(-1, 8, 8), y)
    assert report.cause == "vanishing"
    assert "step 8 to step 1 of rnn (RNN)" in report.primary.where


def convolutions():
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)),
        *(nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(inplace=True)),
        *(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10)),
    )


def test_a_convolutional_network():
    x, y = digits()
    x = x.reshape(-1, 1, 8, 8)
    assert cause(convolutions(), x=x, y=y) == "healthy"
    model = convolutions()
    model[4].bias.data[:15] -= 50
    report = diagnose(model, CRITERION, x, y)
    assert report.cause == "dead"
    assert report.primary.evidence["units"] == 16
    assert report.primary.evidence["share"] == 15 / 16
    model = convolutions()
    model[4].weight.data[:] = model[4].weight.data[:1]
    model[4].bias.data[:] = 0
    assert cause(model, x=x, y=y) == "symmetric"


def test_signals_have_their_channels_last():
    layers = nn.Conv1d(8, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(24, 10)
    seen = stages(nn.Sequential(*layers), digits()[0].reshape(-1, 8, 8))
    assert [s.output.shape for s in seen[:4]] == [(64, 6, 4)] * 3 + [(64, 24)]
    assert seen[2].error_out.shape == seen[3].error_in.shape == (64, 6, 4)


@pytest.mark.parametrize(
    "layer",
    [
        *(nn.Linear(3, 4), nn.Conv1d(3, 4, 2), nn.Conv2d(3, 4, 2), nn.Conv3d(3, 4, 2)),
        *(nn.ConvTranspose1d(3, 4, 2), nn.ConvTranspose2d(3, 4, 2), nn.Embedding(3, 4)),
        *(nn.PReLU(4), nn.Bilinear(2, 3, 4), nn.GRU(3, 4)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_matrices_have_a_unit_a_column_and_find_back(layer):
    from gradnb.doctor.torch_layout import from_matrix, matrix

    for name, p in layer.named_parameters():
        w = p.detach().numpy()
        m = matrix(layer, w)
        np.testing.assert_array_equal(from_matrix(layer, m, w.shape), w)
        if name == "weight" and w.ndim > 1 and not isinstance(layer, nn.Bilinear):
            assert m.ndim == 2
            assert m.shape[1] == 4
            unit = w[:, 1] if "Transpose" in type(layer).__name__ or len(w) == 3 else w[1]
            np.testing.assert_array_equal(np.sort(m[:, 1]), np.sort(unit.ravel()))


def test_a_transformer():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
    model = nn.Sequential(nn.Linear(8, 32), layer, nn.Flatten(), nn.Linear(8 * 32, 10))
    x, y = digits()
    report = diagnose(model, CRITERION, x.reshape(-1, 8, 8), y)
    assert report.cause == "healthy"
    assert "1.self_attn MultiheadAttention" in [row["name"] for row in report.layers]
    layer.linear1.bias.data -= 50
    assert cause(model.double(), x=x.reshape(-1, 8, 8).double(), y=y) == "dead"


def test_the_attention_s_inner_parameters_are_part_of_it():
    torch.manual_seed(0)
    model = nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), nn.Flatten())
    x = digits()[0].reshape(-1, 8, 8)
    seen = stages(model, x, loss=nn.MSELoss(), y=torch.zeros(64, 64))
    weights = next(s.weights for s in seen if s.name == "0.self_attn")
    assert {"0.self_attn.in_proj_weight", "0.self_attn.out_proj.weight"} <= set(weights)


def test_what_was_frozen_is_said_to_be():
    model = chain(64, 32, 32, 10)
    for p in model[:3].parameters():
        p.requires_grad_(False)
    report = diagnose(model, CRITERION, *digits())
    frozen = [f for f in report.findings if "requires_grad is False" in f.says]
    assert len(frozen) == len(report.findings) == 1
    assert frozen[0].evidence["parameters"] == 4
    for p in model.parameters():
        p.requires_grad_(False)
    assert cause(model) == "unreached"


def test_batch_norm_and_dropout_in_both_modes():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10)
    )
    report = diagnose(model, CRITERION, *digits())
    assert report.findings == []
    model(digits()[0])
    report = diagnose(model.eval(), CRITERION, *digits())
    assert report.cause == "healthy"
    assert [f.cause for f in report.findings] == ["eval mode"]


@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, nn.utils.parametrizations.weight_norm])
def test_reparametrised_weights(norm):
    torch.manual_seed(0)
    model = nn.Sequential(norm(nn.Linear(64, 32)), nn.Tanh(), nn.Linear(32, 10))
    for _ in range(100):  # the power iteration of the spectral norm takes its direction as given
        model(digits()[0])
    assert unchanged(model, lambda: cause(model)) == "healthy"
    seen = stages(model)
    assert [s.name for s in seen] == ["0", "1", "2"]
    assert len(seen[0].weights) > 1


class Counting(nn.Module):
    """What it gives depends on how often it was called."""

    def __init__(self):
        super().__init__()
        self.inner, self.calls, self.seen = nn.Linear(64, 10), 0, []
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x):
        self.calls += 1
        self.seen.append(x)
        self.scale += 0.1
        return self.scale * self.inner(x) * (1 + 0.1 * self.calls)


def test_every_pass_starts_as_the_first():
    torch.manual_seed(0)
    model = Counting()
    assert unchanged(model, lambda: cause(model)) == "healthy"
    assert model.calls == 0
    assert model.seen == []


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    x, y = digits(dtype)
    model = chain(64, 32, 10).to(dtype)
    report = unchanged(model, lambda: diagnose(model, CRITERION, x, y))
    assert report.cause == "healthy"
    model[0].bias.data -= 50
    assert cause(model, x=x, y=y) == "dead"


def test_half_precision_underflows():
    x, y = digits(torch.float16)
    model = chain(64, 32, 10).half()
    assert cause(model, lambda p, t: 1e-6 * CRITERION(p, t), x, y) == "underflow"


class SinglePrecision(nn.Module):
    """Writes its type down, so that double precision is no way."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(64, 10)

    def forward(self, x):
        return self.inner(x.to(torch.float32) + torch.zeros(64, dtype=torch.float32))


def test_where_double_precision_is_not_possible():
    torch.manual_seed(0)
    model = SinglePrecision()
    assert unchanged(model, lambda: cause(model)) == "healthy"


def test_a_loss_in_single_precision_is_no_double_precision():
    from gradnb.doctor.torch_subject import TorchSubject

    for loss, wide in ((CRITERION, True), (lambda p, t: CRITERION(p.float(), t), False)):
        subject = TorchSubject(chain(64, 10), loss, *digits())
        with subject.untouched():
            assert subject.widen() == wide
            assert subject.run().gradients["0.weight"].dtype == (float if wide else np.float32)


def test_a_loss_may_work_in_place():
    assert cause(chain(64, 32, 10), lambda p, t: CRITERION(p.mul_(2), t)) == "healthy"


def test_frozen_parameters_are_not_moved():
    from gradnb.doctor.torch_subject import TorchSubject

    model = chain(64, 32, 10)
    model[0].weight.requires_grad_(False)
    subject = TorchSubject(model, CRITERION, *digits())
    before = {name: subject.values(name) for name in subject.names}
    with subject.shifted({name: np.ones_like(w) for name, w in before.items()}):
        moved = [name for name in subject.names if (subject.values(name) != before[name]).any()]
        np.testing.assert_allclose(subject.values("2.weight"), before["2.weight"] + 1)
    assert moved == ["0.bias", "2.weight", "2.bias"]
    assert all((subject.values(name) == before[name]).all() for name in subject.names)


def test_new_tensors_follow_into_double_precision():
    from gradnb.doctor.torch_subject import TorchSubject

    class State(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.RNN(8, 16, batch_first=True), nn.Linear(16, 10)

        def forward(self, x):
            states, _ = self.rnn(x, torch.zeros(1, len(x), 16))
            return self.head(states[:, -1])

    x, y = digits()
    subject = TorchSubject(State(), CRITERION, x.reshape(-1, 8, 8), y)
    with subject.untouched():
        assert subject.widen()
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("scale", [1.0, 3.0, 2.0**-20, 2.0**120, 2.0**140])
def test_an_error_is_scaled_as_if_in_one_step(scale):
    from gradnb.doctor.torch_gradients import times

    error = torch.tensor([1e-45, 3e-42, -2e-41])
    expected = error.double() * scale
    assert torch.equal(times(error, scale), expected.float())


# --- nothing is changed ---------------------------------------------------------------------------


def bits(tensor):
    return None if tensor is None else tensor.detach().cpu().contiguous().view(torch.uint8).numpy()


def snapshot(model):
    """Return everything that must stay, as comparable objects."""
    state = []
    for name, t in [*model.named_parameters(), *model.named_buffers()]:
        t_bits = bits(t.reshape(-1)).tobytes()
        state.append((name, id(t), t.data_ptr(), t.dtype, t.requires_grad, t_bits))
        state.append(t._version if isinstance(t, nn.Parameter) else None)  # graphs under way ask
        g = t.grad
        state.append((id(g), None if g is None else (g.data_ptr(), bits(g.reshape(-1)).tobytes())))
    for name, module in model.named_modules():
        hooks = [
            list(getattr(module, key))
            for key in vars(module)
            if key.endswith("_hooks") or "_hooks_" in key
        ]
        tensor_hooks = [len(p._backward_hooks or ()) for p in module.parameters()]
        state.append((name, module.training, sorted(vars(module)), hooks, tensor_hooks))
    kinds = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_default_dtype()
    numpy = np.random.get_state()  # noqa: NPY002
    drawn = torch.get_rng_state().tolist(), numpy[1].tolist(), numpy[2:], random.getstate()
    return [*state, kinds, drawn]


def unchanged(model, call):
    before = snapshot(model)
    try:
        return call()
    finally:
        after = snapshot(model)
        assert len(before) == len(after)
        for a, b in zip(before, after, strict=True):
            assert a == b


class Everything(nn.Module):
    """Dropout, batch statistics, a frozen layer, random numbers, and a step that may fail."""

    passes_left = 10**9

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm, self.frozen = nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Linear(32, 8)
        self.last = nn.Linear(8, 10)
        self.frozen.requires_grad_(False)
        self.generator = torch.Generator().manual_seed(3)
        self.plain, self.seen = torch.zeros(32), []

    def forward(self, x):
        h = functional.dropout(functional.relu_(self.norm(self.first(x))), 0.1, self.training)
        self.plain += h.detach().mean(0).to(self.plain)
        h = h + 1e-3 * torch.randn(h.shape, generator=self.generator)
        h = h + 1e-3 * float(np.random.default_rng().normal()) * 0 + 1e-3 * random.random()
        self.seen.append(h)
        if Everything.passes_left == 0:
            self.eval()
            torch.set_grad_enabled(False)
            raise ZeroDivisionError("in the middle")
        Everything.passes_left -= 1
        self.first.bias.requires_grad_(False)
        return self.last(torch.tanh(self.frozen(h)))


def trained(model, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        CRITERION(model(digits()[0]), digits()[1]).backward()
        optimizer.step()
    if isinstance(model, Everything):
        model.first.bias.requires_grad_(True)
    return model


def test_nothing_is_changed():
    model = trained(Everything())
    generator = model.generator.get_state()
    plain = model.plain, model.plain.clone()
    unchanged(model, lambda: cause(model))
    assert torch.equal(model.generator.get_state(), generator)
    assert model.plain is plain[0]
    assert torch.equal(*plain)


@pytest.mark.parametrize("where", ["first pass", "later", "much later", "loss", "backward"])
def test_nothing_is_changed_by_a_failure_midway(where, monkeypatch):
    model = trained(Everything())
    passes = {"first pass": 0, "later": 3, "much later": 11}
    monkeypatch.setattr(Everything, "passes_left", passes.get(where, 10**9))
    plain = model.plain, model.plain.clone()

    def loss(prediction, target):
        if where == "loss":
            model.first.weight.data += 1
            model.first.weight.grad += 1
            raise ZeroDivisionError("in the loss")
        value = CRITERION(prediction, target)
        return Fails.apply(value) if where == "backward" else value

    with pytest.raises(ZeroDivisionError):
        unchanged(model, lambda: cause(model, loss))
    assert model.plain is plain[0]
    assert torch.equal(*plain)
    assert len(model.seen) == 3


class Fails(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise ZeroDivisionError("on the way back")


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_caller_s_mode_does_not_matter(mode):
    model = chain(64, 32, 10)
    with mode():
        x, y = digits()
        assert unchanged(model, lambda: cause(model, x=x, y=y)) == "healthy"


def test_a_graph_under_way_survives():
    """Who asks between forward and backward gets the same gradient as who does not."""
    model = trained(chain(64, 32, 10))
    x, y = digits()
    value = CRITERION(model(x), y)
    (expected,) = torch.autograd.grad(value, model[0].weight, retain_graph=True)
    assert unchanged(model, lambda: cause(model)) == "healthy"
    model.zero_grad()
    value.backward()
    assert torch.equal(model[0].weight.grad, expected)


def test_hooks_of_others():
    """Those of users are called, those of a monitor are not: it watches training."""
    model, calls = chain(64, 32, 10), []
    model[0].register_forward_hook(lambda *_: calls.append(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with GradientMonitor(model, optimizer) as monitor:
        x, y = digits()
        spoiled = x.clone()
        spoiled[0, 0] = np.nan
        assert unchanged(model, lambda: cause(model, x=spoiled, y=y)) == "nonfinite"
        CRITERION(model(x), y).backward()
        optimizer.step()
        assert list(monitor.alarms) == []
    assert len(calls) > 1


def test_an_optimizer_in_the_backward_pass_takes_no_step():
    model = chain(64, 32, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for p in model.parameters():
        p.register_post_accumulate_grad_hook(lambda _: optimizer.step())
    assert unchanged(model, lambda: cause(model)) == "healthy"


def tensors_alive():
    gc.collect()
    return sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())


def test_nothing_is_kept_alive():
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(nn.Sequential):
        def forward(self, x):
            return self[2](checkpoint(lambda x: self[1](self[0](x)), x, use_reentrant=False))

    chained = functools.partial(chain, 64, 32, 10)
    for make in (chained, lambda: Checkpointed(*chained()), convolutions):
        model = make()
        x, y = digits()
        x = x.reshape(-1, 1, 8, 8) if len(model) > 3 else x
        report = diagnose(model, CRITERION, x, y)
        before = tensors_alive()
        reports = [diagnose(model, CRITERION, x, y) for _ in range(3)]
        assert tensors_alive() <= before
        assert all(r.to_dict() == report.to_dict() for r in reports)
        gone = weakref.ref(model)
        del model
        gc.collect()
        assert gone() is None


def test_checkpoints_run_twice_and_count_once():
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(nn.Sequential):
        def forward(self, x):
            return self[2](checkpoint(lambda x: self[1](self[0](x)), x, use_reentrant=False))

    plain = chain(64, 32, 10)
    names = [s.name for s in stages(plain)]
    seen = stages(Checkpointed(*plain))
    assert [s.name for s in seen] == names
    for a, b in zip(seen, stages(plain), strict=True):
        np.testing.assert_array_equal(a.error_out, b.error_out)


# --- bad input ------------------------------------------------------------------------------------


class Pair(nn.Linear):
    def forward(self, x):
        return super().forward(x), x


class Classes(nn.Linear):
    def forward(self, x):
        return super().forward(x).argmax(1)


def bad(model=None, loss=CRITERION, x=None, y=None):
    given = digits()
    model = chain(64, 10) if model is None else model
    return model, loss, given[0] if x is None else x, given[1] if y is None else y


BAD = {
    "tuple": (TypeError, r"model\(x\) must be a tensor, got tuple", bad(Pair(64, 10))),
    "integers": (TypeError, r"model\(x\) must be of a floating", bad(Classes(64, 10))),
    "array": (TypeError, "x must be a PyTorch tensor, got ndarray", bad(x=X)),
    "list": (TypeError, "x must be a PyTorch tensor, got list", bad(x=[1.0])),
    "empty": (ValueError, "x must hold at least one example", bad(x=torch.zeros(0, 64))),
    "lengths": (ValueError, "y must hold a target for each of the 64", bad(y=torch.zeros(3))),
    "nothing to train": (ValueError, "model must have parameters", bad(nn.Sequential(nn.ReLU()))),
    "gradnb loss": (TypeError, r"loss must be a function of tensors.*MSELoss", bad(loss=MSELoss())),
    "class": (TypeError, "loss must be a callable", bad(loss=nn.MSELoss)),
    "number": (TypeError, "loss must return a scalar tensor, got int", bad(loss=lambda p, t: 3)),
    "vector": (
        ValueError,
        r"loss must return a scalar tensor, got shape \(64,\)",
        bad(loss=nn.CrossEntropyLoss(reduction="none")),
    ),
    "lazy": (ValueError, "model must be initialised", bad(nn.LazyLinear(10))),
    "complex": (TypeError, "real parameters", bad(nn.Linear(64, 10, dtype=torch.cfloat))),
    "shape": (RuntimeError, "shapes cannot be multiplied", bad(x=torch.zeros(64, 5))),
}


@pytest.mark.parametrize(("error", "says", "given"), BAD.values(), ids=BAD)
def test_bad_input(error, says, given):
    model = given[0]
    call = functools.partial(diagnose, *given)
    with pytest.raises(error, match=says):
        call() if isinstance(model, nn.LazyLinear) else unchanged(model, call)


def test_a_model_made_where_nothing_can_be_differentiated():
    with torch.inference_mode():
        model = nn.Linear(64, 10)
    with pytest.raises(ValueError, match="inference_mode"):
        diagnose(model, CRITERION, *digits())


def test_a_loss_that_cannot_be_differentiated():
    model = chain(64, 10)

    def accuracy(prediction, target):
        return (prediction.argmax(1) == target).float().mean()

    assert unchanged(model, lambda: cause(model, accuracy)) == "unreached"


def test_not_finite():
    x, y = digits()
    x[3, 2] = np.nan
    assert diagnose(chain(64, 10), CRITERION, x, y).primary.where == "x"
    model = chain(64, 32, 32, 10)

    class Log(nn.Module):
        def forward(self, x):
            return torch.log(x.abs() * 0)

    model.insert(3, Log())
    report = diagnose(model, CRITERION, *digits())
    assert report.cause == "nonfinite"
    assert report.primary.where == "3 (Log)"


# --- only with torch ------------------------------------------------------------------------------

ONLY_NUMPY = """
import sys
import numpy as np
import gradnb
model = gradnb.mlp([4, 8, 3], rng=0)
x, y = np.random.default_rng(0).normal(size=(16, 4)), np.arange(16) % 3
print(gradnb.diagnose(model, gradnb.CrossEntropyLoss(), x, y).cause)
try:
    gradnb.diagnose(object(), gradnb.CrossEntropyLoss(), x, y)
except TypeError as error:
    print(error)
assert not [name for name in sys.modules if name.split(".")[0] == "torch"]
"""


def test_torch_is_imported_only_for_a_module_of_its_own():
    done = subprocess.run(
        [sys.executable, "-c", ONLY_NUMPY],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(gradnb.__file__).parent.parent,
    )
    assert done.stdout.startswith("healthy")
    assert "gradnb or PyTorch module, got object" in done.stdout
