"""Networks with one known trouble each, to judge `gradnb.diagnose` by, and healthy ones.

Every function under ``@idiom`` is one way in which people meet a cause. It gets a `Spec` and
returns model, loss, x, y and, if needed, options for the doctor; or None where that draw did not
come out. `case` draws again until `verify`, which knows nothing of the doctor, has no objection.
"""

import math
import zlib
from typing import NamedTuple

import cases_parts as parts
import faults
import numpy as np
from cases_evidence import TESTS, verify
from cases_parts import backprop, cast, function, jacobian, outputs, settle, task

from gradnb import (
    RNN,
    SGD,
    Adam,
    BatchNorm1d,
    CrossEntropyLoss,
    LastStep,
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
from gradnb.init import constant, glorot_normal, he_normal, normal, orthogonal

CAUSES = tuple(TESTS)


class Case(NamedTuple):
    cause: str
    name: str
    model: object
    loss: object
    x: np.ndarray
    y: np.ndarray
    options: dict


class Spec(NamedTuple):
    """What a case is drawn from. `depth` counts Linear layers; in an RNN it is the time steps."""

    depth: int
    width: int
    activation: type
    rng: np.random.Generator
    dtype: type


class Idiom(NamedTuple):
    make: object
    activations: tuple
    depths: tuple
    widths: tuple
    dtypes: tuple

    def fits(self, depth, width, activation, dtype):
        return (
            self.depths[0] <= depth <= self.depths[1]
            and self.widths[0] <= width <= self.widths[1]
            and activation in self.activations
            and np.dtype(dtype).type in self.dtypes
        )


RECTIFIERS, SQUASHERS = (ReLU, LeakyReLU), (Tanh, Sigmoid)
ALL = RECTIFIERS + SQUASHERS
USUAL = np.float32, np.float64
IDIOMS = {cause: [] for cause in CAUSES}


def idiom(cause, activations=ALL, depths=(3, 30), widths=(8, 128), dtypes=USUAL):
    def add(make):
        IDIOMS[cause].append(Idiom(make, activations, depths, widths, dtypes))
        return make

    return add


def case(cause, depth, width, activation, seed, dtype=np.float64, idiom=None):
    """Make one case: by the idiom of that name, or by one that fits, drawn by the seed.

    It raises ValueError where no idiom fits, and RuntimeError where no draw is what it should be,
    as of healthy ReLU networks of depth 30 and width 8, most of whose units are dead at birth.
    """
    fitting = [i for i in IDIOMS[cause] if i.fits(depth, width, activation, dtype)]
    if idiom is not None:
        fitting = [i for i in fitting if i.make.__name__ == idiom]
    if not fitting:
        raise ValueError(f"no idiom of {cause} fits {depth}, {width}, {activation}, {dtype}")
    key = [seed, zlib.crc32(repr((cause, depth, width, activation.__name__)).encode())]
    rng = np.random.default_rng(key)
    for chosen in rng.permutation(len(fitting)):
        try:
            return _drawn(cause, fitting[chosen], depth, width, activation, rng, dtype)
        except RuntimeError as error:
            failed = error
    raise failed


def cases(seed, dtype=None, causes=CAUSES, each=16, healthy=64):
    """Yield `each` cases of every cause and so many healthy ones, drawn by the seed."""
    for cause in causes:
        order = np.random.default_rng([seed, 1]).permutation(len(IDIOMS[cause]))
        for k in range(healthy if cause == "healthy" else each):
            chosen = IDIOMS[cause][order[k % len(order)]]
            rng = np.random.default_rng([seed, zlib.crc32(cause.encode()), k])
            kind = dtype if dtype in chosen.dtypes else None
            yield _drawn(cause, chosen, None, None, None, rng, kind)


def _drawn(cause, idiom, depth, width, activation, rng, dtype):
    for _ in range(60):
        spec = _spec(idiom, depth, width, activation, rng, dtype)
        with np.errstate(all="ignore"):
            made = idiom.make(spec)
        if made is None:
            continue
        model, loss, x, y, *options = made
        kind = f"{spec.activation.__name__} {np.dtype(spec.dtype).name}"
        name = f"{cause}: {idiom.make.__name__}, depth {spec.depth}, width {spec.width}, {kind}"
        found = Case(cause, name, model, loss, x, y, *(options or [{}]))
        if not verify(found):
            return found
    raise RuntimeError(f"{idiom.make.__name__}: 60 draws, none of them what it should be")


def _spec(idiom, depth, width, activation, rng, dtype):
    """Fill in what is not given, so that the network is not too large to test quickly."""
    drawn = depth is None, width is None
    while True:
        if drawn[0]:
            depth = round(math.exp(rng.uniform(*np.log(idiom.depths))))
        if drawn[1]:
            width = round(math.exp(rng.uniform(*np.log(idiom.widths))))
        if not any(drawn) or (depth * width**2 <= 60_000 and not width < depth < 30 * drawn[1]):
            break
    activation = activation or idiom.activations[rng.integers(len(idiom.activations))]
    dtype = dtype or idiom.dtypes[rng.integers(len(idiom.dtypes))]
    return Spec(depth, width, activation, rng, dtype)


# --- networks that are right ----------------------------------------------------------------------


def new(s, n_in, n_out, gain=1.0, init=None):
    """Draw a network whose signals keep their size, times `gain` in every hidden layer."""
    rule = he_normal if s.activation in RECTIFIERS else glorot_normal
    sizes = [n_in] + [s.width] * (s.depth - 1) + [n_out]
    model = mlp(sizes, s.activation, init=init or rule, rng=s.rng, dtype=s.dtype)
    if init is None and s.activation is Sigmoid and (s.depth > 3 or s.rng.random() < 0.5):
        centre(model)
    if gain != 1:
        for module in hidden(model):
            module.weight.data *= s.dtype(gain)
    return model


def centre(model):
    """Make of sigmoids what would be a tanh network: 2 sigmoid(2z) − 1 = tanh z."""
    *inner, last = linears(model)
    for i, layer in enumerate(inner):
        w = layer.weight.data
        layer.bias.data[...] = -2 * w.sum(axis=0) if i else 0
        layer.weight.data *= 4 if i else 2
    last.bias.data[...] = -last.weight.data.sum(axis=0)
    last.weight.data *= 2


def linears(model):
    return [m for m in model if isinstance(m, Linear)]


def hidden(model):
    return linears(model)[:-1]


def any_hidden(s, model, first=0):
    layers = hidden(model)
    return layers[s.rng.integers(first, len(layers))]


def fresh(s, kind=None, gain=1.0, init=None, n=None):
    x, y, loss = task(s, kind, n)
    return new(s, x.shape[1], outputs(y), gain, init), loss, x, y


def train(s, model, loss, x, y, steps, lr, batch=None, adam=False, decay=0.0, zero=True):
    """Train in batches; the last one's gradient is left in ``.grad``, as it is after any step."""
    rule = Adam if adam else SGD
    optimizer = rule(model.parameters(), lr=lr, weight_decay=decay)
    for _ in range(steps):
        rows = s.rng.permutation(len(x))[: batch or len(x)]
        if zero:
            optimizer.zero_grad()
        loss(model(x[rows]), y[rows])
        model.backward(loss.backward(), input_grad=False)
        optimizer.step()
    return model


# --- healthy --------------------------------------------------------------------------------------


@idiom("healthy")
def just_drawn(s):
    return fresh(s)


@idiom("healthy")
def trained_a_little(s):
    model, loss, x, y = fresh(s)
    steps = int(s.rng.integers(1, 60))
    adam = bool(s.rng.integers(2))
    batch = int(s.rng.choice([16, len(x)]))
    return train(s, model, loss, x, y, steps, 1e-3 if adam else 0.02, batch, adam), loss, x, y


@idiom("healthy", depths=(3, 8))
def trained_well(s):
    model, loss, x, y = fresh(s)
    steps = int(s.rng.integers(60, 200))
    return train(s, model, loss, x, y, steps, 2e-3, adam=True), loss, x, y


@idiom("healthy", depths=(3, 10))
def mild_decay(s):
    model, loss, x, y = fresh(s)
    decay = float(s.rng.choice([1e-5, 1e-4]))
    steps = int(s.rng.integers(10, 60))
    train(s, model, loss, x, y, steps, 0.03, decay=decay)
    return model, loss, x, y, {"weight_decay": decay}


@idiom("healthy")
def after_backward(s):
    model, loss, x, y = fresh(s)
    backprop(model, loss, x, y)
    return model, loss, x, y


@idiom("healthy")
def small_output_layer(s):
    model, loss, x, y = fresh(s)
    model[-1].weight.data *= s.dtype(s.rng.choice([0.01, 0.1]))
    return model, loss, x, y


@idiom("healthy", activations=(ReLU,), depths=(3, 12), widths=(24, 128))
def a_few_dead(s):
    model, loss, x, y = fresh(s)
    for layer in hidden(model):
        some = s.rng.random(s.width) < s.rng.uniform(0.05, 0.2)
        layer.bias.data[some] = -10
    return model, loss, x, y


@idiom("healthy", activations=SQUASHERS, depths=(3, 6))
def a_few_saturated(s):
    model, loss, x, y = fresh(s)
    for layer in hidden(model):
        some = s.rng.random(s.width) < s.rng.uniform(0.05, 0.15)
        layer.bias.data[some] = s.rng.choice([-8, 8])
    return model, loss, x, y


@idiom("healthy", depths=(3, 8))
def random_labels(s):
    x, _, _ = task(s, "function", 64)
    y = s.rng.integers(5, size=64)
    model = new(s, x.shape[1], 5)
    steps = int(s.rng.integers(0, 100))
    return train(s, model, CrossEntropyLoss(), x, y, steps, 0.05), CrossEntropyLoss(), x, y


@idiom("healthy", activations=RECTIFIERS)
def pixels_from_0_to_1(s):
    x, y = parts.digits(s.rng, 64)
    return new(s, 64, 10), CrossEntropyLoss(), x.astype(s.dtype), y


def rows_of(s, n_in, n_out, middle):
    """Linear, the middle, Linear: a network whose middle works at one width."""
    ends = [
        Linear(*shape, init=glorot_normal, rng=s.rng, dtype=s.dtype)
        for shape in [(n_in, s.width), (s.width, n_out)]
    ]
    return Sequential(ends[0], *middle, ends[1])


@idiom("healthy", activations=(ReLU, Tanh, LeakyReLU), depths=(3, 8), widths=(16, 96))
def batchnorm(s):
    x, y, loss = task(s, n=64)
    modules = list(new(s, x.shape[1], outputs(y)))
    normed = []
    for module in modules:
        if not isinstance(module, (Linear, BatchNorm1d)):
            normed.append(BatchNorm1d(s.width, dtype=s.dtype))
        normed.append(module)
    model = Sequential(*normed)
    steps = int(s.rng.integers(0, 30))
    return train(s, model, loss, x, y, steps, 0.02), loss, x, y


@idiom("healthy", activations=(ReLU, Tanh), depths=(4, 30), widths=(16, 64))
def residual(s):
    x, y, loss = task(s)
    return rows_of(s, x.shape[1], outputs(y), blocks(s)), loss, x, y


def blocks(s, scale=None, gain=1.0):
    n = max(1, (s.depth - 2) // 2)

    def layer(init):
        made = Linear(s.width, s.width, init=init, rng=s.rng, dtype=s.dtype)
        made.weight.data *= s.dtype(gain)
        return made

    scale = n**-0.5 if scale is None else scale
    pairs = [(layer(he_normal), s.activation(), layer(glorot_normal)) for _ in range(n)]
    return [Residual(*pair, scale=scale) for pair in pairs]


@idiom("healthy", activations=(Tanh,), depths=(3, 20), widths=(8, 48))
def orthogonal_rnn(s):
    return recurrent(s, 1.0, 0.3)


def recurrent(s, gain, size=0.3, n=32):
    """Make an RNN over `depth` steps, W_hh orthogonal times `gain`, its inputs times `size`."""
    x = s.rng.normal(size=(n, s.depth, 4)).astype(s.dtype)
    y = np.tanh(x[:, -3:].sum(axis=1)[:, :2])
    own = {"rng": s.rng, "dtype": s.dtype}
    rnn = RNN(4, s.width, init=normal(size / 2), hidden_init=orthogonal, **own)
    rnn.weight_hh.data *= s.dtype(gain)
    return Sequential(rnn, LastStep(), Linear(s.width, 2, **own)), MSELoss(), x, y


@idiom("healthy", activations=(ReLU,), depths=(3, 10), widths=(8, 64))
def prelu(s):
    x, y, loss = task(s)
    sizes = [x.shape[1]] + [s.width] * (s.depth - 1) + [outputs(y)]
    return mlp(sizes, PReLU, rng=s.rng, dtype=s.dtype), loss, x, y


# --- dead -----------------------------------------------------------------------------------------


@idiom("dead", activations=(ReLU,))
def one_layer_of_low_biases(s):
    model, loss, x, y = fresh(s)
    any_hidden(s, model).bias.data -= s.dtype(s.rng.uniform(20, 60))
    return model, loss, x, y


@idiom("dead", activations=(ReLU,))
def all_biases_low(s):
    model, loss, x, y = fresh(s)
    for layer in hidden(model):
        layer.bias.data -= s.dtype(s.rng.uniform(15, 25))
    return model, loss, x, y


@idiom("dead", activations=(ReLU,), widths=(32, 128))
def nearly_all_of_a_layer(s):
    model, loss, x, y = fresh(s)
    alive = s.rng.integers(1, max(2, s.width // 20))
    any_hidden(s, model).bias.data[alive:] -= s.dtype(s.rng.uniform(20, 40))
    return model, loss, x, y


@idiom("dead", activations=(ReLU,))
def negative_weights_after_relu(s):
    model, loss, x, y = fresh(s)
    layer = any_hidden(s, model, first=1)
    layer.weight.data[...] = -np.abs(layer.weight.data)
    layer.bias.data -= s.dtype(0.01)
    return model, loss, x, y


@idiom("dead", activations=(ReLU,), depths=(3, 12))
def killed_by_a_huge_rate(s):
    model, loss, x, y = fresh(s)
    optimizer = SGD(model.parameters(), lr=float(s.rng.uniform(0.3, 3)))
    for _ in range(30):
        if not math.isfinite(backprop(model, loss, x, y)):
            return None
        optimizer.step()
        a = x
        for module in model:
            a = module(a)
            if isinstance(module, ReLU) and np.mean(a.max(axis=0) <= 0) >= 0.9:
                return model, loss, x, y
    return None


@idiom("dead", activations=(ReLU,))
def dead_but_trained_on(s):
    model, loss, x, y = fresh(s)
    any_hidden(s, model).bias.data -= s.dtype(s.rng.uniform(20, 60))
    return train(s, model, loss, x, y, 30, 0.03), loss, x, y


# --- saturated ------------------------------------------------------------------------------------


@idiom("saturated", activations=SQUASHERS, depths=(3, 4))
def weights_times_50(s):
    return fresh(s, gain=50 if s.activation is Tanh else 200)


@idiom("saturated", activations=SQUASHERS, widths=(16, 128))
def one_layer_times_50(s):
    model, loss, x, y = fresh(s)
    layer = any_hidden(s, model)
    factor = s.dtype(s.rng.uniform(50, 200))
    layer.weight.data *= factor
    layer.bias.data *= factor
    return model, loss, x, y


@idiom("saturated", activations=SQUASHERS)
def biases_of_10_in_one_layer(s):
    model, loss, x, y = fresh(s)
    layer = any_hidden(s, model)
    layer.bias.data += (s.rng.choice([-1, 1], s.width) * s.rng.uniform(10, 16)).astype(s.dtype)
    return model, loss, x, y


@idiom("saturated", activations=SQUASHERS)
def biases_of_10_everywhere(s):
    model, loss, x, y = fresh(s)
    for layer in hidden(model):
        size = s.rng.uniform(8, 14, s.width) if s.activation is Tanh else 18
        layer.bias.data += (s.rng.choice([-1, 1], s.width) * size).astype(s.dtype)
    return model, loss, x, y


@idiom("saturated", activations=SQUASHERS, depths=(3, 8))
def trained_at_a_huge_rate(s):
    model, loss, x, y = fresh(s)
    optimizer = SGD(model.parameters(), lr=float(s.rng.choice([30.0, 100.0, 300.0])))
    for _ in range(20):
        backprop(model, loss, x, y)
        optimizer.step()
        a, flattest = x, 1.0
        for module in model:
            a = module(a)
            if isinstance(module, SQUASHERS):
                slope = 1 - a**2 if isinstance(module, Tanh) else 4 * a * (1 - a)
                flattest = min(flattest, np.median(slope))
        if flattest < 1e-4:
            return model, loss, x, y
    return None


def from_0_to_1(shape, rng):
    return rng.random(shape)


@idiom("saturated", activations=SQUASHERS, depths=(3, 10), widths=(48, 128))
def weights_from_0_to_1(s):
    x, y = parts.digits(s.rng, 64)
    model = new(s, 64, 10, init=from_0_to_1)
    return model, CrossEntropyLoss(), x.astype(s.dtype), y


# --- symmetric ------------------------------------------------------------------------------------


def all_equal(s):
    x, y, loss = task(s)
    share = s.rng.uniform(0.8, 1.3)

    def equal(shape, rng):
        return np.full(shape, share / shape[0])

    model = new(s, x.shape[1], outputs(y), init=equal)
    if s.activation is Sigmoid:
        centre(model)
    return model, loss, x, y


@idiom("symmetric")
def constant_weights(s):
    return all_equal(s)


@idiom("symmetric", depths=(3, 3))
def the_same_number_everywhere(s):
    x, y, loss = task(s)
    model = new(s, x.shape[1], outputs(y), init=constant(s.rng.choice([0.02, 0.05, 0.1])))
    return model, loss, x, y


@idiom("symmetric", depths=(3, 10))
def constant_weights_trained_on(s):
    model, loss, x, y = all_equal(s)
    return train(s, model, loss, x, y, int(s.rng.integers(1, 40)), 0.02), loss, x, y


@idiom("symmetric")
def copies_in_one_layer(s):
    model, loss, x, y = fresh(s)
    layers = linears(model)
    i = s.rng.integers(len(layers) - 1)
    here, after = layers[i].weight.data, layers[i + 1].weight.data
    here[...] = here[:, :1]
    after[...] = after.mean(axis=0) * s.dtype(s.rng.choice([1, 2]))
    layers[i].bias.data[...] = layers[i].bias.data[0]
    return model, loss, x, y


@idiom("symmetric")
def rank_one_in_one_layer(s):
    model, loss, x, y = fresh(s)
    one_rank(any_hidden(s, model, first=1))
    return model, loss, x, y


@idiom("symmetric", depths=(3, 8))
def rank_one_everywhere(s):
    model, loss, x, y = fresh(s)
    for layer in hidden(model):
        one_rank(layer)
    return model, loss, x, y


def one_rank(layer):
    """Keep of a weight matrix what its largest singular value makes, at the size it had."""
    w = layer.weight.data
    u, _, v = np.linalg.svd(w.astype(float))
    w[...] = np.outer(u[:, 0], v[0]) * np.linalg.norm(w)


# --- zero weights ---------------------------------------------------------------------------------


@idiom("zero weights")
def all_zero(s):
    return fresh(s, init=constant(0.0))


@idiom("zero weights")
def all_zero_but_the_biases(s):
    model, loss, x, y = fresh(s, init=constant(0.0))
    for layer in linears(model):
        layer.bias.data[...] = s.rng.normal(0, 0.3, size=layer.bias.shape)
    return model, loss, x, y


@idiom("zero weights")
def one_zero_matrix(s):
    model, loss, x, y = fresh(s)
    any_hidden(s, model).weight.data[...] = 0
    return model, loss, x, y


@idiom("zero weights", depths=(3, 6))
def zero_and_trained_on(s):
    activation = s.activation if s.activation is not Sigmoid else Tanh
    s = s._replace(activation=activation)
    model, loss, x, y = fresh(s, init=constant(0.0))
    return train(s, model, loss, x, y, int(s.rng.integers(1, 100)), 0.1), loss, x, y


@idiom("zero weights")
def zeroed_from_some_layer_on(s):
    model, loss, x, y = fresh(s)
    layers = linears(model)
    for layer in layers[s.rng.integers(1, len(layers) - 1) :]:
        layer.weight.data[...] = 0
    return model, loss, x, y


# --- vanishing ------------------------------------------------------------------------------------


@idiom("vanishing", activations=(Sigmoid,), depths=(8, 30))
def stack_of_sigmoids(s):
    return fresh(s, init=glorot_normal)


@idiom("vanishing", activations=(Sigmoid,), depths=(8, 16))
def stack_of_sigmoids_trained_on(s):
    model, loss, x, y = fresh(s, init=glorot_normal)
    return train(s, model, loss, x, y, 30, 0.1), loss, x, y


@idiom("vanishing", activations=(ReLU, LeakyReLU, Tanh))
def small_weights(s):
    gain = 10 ** (-s.rng.uniform(4, 8) / (s.depth - 1))
    model, loss, x, y = fresh(s, gain=gain)
    model[-1].weight.data *= s.dtype(gain)
    return model, loss, x, y


@idiom("vanishing", activations=(ReLU, LeakyReLU, Tanh), depths=(5, 30))
def standard_deviation_of_a_hundredth(s):
    return fresh(s, init=normal(0.01))


def pytorch_default(shape, rng):
    return rng.uniform(-1, 1, size=shape) / math.sqrt(shape[0])


@idiom("vanishing", activations=(ReLU, Tanh), depths=(14, 30))
def default_of_pytorch_too_deep(s):
    model, loss, x, y = fresh(s, init=pytorch_default)
    for layer in linears(model):
        fan_in, fan_out = layer.weight.shape
        layer.bias.data[...] = s.rng.uniform(-1, 1, size=fan_out) / math.sqrt(fan_in)
    return model, loss, x, y


@idiom("vanishing", activations=(Tanh,), depths=(12, 30), widths=(8, 48))
def through_time(s):
    return recurrent(s, s.rng.uniform(0.1, 0.4))


@idiom("vanishing", activations=(ReLU, Tanh), depths=(10, 30), dtypes=(np.float32,))
def down_to_nothing_in_float32(s):
    gain = 10 ** (-s.rng.uniform(47, 60) / (s.depth - 1))
    model, loss, x, y = fresh(s, gain=gain)
    model[-1].weight.data *= s.dtype(gain)
    return model, loss, x, y


# --- exploding ------------------------------------------------------------------------------------


@idiom("exploding", activations=RECTIFIERS)
def large_gain(s):
    gain = 10 ** (s.rng.uniform(3, 5) / (s.depth - 1))
    model, loss, x, y = fresh(s, gain=gain)
    model[-1].weight.data *= s.dtype(gain)
    return model, loss, x, y


@idiom("exploding", activations=RECTIFIERS, depths=(4, 12))
def standard_normal_weights(s):
    return fresh(s, init=normal(1.0))


@idiom("exploding", activations=(Tanh,), depths=(22, 30), widths=(32, 64))
def chaotic_tanh(s):
    gain = s.rng.uniform(2.9, 3.6)
    return fresh(s, gain=gain)


@idiom("exploding", activations=(Tanh,), depths=(8, 20), widths=(8, 48))
def rnn_of_a_large_radius(s):
    return recurrent(s, 10 ** (s.rng.uniform(2.5, 4) / (s.depth - 1)), 1e-5)


@idiom("exploding", activations=(ReLU,), depths=(8, 30), widths=(16, 64))
def residual_unscaled(s):
    x, y, loss = task(s)
    gain = 1 + 14 / s.depth
    return rows_of(s, x.shape[1], outputs(y), blocks(s, 1.0, gain)), loss, x, y


# --- underflow ------------------------------------------------------------------------------------


def weigh(model, loss, x, y, units, dtype):
    """Weigh the loss so that the largest error at the output is so many smallest numbers."""
    backprop(model, loss, x, y)
    largest = np.abs(loss.backward()).max()
    model.zero_grad()
    return parts.Scaled(loss, units * float(np.finfo(dtype).smallest_subnormal) / float(largest))


@idiom("underflow", depths=(3, 20))
def tiny_weight_of_the_loss(s):
    model, loss, x, y = fresh(s)
    return model, weigh(model, loss, x, y, s.rng.uniform(0.5, 1.0), s.dtype), x, y


@idiom("underflow", depths=(3, 20), dtypes=(np.float32,))
def far_too_tiny_weight_of_the_loss(s):
    model, loss, x, y = fresh(s)
    return model, weigh(model, loss, x, y, s.rng.uniform(0.01, 0.3), s.dtype), x, y


@idiom(
    "underflow",
    activations=(ReLU, LeakyReLU, Tanh),
    depths=(3, 8),
    widths=(8, 32),
    dtypes=(np.float16,),
)
def half_precision(s):
    model, loss, x, y = fresh(s, n=32)
    return model, weigh(model, loss, x, y, s.rng.uniform(0.1, 1.0), s.dtype), x, y


@idiom("underflow", depths=(3, 12))
def mixed_precision_at_the_output(s):
    model, loss, x, y = fresh(s)
    loss = weigh(model, loss, x, y, s.rng.uniform(0.05, 0.48), np.float16)
    return Sequential(*model, parts.RoundGradient()), loss, x, y


@idiom("underflow", depths=(4, 12))
def mixed_precision_in_the_middle(s):
    model, loss, x, y = fresh(s)
    middle = 2 * s.rng.integers(s.depth // 2, s.depth)
    loss = weigh(model, loss, x, y, s.rng.uniform(0.03, 0.1), np.float16)
    return Sequential(*model[:middle], parts.RoundGradient(), *model[middle:]), loss, x, y


# --- nonfinite ------------------------------------------------------------------------------------


@idiom("nonfinite")
def nan_in_x(s):
    model, loss, x, y = fresh(s)
    x[s.rng.integers(len(x)), s.rng.integers(x.shape[1])] = s.rng.choice([np.nan, np.inf])
    return model, loss, x, y


@idiom("nonfinite")
def nan_in_y(s):
    model, loss, x, y = fresh(s, "function")
    y[s.rng.integers(len(y)), 0] = np.nan
    return model, loss, x, y


@idiom("nonfinite")
def broken_weight(s):
    model, loss, x, y = fresh(s)
    w = linears(model)[s.rng.integers(s.depth)].weight.data
    w[0, s.rng.integers(w.shape[1])] = s.rng.choice([np.nan, np.inf])
    return model, loss, x, y


@idiom("nonfinite", depths=(3, 12))
def exp_overflows(s):
    model, _, x, y = fresh(s, "function")
    model[-1].bias.data += s.dtype(100 if s.dtype is np.float32 else 800)
    return Sequential(*model, parts.Exp()), MSELoss(), x, y


@idiom("nonfinite", depths=(3, 12))
def softmax_overflows(s):
    model, _, x, y = fresh(s, "digits")
    model[-1].bias.data += s.dtype(100 if s.dtype is np.float32 else 800)
    return model, parts.NaiveCrossEntropy(), x, y


@idiom("nonfinite", depths=(3, 12))
def log_of_a_probability_of_0(s):
    model, _, x, y = fresh(s, "digits")
    model[-1].bias.data[y[0]] -= s.dtype(150 if s.dtype is np.float32 else 1000)
    return model, parts.NaiveCrossEntropy(), x, y


@idiom("nonfinite", activations=(ReLU, Tanh), depths=(3, 12))
def log_of_0(s):
    model, _, x, y = fresh(s, "function")
    return Sequential(*model, ReLU()), parts.LogOfOutput(), x, np.abs(y)


@idiom("nonfinite")
def empty_row_divided_by_its_length(s):
    model, loss, x, y = fresh(s)
    x[s.rng.integers(len(x))] = 0
    return Sequential(parts.Normalize(), *model), loss, x, y


@idiom("nonfinite")
def constant_column_standardised(s):
    model, loss, x, y = fresh(s, "function")
    x[:, s.rng.integers(x.shape[1])] = 0.5
    return Sequential(parts.Standardize(), *model), loss, x, y


@idiom("nonfinite", depths=(3, 12))
def length_of_an_exact_answer(s):
    model, _, x, y = fresh(s, "function")
    y[0] = model(x)[0]
    return model, parts.Length(), x, y


@idiom("nonfinite", depths=(3, 12))
def zero_times_infinity_in_a_mask(s):
    """Prune a unit: it gives exactly 0, which the mask leaves out, and backward does not."""
    model, loss, x, y = fresh(s)
    layer = any_hidden(s, model)
    unit = s.rng.integers(s.width)
    layer.weight.data[:, unit] = layer.bias.data[unit] = 0
    i = list(model).index(layer) + 1
    mask = parts.MaskedLog() if s.rng.integers(2) else parts.MaskedSqrt()
    return Sequential(*model[:i], mask, *model[i:]), loss, x, y


# --- unreached ------------------------------------------------------------------------------------


@idiom("unreached")
def a_weight_that_is_not_used(s):
    model, loss, x, y = fresh(s)
    i = 2 * s.rng.integers(1, s.depth)
    return Sequential(*model[:i], parts.Unused(s.width, s.rng, s.dtype), *model[i:]), loss, x, y


@idiom("unreached")
def a_head_that_is_not_used(s):
    model, loss, x, y = fresh(s)
    heads = parts.TwoHeads(s.width, outputs(y), s.rng, s.dtype)
    return Sequential(*model[:-1], heads), loss, x, y


@idiom("unreached")
def detached(s):
    model, loss, x, y = fresh(s)
    i = s.rng.integers(1, len(model))
    return Sequential(*model[:i], parts.Detach(), *model[i:]), loss, x, y


@idiom("unreached")
def backward_forgets_a_parameter(s):
    model, loss, x, y = fresh(s)
    layer = linears(model)[s.rng.integers(s.depth)]
    kinds = [parts.LinearNoWeightGradient, faults.LinearNoBiasGradient]
    return swapped(model, layer, kinds[s.rng.integers(2)]), loss, x, y


@idiom("unreached")
def scale_forgets_itself(s):
    model, loss, x, y = fresh(s)
    i = 2 * s.rng.integers(1, s.depth)
    scale = parts.ScaleForgetsItself(s.width, s.rng, s.dtype)
    return Sequential(*model[:i], scale, *model[i:]), loss, x, y


def swapped(model, old, kind):
    """Put a layer of another class in the place of one, with its parameters."""
    made = kind(old.in_features, old.out_features, rng=0, dtype=old.weight.data.dtype)
    made.weight, made.bias = old.weight, old.bias
    return Sequential(*(made if module is old else module for module in model))


# --- not zeroed -----------------------------------------------------------------------------------


@idiom("not zeroed")
def backward_several_times(s):
    model, loss, x, y = fresh(s)
    for _ in range(s.rng.integers(2, 10)):
        loss(model(x), y)
        model.backward(loss.backward())
    return model, loss, x, y


@idiom("not zeroed")
def sum_over_several_batches(s):
    model, loss, x, y = fresh(s, s.rng.choice(["digits", "one-hot"]), n=128)
    for rows in np.split(np.arange(128), 8):
        loss(model(x[rows]), y[rows])
        model.backward(loss.backward())
    return model, loss, x[rows], y[rows]


@idiom("not zeroed", depths=(3, 12))
def trained_without_zero_grad(s):
    model, loss, x, y = fresh(s)
    return train(s, model, loss, x, y, 10, 3e-3, zero=False), loss, x, y


@idiom("not zeroed", depths=(3, 12))
def trained_in_batches_without_zero_grad(s):
    model, loss, x, y = fresh(s, s.rng.choice(["digits", "one-hot"]), n=128)
    return train(s, model, loss, x, y, 20, 1e-3, batch=32, zero=False), loss, x, y


@idiom("not zeroed", depths=(3, 12))
def only_the_head_is_zeroed(s):
    model, loss, x, y = fresh(s)
    for _ in range(8):
        loss(model(x), y)
        model.backward(loss.backward())
        model[-1].zero_grad()
    backprop_on = loss(model(x), y)
    model.backward(loss.backward())
    return (model, loss, x, y) if math.isfinite(backprop_on) else None


# --- unscaled inputs ------------------------------------------------------------------------------


@idiom("unscaled inputs")
def far_too_large(s):
    model, loss, x, y = fresh(s)
    return model, loss, x * s.dtype(s.rng.uniform(100, 1000)), y


@idiom("unscaled inputs")
def pixels_from_0_to_255(s):
    x, y = parts.digits(s.rng, 64)
    return new(s, 64, 10), CrossEntropyLoss(), (255 * x).astype(s.dtype), y


@idiom("unscaled inputs")
def a_column_in_the_thousands(s):
    model, loss, x, y = fresh(s, s.rng.choice(["function", "blobs"]))
    x[:, s.rng.integers(x.shape[1])] *= s.dtype(s.rng.uniform(1000, 5000))
    return model, loss, x, y


@idiom("unscaled inputs")
def far_from_0(s):
    model, loss, x, y = fresh(s, s.rng.choice(["function", "blobs"]))
    return model, loss, x + s.dtype(s.rng.uniform(100, 300)), y


@idiom("unscaled inputs", depths=(3, 8))
def years_and_prices(s):
    model, loss, x, y = fresh(s, "function")
    x *= np.logspace(0, 4, x.shape[1]).astype(s.dtype)
    x[:, 0] += 2000
    return model, loss, x, y


# --- penalty --------------------------------------------------------------------------------------


def penalised(s, decay):
    """Train to rest with weight decay, and stop where nothing but its pull is left."""
    double = s._replace(dtype=np.float64)
    x, y = function(s.rng, 64)
    y *= 2
    model = new(double, 8, 4)
    settle(model, MSELoss(), x, y, decay, steps=900, tol=1e-6)
    return cast(model, s.dtype), MSELoss(), x.astype(s.dtype), y.astype(s.dtype)


REST = {"depths": (3, 8), "widths": (8, 24), "activations": SQUASHERS}


@idiom("penalty", **REST)
def decay_in_the_optimiser(s):
    decay = 10 ** s.rng.uniform(-2.3, -1.7)
    return *penalised(s, decay), {"weight_decay": decay}


@idiom("penalty", **REST)
def decay_that_was_not_mentioned(s):
    return penalised(s, 10 ** s.rng.uniform(-2.3, -1.7))


@idiom("penalty", **REST)
def penalty_in_the_loss(s):
    decay = 10 ** s.rng.uniform(-2.3, -1.7)
    model, loss, x, y = penalised(s, decay)
    return model, parts.Penalised(loss, model, decay), x, y


@idiom("penalty", **REST)
def classes_with_decay(s):
    double = s._replace(dtype=np.float64)
    x, y, loss = task(double, "blobs", 64)
    model, decay = new(double, 12, 5), 10 ** s.rng.uniform(-2.7, -2)
    settle(model, loss, x, y, decay, steps=600, tol=1e-7)
    options = {"weight_decay": decay} if s.rng.integers(2) else {}
    return cast(model, s.dtype), loss, x.astype(s.dtype), y, options


# --- wrong backward -------------------------------------------------------------------------------

LINEAR = (
    *(faults.LinearDoubledWeight, faults.LinearDoubledInput, faults.LinearTransposedWeight),
    *(faults.LinearTransposedInput, faults.LinearWrongSign, parts.LinearWrongSignWeight),
    parts.LinearHalfInput,
)
LINEAR_EVERYWHERE = faults.LinearMeanOverBatch, faults.LinearNoBiasSum, parts.LinearBiasMean
ACTIVATIONS = {
    ReLU: [faults.ReLUAlwaysOne],
    LeakyReLU: [parts.LeakyReLUAlwaysOne],
    Tanh: [faults.TanhNotSquared, parts.TanhSlopeOfInput],
    Sigmoid: [faults.SigmoidForgetsFactor],
}
BATCHNORM = (
    *(faults.BatchNormWithoutVariancePath, faults.BatchNormWithoutMeanPath),
    *(faults.BatchNormAsConstants, faults.BatchNormForgetsWeight),
    faults.BatchNormMeanOfParameters,
)
RESIDUAL = faults.ResidualWithoutShortcut, faults.ResidualForgetsScale
RECURRENT = (
    *(faults.RNNTruncatedToOneStep, faults.RNNTransposedWeight, faults.RNNPairsStateWithItself),
    *(faults.RNNNoBiasSumOverTime, faults.RNNMeanOverTime, faults.RNNTruncatedByOneStep),
)


def one_of(s, kinds):
    return kinds[s.rng.integers(len(kinds))]


@idiom("wrong backward")
def wrong_linear(s):
    model, loss, x, y = fresh(s)
    return swapped(model, any_hidden(s, model, first=1), one_of(s, LINEAR)), loss, x, y


@idiom("wrong backward", depths=(3, 8))
def wrong_linear_everywhere(s):
    model, loss, x, y = fresh(s)
    kind = one_of(s, LINEAR_EVERYWHERE)
    for layer in linears(model):
        layer.bias.data += s.rng.normal(0, 0.1, layer.bias.shape).astype(s.dtype)
        model = swapped(model, layer, kind)
    return model, loss, x, y


@idiom("wrong backward")
def wrong_activation(s):
    kind = one_of(s, ACTIVATIONS[s.activation])
    model, loss, x, y = fresh(s)
    modules = list(model)
    modules[2 * s.rng.integers(s.depth - 1) + 1] = kind()
    return Sequential(*modules), loss, x, y


@idiom("wrong backward", activations=(ReLU, Tanh), depths=(3, 8), widths=(8, 64))
def wrong_batchnorm(s):
    model, loss, x, y = fresh(s, n=32)
    kind, i = one_of(s, BATCHNORM), 2 * s.rng.integers(s.depth - 1) + 1
    norm = kind(s.width, dtype=s.dtype)
    norm.weight.data *= s.rng.uniform(0.3, 0.6, s.width).astype(s.dtype)
    return Sequential(*model[:i], norm, *model[i:]), loss, x, y


@idiom("wrong backward", activations=(ReLU, Tanh), depths=(4, 20), widths=(16, 64))
def wrong_residual(s):
    x, y, loss = task(s)
    kind, middle = one_of(s, RESIDUAL), blocks(s)
    if kind is faults.ResidualForgetsScale:
        middle = blocks(s, 0.4)
    i = s.rng.integers(len(middle))
    middle[i] = kind(*middle[i], scale=middle[i].scale)
    return rows_of(s, x.shape[1], outputs(y), middle), loss, x, y


@idiom("wrong backward", activations=(Tanh,), depths=(3, 10), widths=(8, 32))
def wrong_rnn(s):
    model, loss, x, y = recurrent(s, 1.0)
    wrong = one_of(s, RECURRENT)(4, s.width, rng=0, dtype=s.dtype)
    rnn = model[0]
    wrong.weight_ih, wrong.weight_hh, wrong.bias = rnn.weight_ih, rnn.weight_hh, rnn.bias
    wrong.bias.data += s.rng.normal(0, 0.2, s.width).astype(s.dtype)
    return Sequential(wrong, *model[1:]), loss, x, y


@idiom("wrong backward", depths=(3, 12))
def wrong_loss(s):
    model, loss, x, y = fresh(s)
    if isinstance(loss, MSELoss):
        return model, one_of(s, faults.LOSSES[:4])(), x, y
    return model, one_of(s, faults.LOSSES[4:])(), x, y


# --- finished -------------------------------------------------------------------------------------


@idiom("finished", depths=(3, 8), widths=(16, 64))
def fitted_exactly(s):
    double = s._replace(dtype=np.float64)
    x, y = function(s.rng, 16, 8, 3)
    model = new(double, 8, 3)
    settle(model, MSELoss(), x, y, steps=500, enough=1e-10)
    return cast(model, s.dtype), MSELoss(), x.astype(s.dtype), y.astype(s.dtype)


@idiom("finished")
def its_own_outputs(s):
    model, _, x, _ = fresh(s, "function")
    return model, MSELoss(), x, model(x)


@idiom("finished")
def its_own_outputs_but_moved_a_little(s):
    model, _, x, _ = fresh(s, "function")
    y = model(x)
    for p in model.parameters():
        p.data *= (1 + 1e-5 * s.rng.normal(size=p.shape)).astype(s.dtype)
    return model, MSELoss(), x, y


@idiom("finished")
def two_answers_to_each_question(s):
    """Every x is there twice, with targets as far above the output as below: noise, and no more."""
    model, _, x, _ = fresh(s, "function", n=32)
    y = model(x)
    noise = (s.rng.uniform(0.2, 0.5) * s.rng.normal(size=y.shape)).astype(s.dtype)
    return model, MSELoss(), np.vstack([x, x]), np.vstack([y + noise, y - noise])


@idiom("finished", depths=(3, 8), widths=(16, 64))
def fitted_to_noise(s):
    """As above, but by training: no network gives two answers to one question."""
    model, loss, x, y = fitted_exactly(s)
    noise = (s.rng.uniform(0.2, 0.5) * s.rng.normal(size=y.shape)).astype(s.dtype)
    return model, loss, np.vstack([x, x]), np.vstack([y + noise, y - noise])


@idiom("finished", depths=(3, 6), widths=(8, 64))
def every_example_right(s):
    double = s._replace(dtype=np.float64)
    x, y, loss = task(double, "blobs", 32)
    model = new(double, 12, 5)
    settle(model, loss, x, y, steps=300, enough=1e-7)
    return cast(model, s.dtype), loss, x.astype(s.dtype), y


# --- saddle ---------------------------------------------------------------------------------------


@idiom("saddle", activations=SQUASHERS)
def weights_near_zero_at_the_end(s):
    """Draw the last two matrices nearly zero, with the last bias at the mean target."""
    model, loss, x, y = fresh(s, s.rng.choice(["function", "one-hot"]))
    size = 10 ** s.rng.uniform(-10, -6)
    for layer in linears(model)[-2:]:
        layer.weight.data[...] = size * s.rng.normal(size=layer.weight.shape)
        layer.bias.data[...] = 0
    model[-1].bias.data[...] = y.mean(axis=0)
    return model, loss, x, y


@idiom("saddle", activations=(Tanh,), depths=(3, 8), widths=(8, 12))
def stationary_by_choice_of_targets(s):
    double = s._replace(dtype=np.float64)
    x = s.rng.normal(size=(256, 4))
    model = new(double, 4, 5)
    for layer in linears(model):
        layer.bias.data += s.rng.normal(0, 0.2, layer.bias.shape)
    columns = jacobian(model, x)
    if columns.shape[1] > 0.7 * len(columns):
        return None
    f = model(x)
    r = s.rng.normal(size=f.size)
    q, _ = np.linalg.qr(columns)
    for _ in range(2):
        r -= q @ (q.T @ r)
    r *= s.rng.uniform(2, 6) / np.sqrt(np.mean(r**2))
    y = f + r.reshape(f.shape)
    return cast(model, s.dtype), MSELoss(), x.astype(s.dtype), y.astype(s.dtype)


@idiom("saddle", activations=SQUASHERS, depths=(2, 2))
def all_weights_near_zero(s):
    model, loss, x, y = fresh(s, s.rng.choice(["function", "one-hot"]), init=normal(1e-8))
    model[-1].bias.data[...] = y.mean(axis=0)
    return model, loss, x, y


@idiom("saddle", activations=(Tanh,), depths=(2, 2))
def trained_from_weights_near_zero(s):
    """Descent has found the mean target, and nothing else yet."""
    model, loss, x, y = fresh(s, s.rng.choice(["function", "one-hot"]), init=normal(1e-9))
    return train(s, model, loss, x, y, 14, 0.4 * y.shape[1]), loss, x, y


# --- plateau --------------------------------------------------------------------------------------


def far(s, low, high):
    """Targets on either side of the outputs, at distances from low to high."""
    model, _, x, _ = fresh(s, "function")
    y = model(x)
    away = s.rng.choice([-1, 1], y.shape[1]) * s.rng.uniform(low, high, y.shape)
    return model, x, y + away.astype(s.dtype)


@idiom("plateau")
def welsch_loss_too_far(s):
    model, x, y = far(s, 6, 8)
    return model, parts.Welsch(), x, y


@idiom("plateau")
def robust_loss_too_far(s):
    model, x, y = far(s, 150, 400)
    return model, parts.GemanMcClure(), x, y


@idiom("plateau")
def biweight_loss_too_far(s):
    model, x, y = far(s, 2.5, 5)
    return model, parts.Tukey(), x, y


@idiom("plateau")
def clipped_loss_too_far(s):
    model, x, y = far(s, 1.5, 6)
    return model, parts.Clipped(), x, y


@idiom("plateau")
def ramp_too_far(s):
    model, x, y = far(s, 2.9, 4.2)
    return model, parts.Ramp(), x, y
