"""The contestants: one training step each, of the same network from the same weights.

A step is zero_grad, forward, loss, backward, optimizer step, for a perceptron with ReLU between its
layers and the mean softmax cross-entropy. A contestant is made from a batch and from `weights`, a
list of (W, b) with W of shape (in_features, out_features). `step()` takes one step on that batch
and returns the loss; `weights()` gives what the weights have become. Peers are imported inside,
where they are used, so that none is needed.
"""

from __future__ import annotations

import numpy as np

BETA1, BETA2 = 0.9, 0.999
# scikit-learn adds epsilon before the bias correction, the others after it. One so small leaves all
# with the same step.
EPSILON = 1e-16


class UnsuitedError(Exception):
    """Raised by a contestant that cannot be this network."""


class BareProducts:
    """The matrix products that no training step can do without, and nothing else."""

    def __init__(self, weights, x, y, optimizer, lr):
        rng = np.random.default_rng(0)
        self.layers = []
        for W, _ in weights:
            g = rng.normal(size=(len(x), W.shape[1])).astype(W.dtype)
            self.layers.append((x, W, g))
            x = g

    def step(self):
        for i, (x, W, g) in enumerate(self.layers):
            x @ W
            x.T @ g
            if i > 0:  # nobody asks for the gradient with respect to the data
                g @ W.T


class PlainNumpy:
    """The formulas written out, without a thought for speed."""

    def __init__(self, weights, x, y, optimizer, lr):
        self.params = [p.copy() for pair in weights for p in pair]
        self.x, self.y, self.lr = x, y, lr
        self.update = {"sgd": self.sgd, "adam": self.adam}[optimizer]
        if optimizer == "adam":
            self.t = 0
            self.m = [np.zeros_like(p) for p in self.params]
            self.v = [np.zeros_like(p) for p in self.params]

    def step(self):
        W, b = self.params[0::2], self.params[1::2]
        n = len(self.y)
        a, z = [self.x], []
        for i in range(len(W)):
            z.append(a[i] @ W[i] + b[i])
            a.append(np.maximum(z[i], 0))
        e = np.exp(z[-1] - z[-1].max(axis=1, keepdims=True))
        p = e / e.sum(axis=1, keepdims=True)
        loss = -np.log(p[np.arange(n), self.y]).mean()
        d = p.copy()
        d[np.arange(n), self.y] -= 1
        d /= n
        grads = []
        for i in reversed(range(len(W))):
            grads = [a[i].T @ d, d.sum(axis=0), *grads]
            if i > 0:
                d = (d @ W[i].T) * (z[i - 1] > 0)
        self.update(grads)
        return loss

    def sgd(self, grads):
        for p, g in zip(self.params, grads, strict=True):
            p -= self.lr * g

    def adam(self, grads):
        self.t += 1
        for i, g in enumerate(grads):
            self.m[i] = BETA1 * self.m[i] + (1 - BETA1) * g
            self.v[i] = BETA2 * self.v[i] + (1 - BETA2) * g**2
            m_hat = self.m[i] / (1 - BETA1**self.t)
            v_hat = self.v[i] / (1 - BETA2**self.t)
            self.params[i] -= self.lr * m_hat / (np.sqrt(v_hat) + EPSILON)

    def weights(self):
        return list(zip(self.params[0::2], self.params[1::2], strict=True))


class Gradnb:
    """The package of the book."""

    def __init__(self, weights, x, y, optimizer, lr):
        from gradnb import CrossEntropyLoss, mlp

        sizes = [len(weights[0][0]), *(len(b) for _, b in weights)]
        self.model = mlp(sizes, dtype=x.dtype)
        for p, w in zip(
            self.model.parameters(), (w for pair in weights for w in pair), strict=True
        ):
            p.data[...] = w
        self.criterion = CrossEntropyLoss()
        if optimizer == "adam":
            from gradnb import Adam

            self.optimizer = Adam(self.model.parameters(), lr=lr, eps=EPSILON)
        else:
            from gradnb import SGD

            self.optimizer = SGD(self.model.parameters(), lr=lr)
        self.x, self.y = x, y

    def step(self):
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(self.x), self.y)
        self.model.backward(self.criterion.backward(), input_grad=False)
        self.optimizer.step()
        return loss

    def weights(self):
        data = [p.data for p in self.model.parameters()]
        return list(zip(data[0::2], data[1::2], strict=True))


class PyTorch:
    """PyTorch eager, as its tutorials write it."""

    fused = None  # PyTorch's own choice

    def __init__(self, weights, x, y, optimizer, lr):
        import torch

        torch.set_num_threads(1)
        modules = []
        for W, b in weights:
            linear = torch.nn.Linear(*W.shape, dtype=getattr(torch, str(W.dtype)))
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(W.T.copy()))
                linear.bias.copy_(torch.from_numpy(b))
            modules += [linear, torch.nn.ReLU()]
        self.model = torch.nn.Sequential(*modules[:-1])
        self.criterion = torch.nn.CrossEntropyLoss()
        options = {"lr": lr, "fused": self.fused} | (
            {"eps": EPSILON} if optimizer == "adam" else {}
        )
        Optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
        self.optimizer = Optimizer(self.model.parameters(), **options)
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)

    def step(self):
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss

    def weights(self):
        data = [p.detach().numpy() for p in self.model.parameters()]
        return [(W.T, b) for W, b in zip(data[0::2], data[1::2], strict=True)]


class PyTorchFused(PyTorch):
    """PyTorch with the optimizer that does all parameters in one call."""

    fused = True


class Jax:
    """JAX with the whole step compiled into one function."""

    def __init__(self, weights, x, y, optimizer, lr):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)

        def loss(params):
            *hidden, (W, b) = params
            a = x
            for V, c in hidden:
                a = jax.nn.relu(a @ V + c)
            log_p = jax.nn.log_softmax(a @ W + b)
            return -log_p[jnp.arange(len(y)), y].mean()

        def sgd(params, state, grads):
            return jax.tree.map(lambda p, g: p - lr * g, params, grads), state

        def adam(params, state, grads):
            t, m, v = state
            t += 1
            correction = [jnp.asarray(1 - beta**t, x.dtype) for beta in (BETA1, BETA2)]
            m = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, m, grads)
            v = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g**2, v, grads)
            params = jax.tree.map(
                lambda p, m, v: (
                    p - lr * (m / correction[0]) / (jnp.sqrt(v / correction[1]) + EPSILON)
                ),
                *(params, m, v),
            )
            return params, (t, m, v)

        update = {"sgd": sgd, "adam": adam}[optimizer]

        @jax.jit
        def step(params, state):
            value, grads = jax.value_and_grad(loss)(params)
            return value, *update(params, state, grads)

        x, y = jnp.asarray(x), jnp.asarray(y)
        self.params = [(jnp.asarray(W), jnp.asarray(b)) for W, b in weights]
        zeros = jax.tree.map(jnp.zeros_like, self.params)
        self.state = (jnp.asarray(0), zeros, zeros) if optimizer == "adam" else ()
        self.compiled, self.wait = step, jax.block_until_ready

    def step(self):
        loss, self.params, self.state = self.wait(self.compiled(self.params, self.state))
        return loss

    def weights(self):
        return [(np.asarray(W), np.asarray(b)) for W, b in self.params]


class ScikitLearn:
    """scikit-learn's MLPClassifier, a `partial_fit` on the batch being one step."""

    def __init__(self, weights, x, y, optimizer, lr):
        from sklearn.neural_network import MLPClassifier

        classes = len(weights[-1][1])
        if classes == 2:
            raise UnsuitedError("has one output for two classes, so it is another net")
        self.model = MLPClassifier(
            [len(b) for _, b in weights[:-1]],
            solver=optimizer,
            learning_rate_init=lr,
            alpha=0,
            momentum=0,
            nesterovs_momentum=False,
            epsilon=EPSILON,
            batch_size=len(x),
            shuffle=False,
        )
        self.model.partial_fit(x, y, classes=np.arange(classes))  # makes the arrays
        del self.model._optimizer  # and its state, which starts anew
        for i, (W, b) in enumerate(weights):
            self.model.coefs_[i][...] = W
            self.model.intercepts_[i][...] = b
        self.x, self.y = x, y

    def step(self):
        self.model.partial_fit(self.x, self.y)
        return self.model.loss_

    def weights(self):
        return list(zip(self.model.coefs_, self.model.intercepts_, strict=True))


CONTESTANTS = {
    "products alone": BareProducts,
    "plain NumPy": PlainNumpy,
    "gradnb": Gradnb,
    "PyTorch": PyTorch,
    "PyTorch fused": PyTorchFused,
    "JAX jit": Jax,
    "scikit-learn": ScikitLearn,
}

NEEDS = {
    "PyTorch": "torch",
    "PyTorch fused": "torch",
    "JAX jit": "jax",
    "scikit-learn": "sklearn",
}
"""What has to be installed for a contestant to take part, beside NumPy and gradnb."""
