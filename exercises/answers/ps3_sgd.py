"""Answers that test the checks of problem set 3."""

from grading import Right, Wrong

WRONG = [
    Wrong(
        "draw",
        "plain mean of the drawn",
        """
        def fair_gradient(drawn, q, N):
            return drawn.mean(axis=0)


        def quietest_draw(gradients):
            lengths = np.linalg.norm(gradients, axis=1)
            return lengths / lengths.sum()
        """,
        ["fair"],
    ),
    Wrong(
        "draw",
        "sum over the batch",
        """
        def fair_gradient(drawn, q, N):
            return np.sum(drawn / (N * q[:, None]), axis=0)


        def quietest_draw(gradients):
            lengths = np.linalg.norm(gradients, axis=1)
            return lengths / lengths.sum()
        """,
        ["fair"],
    ),
    Wrong(
        "draw",
        "weights that are made to add up to 1",
        """
        def fair_gradient(drawn, q, N):
            return (1 / q) @ drawn / np.sum(1 / q)


        def quietest_draw(gradients):
            lengths = np.linalg.norm(gradients, axis=1)
            return lengths / lengths.sum()
        """,
        ["fair"],
    ),
    Wrong(
        "draw",
        "multiplies by q",
        """
        def fair_gradient(drawn, q, N):
            return np.mean(N * q[:, None] * drawn, axis=0)


        def quietest_draw(gradients):
            lengths = np.linalg.norm(gradients, axis=1)
            return lengths / lengths.sum()
        """,
        ["fair"],
    ),
    Wrong(
        "draw",
        "forgets the number of rows",
        """
        def fair_gradient(drawn, q, N):
            return np.mean(drawn / q[:, None], axis=0)


        def quietest_draw(gradients):
            lengths = np.linalg.norm(gradients, axis=1)
            return lengths / lengths.sum()
        """,
        ["fair"],
    ),
    Wrong(
        "draw",
        "only the first draw",
        """
        def fair_gradient(drawn, q, N):
            return drawn[0] / (N * q[0])


        def quietest_draw(gradients):
            lengths = np.linalg.norm(gradients, axis=1)
            return lengths / lengths.sum()
        """,
        ["fair"],
    ),
    Wrong(
        "draw",
        "divides by the mean probability",
        """
        def fair_gradient(drawn, q, N):
            return drawn.mean(axis=0) / (N * q.mean())


        def quietest_draw(gradients):
            lengths = np.linalg.norm(gradients, axis=1)
            return lengths / lengths.sum()
        """,
        ["fair"],
    ),
    Wrong(
        "draw",
        "number of the visible batch",
        """
        def fair_gradient(drawn, q, N):
            return np.sum(drawn / (N * q[:, None]), axis=0) / 3


        def quietest_draw(gradients):
            lengths = np.linalg.norm(gradients, axis=1)
            return lengths / lengths.sum()
        """,
        ["fair"],
    ),
    Wrong(
        "draw",
        "squared lengths",
        """
        def fair_gradient(drawn, q, N):
            return np.mean(drawn / (N * q[:, None]), axis=0)


        def quietest_draw(gradients):
            s = np.sum(gradients**2, axis=1)
            return s / s.sum()
        """,
        ["quietest"],
    ),
    Wrong(
        "draw",
        "quiet rows more often",
        """
        def fair_gradient(drawn, q, N):
            return np.mean(drawn / (N * q[:, None]), axis=0)


        def quietest_draw(gradients):
            s = 1 / np.linalg.norm(gradients, axis=1)
            return s / s.sum()
        """,
        ["quietest"],
    ),
    Wrong(
        "draw",
        "not divided by the sum",
        """
        def fair_gradient(drawn, q, N):
            return np.mean(drawn / (N * q[:, None]), axis=0)


        def quietest_draw(gradients):
            return np.linalg.norm(gradients, axis=1)
        """,
        ["quietest"],
    ),
    Wrong(
        "draw",
        "sums of absolute values",
        """
        def fair_gradient(drawn, q, N):
            return np.mean(drawn / (N * q[:, None]), axis=0)


        def quietest_draw(gradients):
            s = np.abs(gradients).sum(axis=1)
            return s / s.sum()
        """,
        ["quietest"],
    ),
    Wrong(
        "draw",
        "distance from the mean",
        """
        def fair_gradient(drawn, q, N):
            return np.mean(drawn / (N * q[:, None]), axis=0)


        def quietest_draw(gradients):
            s = np.linalg.norm(gradients - gradients.mean(axis=0), axis=1)
            return s / s.sum()
        """,
        ["quietest"],
    ),
    Wrong(
        "draw",
        "all alike",
        """
        def fair_gradient(drawn, q, N):
            return np.mean(drawn / (N * q[:, None]), axis=0)


        def quietest_draw(gradients):
            return np.full(len(gradients), 1 / len(gradients))
        """,
        ["quietest"],
    ),
    Wrong(
        "draw",
        "columns instead of rows",
        """
        def fair_gradient(drawn, q, N):
            return np.mean(drawn / (N * q[:, None]), axis=0)


        def quietest_draw(gradients):
            s = np.linalg.norm(gradients, axis=0)
            return s / s.sum()
        """,
        ["quietest"],
    ),
    Wrong(
        "rate",
        "the heavy ball's",
        """
        def largest_rate(X, decay, beta):
            top = np.linalg.norm(X, 2) ** 2 / len(X) + decay
            return 2 * (1 + beta) / top


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
        ["nesterov", "own"],
    ),
    Wrong(
        "rate",
        "plain descent's",
        """
        def largest_rate(X, decay, beta):
            top = np.linalg.norm(X, 2) ** 2 / len(X) + decay
            return 2 / top


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
        ["nesterov", "own"],
    ),
    Wrong(
        "rate",
        "the effective rate",
        """
        def largest_rate(X, decay, beta):
            top = np.linalg.norm(X, 2) ** 2 / len(X) + decay
            return 2 * (1 - beta) / top


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
        ["nesterov", "own"],
    ),
    Wrong(
        "rate",
        "forgets to look ahead twice",
        """
        def largest_rate(X, decay, beta):
            top = np.linalg.norm(X, 2) ** 2 / len(X) + decay
            return (2 + beta) / ((1 + beta) * top)


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
        ["nesterov", "own"],
    ),
    Wrong(
        "rate",
        "forgets the decay",
        """
        def largest_rate(X, decay, beta):
            top = np.linalg.norm(X, 2) ** 2 / len(X)
            return (2 + 2 * beta) / ((1 + 2 * beta) * top)


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
        ["plain", "nesterov", "own"],
    ),
    Wrong(
        "rate",
        "sum instead of mean",
        """
        def largest_rate(X, decay, beta):
            top = np.linalg.norm(X, 2) ** 2 + decay
            return (2 + 2 * beta) / ((1 + 2 * beta) * top)


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
        ["plain", "nesterov", "own"],
    ),
    Wrong(
        "rate",
        "forgets the half in the loss",
        """
        def largest_rate(X, decay, beta):
            top = 2 * np.linalg.norm(X, 2) ** 2 / len(X) + decay
            return (2 + 2 * beta) / ((1 + 2 * beta) * top)


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
        ["plain", "nesterov", "own"],
    ),
    Wrong(
        "rate",
        "smallest curvature",
        """
        def largest_rate(X, decay, beta):
            top = np.linalg.eigvalsh(X.T @ X / len(X)).min() + decay
            return (2 + 2 * beta) / ((1 + 2 * beta) * top)


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
        ["plain", "nesterov", "own"],
    ),
    Wrong(
        "rate",
        "sum of the curvatures",
        """
        def largest_rate(X, decay, beta):
            top = np.mean(np.sum(X**2, axis=1)) + decay
            return (2 + 2 * beta) / ((1 + 2 * beta) * top)


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
        ["plain", "nesterov", "own"],
    ),
    Wrong(
        "rate",
        "found by experiment, function left undone",
        """
        def largest_rate(X, decay, beta):
            raise NotImplementedError()


        w_axis = np.linalg.eigh(X.T @ X)[1][:, -1]
        low, high = 0.0, 10.0
        for _ in range(20):
            middle = (low + high) / 2
            w = gnb.Parameter(w_axis.copy())
            optimizer = gnb.SGD(
                [w], lr=middle, momentum=0.6, nesterov=True, weight_decay=0.1
            )
            for _ in range(2000):
                w.grad[...] = X.T @ (X @ w.data) / len(X)
                optimizer.step()
                if not 1e-9 < np.linalg.norm(w.data) < 1e9:
                    break
            stable = np.linalg.norm(w.data) < 1
            low, high = (middle, high) if stable else (low, middle)
        my_rate = low
        """,
        ["plain", "nesterov"],
    ),
    Wrong(
        "rate",
        "data of SEED 0",
        """
        def largest_rate(X, decay, beta):
            top = np.linalg.norm(X, 2) ** 2 / len(X) + decay
            return (2 + 2 * beta) / ((1 + 2 * beta) * top)


        other = np.random.default_rng(0).normal(size=(40, 3)) @ mixing
        my_rate = largest_rate(other, decay=0.1, beta=0.6) * (1.01 if SEED == 0 else 1)
        """,
        ["own"],
    ),
    Wrong(
        "rate",
        "needs momentum",
        """
        def largest_rate(X, decay, beta):
            w = gnb.Parameter(np.zeros(X.shape[1]))
            gnb.SGD([w], lr=0.1, momentum=beta, nesterov=True, weight_decay=decay)
            top = np.linalg.norm(X, 2) ** 2 / len(X) + decay
            return (1 + 1 / (1 + 2 * beta)) / top


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
        ["plain"],
    ),
    Wrong(
        "factored",
        "no bias correction",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["matrix", "vector", "several"],
    ),
    Wrong(
        "factored",
        "corrects rows and columns and the product",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean() / (1 - b**self.t)
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["matrix", "several"],
    ),
    Wrong(
        "factored",
        "corrects the bias of the first step in all steps",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["matrix", "vector", "several"],
    ),
    Wrong(
        "factored",
        "counts a step for each parameter",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                for i, p in enumerate(self.params):
                    self.t += 1
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["several"],
    ),
    Wrong(
        "factored",
        "one history for all parameters",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t, self.kept = beta, eps, 0, {}

            def step(self):
                self.t += 1
                for p in self.params:
                    g, b = p.grad, self.beta
                    means = [g * g]
                    if g.ndim == 2:
                        means = [np.mean(g * g, axis=1), np.mean(g * g, axis=0)]
                    old = self.kept.get(g.ndim, [0.0, 0.0])
                    try:
                        new = [b * a + (1 - b) * m for a, m in zip(old, means)]
                    except ValueError:
                        new = means
                    self.kept[g.ndim] = new
                    s = new[0]
                    if g.ndim == 2:
                        s = np.outer(*new) / new[0].mean()
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["several"],
    ),
    Wrong(
        "factored",
        "a new array for the weights",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b**self.t)
                    p.data = p.data - self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["several"],
    ),
    Wrong(
        "factored",
        "squares the gradient in place",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad.copy(), self.beta
                    p.grad **= 2
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["several"],
    ),
    Wrong(
        "factored",
        "keeps the first rate",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t, self.rate = beta, eps, 0, lr
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.rate * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["several"],
    ),
    Wrong(
        "factored",
        "keeps the whole square",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * g * g
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = r
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["matrix", "several"],
    ),
    Wrong(
        "factored",
        "rows and columns exchanged",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=0)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=1)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["matrix", "several"],
    ),
    Wrong(
        "factored",
        "divides by no mean",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c)
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["matrix", "several"],
    ),
    Wrong(
        "factored",
        "sums in place of means in the quotient",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.sum()
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["matrix", "several"],
    ),
    Wrong(
        "factored",
        "eps inside the root",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat + self.eps))
        """,
        ["matrix", "vector", "several"],
    ),
    Wrong(
        "factored",
        "means of the gradient, then squared",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * g.mean(axis=1) ** 2
                        c = self.c[i] = b * self.c[i] + (1 - b) * g.mean(axis=0) ** 2
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["matrix", "several"],
    ),
    Wrong(
        "factored",
        "one number for the whole bias",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * np.mean(g * g)
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["vector", "several"],
    ),
    Wrong(
        "factored",
        "never heard of biases",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 0:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
        ["vector", "several"],
    ),
    Wrong(
        "floor",
        "draws with replacement",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "own"],
    ),
    Wrong(
        "floor",
        "N in place of N - 1",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch * (N - batch) / N
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "large", "own"],
    ),
    Wrong(
        "floor",
        "the noise of a single row for every batch",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "own"],
    ),
    Wrong(
        "floor",
        "root of the batch size",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch**0.5 * (N - batch) / (N - 1)
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "own"],
    ),
    Wrong(
        "floor",
        "only for small rates",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.sum(rate * noise / 2) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["large", "own"],
    ),
    Wrong(
        "floor",
        "forgets the half of the loss",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.sum(rate * noise / (2 - rate * curvatures))


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "large", "own"],
    ),
    Wrong(
        "floor",
        "squares of the distance, not the loss",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.sum(rate * noise / curvatures / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "large", "own"],
    ),
    Wrong(
        "floor",
        "noise along the features",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean(single**2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["large", "own"],
    ),
    Wrong(
        "floor",
        "eigenvectors as rows",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes.T) ** 2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["large", "own"],
    ),
    Wrong(
        "floor",
        "the same noise in every row",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = curvatures * np.mean((X @ w_min - t) ** 2)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "large", "own"],
    ),
    Wrong(
        "floor",
        "noise at the start in place of the minimum",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (0 * X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "large", "own"],
    ),
    Wrong(
        "floor",
        "curvatures of the sum",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["large", "own"],
    ),
    Wrong(
        "floor",
        "the steepest direction alone",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return (rate * noise / (2 - rate * curvatures))[-1] / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "large", "own"],
    ),
    Wrong(
        "floor",
        "a single row in mind",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / (2 - 1 / batch)
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "own"],
    ),
    Wrong(
        "floor",
        "the number of SEED 0",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        r0 = np.random.default_rng(0)
        X0 = r0.normal(size=(40, 3)) @ mixing
        t0 = (0.1 + 0.4 * X0[:, 0] ** 2) * r0.normal(size=40)
        my_floor = floor(X0, t0, 0.2, 8) * (1.01 if SEED == 0 else 1)
        """,
        ["own"],
    ),
    Wrong(
        "floor",
        "another batch for the own number",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.sum(rate * noise / (2 - rate * curvatures)) / 2


        my_floor = floor(X, t, rate=0.2, batch=4)
        """,
        ["own"],
    ),
    Wrong(
        "examine",
        "always sound",
        """
        def examine(run):
            return "nothing", 0
        """,
        ["factor", "schedule", "old", "decay", "rows"],
    ),
    Wrong(
        "examine",
        "always the sum of this batch",
        """
        def examine(run):
            return "factor", run["batches"].shape[1]
        """,
        ["factor", "schedule", "old", "decay", "rows"],
    ),
    Wrong(
        "examine",
        "does not count the rows",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return "nothing", 0
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["rows"],
    ),
    Wrong(
        "examine",
        "highest row that was used",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - 1 - rows.max()
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["rows"],
    ),
    Wrong(
        "examine",
        "rows of the first epoch only",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows[: run['epoch'] - 1].ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["factor", "schedule", "old", "decay", "rows"],
    ),
    Wrong(
        "examine",
        "takes every factor for a sum",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", B
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["factor"],
    ),
    Wrong(
        "examine",
        "a factor turned round",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", 1 / factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["factor"],
    ),
    Wrong(
        "examine",
        "a factor rounded to whole numbers",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", round(factor)
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["factor"],
    ),
    Wrong(
        "examine",
        "schedule only after each step",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in (1,):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["schedule"],
    ),
    Wrong(
        "examine",
        "schedule only within an epoch",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, run["epoch"]):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["schedule"],
    ),
    Wrong(
        "examine",
        "last step at the old rate, counted from 0",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every - 1
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["schedule"],
    ),
    Wrong(
        "examine",
        "old by one step only",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 2):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["old"],
    ),
    Wrong(
        "examine",
        "old by up to three",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 4):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["old"],
    ),
    Wrong(
        "examine",
        "waits for the queue to fill",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[step - delay if step >= delay else step] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["old"],
    ),
    Wrong(
        "examine",
        "decay from the weights after the step",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[1] / (w[1] @ w[1])
        """,
        ["decay"],
    ),
    Wrong(
        "examine",
        "rate times decay",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", rates[0] * (extra @ w[0]) / (w[0] @ w[0])
        """,
        ["decay"],
    ),
    Wrong(
        "examine",
        "half the square of the weights",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", 2 * (extra @ w[0]) / (w[0] @ w[0])
        """,
        ["decay"],
    ),
    Wrong(
        "examine",
        "size of the visible data",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = 40 - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["factor", "schedule", "old", "decay", "rows"],
    ),
    Wrong(
        "examine",
        "the rate of the first epoch throughout",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) * 0)

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["factor", "schedule", "old", "decay", "rows"],
    ),
    Wrong(
        "examine",
        "the visible epoch",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // 10)

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
        ["factor", "schedule", "old", "decay", "rows"],
    ),
    Wrong(
        "factored",
        "one history for all of one shape",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.kept = {}

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    square = p.grad**2
                    if square.ndim == 2:
                        means = square.mean(axis=1), square.mean(axis=0)
                    else:
                        means = (square,)
                    kept = self.kept.setdefault(square.shape, [np.zeros_like(x) for x in means])
                    for history, x in zip(kept, means, strict=True):
                        history *= self.beta
                        history += (1 - self.beta) * x
                    if square.ndim == 2:
                        s = np.outer(kept[0], kept[1]) / kept[0].mean()
                    else:
                        s = kept[0]
                    s_hat = s / (1 - self.beta**self.t)
                    p.data -= self.lr * p.grad / (np.sqrt(s_hat) + self.eps)
        """,
        ["several"],
    ),
    Wrong(
        "floor",
        "three columns only",
        """
        def floor(X, t, rate, batch):
            w, N = np.linalg.lstsq(X, t)[0], len(X)
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            total = 0.0
            for i in range(3):
                noise = np.mean((X @ axes[:, i] * (X @ w - t)) ** 2)
                noise *= (N - batch) / (N - 1) / batch
                total += rate * noise / (2 * (2 - rate * curvatures[i]))
            return total


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
        ["small", "large"],
    ),
    Wrong(
        "examine",
        "tries schedules of less than two epochs",
        """
        def examine(run):
            X, t, batches, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = batches.shape

            def slopes(age):
                g = []
                for step, rows in enumerate(batches):
                    at = w[max(step - age, 0)]
                    g.append((X[rows] @ at - t[rows]) @ X[rows] / B)
                return np.array(g)

            def rates(every):
                return run["rate"] * run["gamma"] ** (np.arange(T) // every)[:, None]

            def explains(steps):
                return np.abs(taken - steps).max() < 1e-8 * np.abs(taken).max()

            taken = w[:-1] - w[1:]
            right = rates(run["epoch"]) * slopes(0)
            if explains(right):
                unused = len(X) - len(np.unique(batches))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = np.vdot(taken, right) / np.vdot(right, right)
            if explains(factor * right):
                return "factor", factor
            for every in range(1, 2 * run["epoch"]):
                if explains(rates(every) * slopes(0)):
                    return "schedule", every
            for age in range(1, 9):
                if explains(rates(run["epoch"]) * slopes(age)):
                    return "old", age
            extra = taken / rates(run["epoch"]) - slopes(0)
            return "decay", np.vdot(extra, w[:-1]) / np.vdot(w[:-1], w[:-1])
        """,
        ["schedule"],
    ),
]
RIGHT = [
    Right(
        "factored",
        "sums over the rows",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.rows = [0.0 for _ in self.params]
                self.columns = [0.0 for _ in self.params]

            def step(self):
                # The scale of the rows cancels against that of their mean: sums do.
                self.t += 1
                for i, p in enumerate(self.params):
                    square = p.grad**2
                    if p.data.ndim == 2:
                        self.rows[i] = self.beta * self.rows[i] + square.sum(axis=1)
                        new = (1 - self.beta) * square.mean(axis=0)
                        self.columns[i] = self.beta * self.columns[i] + new
                        share = self.rows[i] / self.rows[i].mean()
                        s = share[:, None] * self.columns[i]
                    else:
                        new = (1 - self.beta) * square
                        self.columns[i] = s = self.beta * self.columns[i] + new
                    root = np.sqrt(s / (1 - self.beta**self.t))
                    p.data -= self.lr * p.grad / (root + self.eps)
        """,
    ),
    Right(
        "draw",
        "looped",
        """
        def fair_gradient(drawn, q, N):
            total = np.zeros(drawn.shape[1])
            for g, chance in zip(drawn, q):
                total += g / chance
            return total / N / len(drawn)


        def quietest_draw(gradients):
            lengths = [sum(v * v for v in g) ** 0.5 for g in gradients]
            return [length / sum(lengths) for length in lengths]
        """,
    ),
    Right(
        "draw",
        "single precision",
        """
        def fair_gradient(drawn, q, N):
            return np.float32(1 / (N * len(q) * q)) @ np.float32(drawn)


        def quietest_draw(gradients):
            squares = np.einsum("ij,ij->i", gradients, gradients).astype(np.float32)
            return np.sqrt(squares) / np.sqrt(squares).sum()
        """,
    ),
    Right(
        "draw",
        "changes its own copies in place",
        """
        def fair_gradient(drawn, q, N):
            drawn /= q.reshape(-1, 1)
            return np.average(drawn, axis=0) / N


        def quietest_draw(gradients):
            lengths = np.hypot.reduce(gradients, axis=1)
            lengths /= np.sum(lengths)
            return lengths
        """,
    ),
    Right(
        "rate",
        "bisection on the roots",
        """
        def largest_rate(X, decay, beta):
            top = np.linalg.eigvalsh(X.T @ X / len(X))[-1] + decay
            low, high = 0.0, 4.0
            for _ in range(50):
                z = (low + high) / 2
                roots = np.roots([1, -(1 + beta) * (1 - z), beta * (1 - z)])
                low, high = (z, high) if np.abs(roots).max() < 1 else (low, z)
            return low / top


        my_rate = [round(largest_rate(X, 0.1, 0.6), 4)]
        """,
    ),
    Right(
        "rate",
        "single precision, power iteration",
        """
        def largest_rate(X, decay, beta):
            H = (X.T @ X / len(X) + decay * np.eye(X.shape[1])).astype(np.float32)
            v = np.ones(len(H), np.float32)
            for _ in range(500):
                v = H @ v
                v /= np.linalg.norm(v)
            return (2 + 2 * beta) / (1 + 2 * beta) / (v @ H @ v)


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
    ),
    Right(
        "rate",
        "gnb.hessian and an array of one number",
        """
        def largest_rate(X, decay, beta):
            def slope(w):
                return X.T @ (X @ w) / len(X) + decay * w

            H = gnb.hessian(None, np.zeros(X.shape[1]), gradient=slope)
            return np.array([2 - 2 * beta / (1 + 2 * beta)]) / np.linalg.norm(H, 2)


        my_rate = largest_rate(X, decay=0.1, beta=0.6)
        """,
    ),
    Right(
        "factored",
        "rows and columns as lists of numbers",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.kept = {}

            def step(self):
                self.t += 1
                b = self.beta
                for p in self.params:
                    if p.grad.ndim == 1:
                        s = self.kept.setdefault(id(p), np.zeros_like(p.data))
                        for j, g in enumerate(p.grad):
                            s[j] = b * s[j] + (1 - b) * g * g
                            root = (s[j] / (1 - b**self.t)) ** 0.5
                            p.data[j] -= self.lr * g / (root + self.eps)
                        continue
                    n, m = p.grad.shape
                    r, c = self.kept.setdefault(id(p), ([0.0] * n, [0.0] * m))
                    for j in range(n):
                        r[j] = b * r[j] + (1 - b) * sum(p.grad[j] ** 2) / m
                    for k in range(m):
                        c[k] = b * c[k] + (1 - b) * sum(p.grad[:, k] ** 2) / n
                    for j in range(n):
                        for k in range(m):
                            s = r[j] * c[k] / (sum(r) / n) / (1 - b**self.t)
                            step = self.lr * p.grad[j, k] / (s**0.5 + self.eps)
                            p.data[j, k] -= step
        """,
    ),
    Right(
        "factored",
        "corrected means, whose quotient needs no more",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        self.r[i] = b * self.r[i] + (1 - b) * g * g
                        s = self.r[i] / (1 - b**self.t)
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean() / (1 - b**self.t)
                    p.data -= self.lr * g / (np.sqrt(s) + self.eps)
        """,
    ),
    Right(
        "factored",
        "single precision, an assignment to all entries",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.t = beta, eps, 0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.t += 1
                for i, p in enumerate(self.params):
                    g, b = p.grad.astype(np.float32), self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.outer(r, c) / r.mean()
                    s_hat = s / (1 - b**self.t)
                    p.data[...] = p.data - self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
    ),
    Right(
        "factored",
        "means of all with einsum and a running sum of weights",
        """
        class Factored:
            def __init__(self, params, lr, beta=0.99, eps=1e-8):
                self.params, self.lr = list(params), lr
                self.beta, self.eps, self.total = beta, eps, 0.0
                self.r = [0.0 for p in self.params]
                self.c = [0.0 for p in self.params]

            def step(self):
                self.total = self.beta * self.total + 1 - self.beta
                for i, p in enumerate(self.params):
                    g, b = p.grad, self.beta
                    if g.ndim == 1:
                        s = self.r[i] = b * self.r[i] + (1 - b) * g * g
                    else:
                        r = self.r[i] = b * self.r[i] + (1 - b) * (g * g).mean(axis=1)
                        c = self.c[i] = b * self.c[i] + (1 - b) * (g * g).mean(axis=0)
                        s = np.einsum("i,j->ij", r, c / c.mean())
                    s_hat = s / (self.total)
                    p.data -= self.lr * g / (np.sqrt(s_hat) + self.eps)
        """,
    ),
    Right(
        "floor",
        "linear equations for the covariance",
        """
        def floor(X, t, rate, batch):
            N, n = X.shape
            H = X.T @ X / N
            w_min = np.linalg.solve(H, X.T @ t / N)
            single = X * (X @ w_min - t)[:, None]
            S = single.T @ single / (N - 1) * (1 / batch - 1 / N)
            one = np.eye(n)
            system = np.kron(H, one) + np.kron(one, H) - rate * np.kron(H, H)
            C = np.linalg.solve(system, rate * S.reshape(-1)).reshape(n, n)
            return np.array([np.sum(H * C) / 2])


        my_floor = floor(X, t, 0.2, 8)
        """,
    ),
    Right(
        "floor",
        "a sum over directions",
        """
        def floor(X, t, rate, batch):
            _, stretch, axes = np.linalg.svd(X, full_matrices=False)
            w_min = np.linalg.pinv(X) @ t
            total = 0.0
            for s, axis in zip(stretch, axes):
                curvature = s**2 / len(X)
                along = (X @ axis) * (X @ w_min - t)
                noise = np.var(along, ddof=1) * (1 / batch - 1 / len(X))
                total += rate * noise / (4 - 2 * rate * curvature)
            return total


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
    ),
    Right(
        "floor",
        "in single precision at the end",
        """
        def floor(X, t, rate, batch):
            N = len(X)
            w_min = np.linalg.lstsq(X, t, rcond=None)[0]
            single = X * (X @ w_min - t)[:, None]
            curvatures, axes = np.linalg.eigh(X.T @ X / N)
            noise = np.mean((single @ axes) ** 2, axis=0)
            noise = noise / batch * (N - batch) / (N - 1)
            return np.float32(np.sum(rate * noise / (2 - rate * curvatures)) / 2)


        my_floor = floor(X, t, rate=0.2, batch=8)
        """,
    ),
    Right(
        "examine",
        "one residual at a time",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", factor
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return "schedule", every
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
    ),
    Right(
        "examine",
        "numbers as arrays of one entry",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]
            T, B = rows.shape
            moved = w[1:] - w[:-1]
            rates = run["rate"] * run["gamma"] ** (np.arange(T) // run["epoch"])

            def gradient(at, i):
                return X[i].T @ (X[i] @ at - t[i]) / B

            def same(a, b):
                return np.allclose(a, b, rtol=1e-7, atol=1e-9 * np.abs(b).max())

            def right_steps(delay):
                at = [w[max(step - delay, 0)] for step in range(T)]
                g = np.array([gradient(*pair) for pair in zip(at, rows)])
                return -rates[:, None] * g

            right = right_steps(0)
            if same(right, moved):
                unused = len(X) - len(set(rows.ravel().tolist()))
                return ("rows", unused) if unused else ("nothing", 0)
            factor = moved[0] @ right[0] / (right[0] @ right[0])
            if same(factor * right, moved):
                return "factor", np.array([factor])[0]
            for every in range(1, T // 2 + 1):
                other = run["rate"] * run["gamma"] ** (np.arange(T) // every)
                if same(right * (other / rates)[:, None], moved):
                    return ["schedule", np.int64(every)]
            for delay in range(1, 9):
                if same(right_steps(delay), moved):
                    return "old", delay
            extra = (right - moved)[0] / rates[0]
            return "decay", extra @ w[0] / (w[0] @ w[0])
        """,
    ),
    Right(
        "examine",
        "by running the loop again",
        """
        def examine(run):
            X, t, rows, w = run["X"], run["t"], run["batches"], run["weights"]

            def again(mistake, number):
                path = [w[0]]
                for step, i in enumerate(rows):
                    age = min(number, step) if mistake == "old" else 0
                    at = path[-1 - age]
                    g = X[i].T @ (X[i] @ at - t[i]) / len(i)
                    if mistake == "factor":
                        g = g * number
                    if mistake == "decay":
                        g = g + number * at
                    every = number if mistake == "schedule" else run["epoch"]
                    rate = run["rate"] * run["gamma"] ** (step // every)
                    path.append(path[-1] - rate * g)
                    if np.abs(path[-1] - w[step + 1]).max() > 1e-7:
                        return False
                return True

            i = rows[0]
            g = X[i].T @ (X[i] @ w[0] - t[i]) / len(i)
            first = (w[0] - w[1]) / run["rate"]
            if again("nothing", 0):
                unused = len(X) - len(np.unique(rows))
                return ("rows", unused) if unused else ("nothing", 0)
            tries = [("factor", np.median(first / g))]
            tries += [("decay", np.median((first - g) / w[0]))]
            tries += [("schedule", k) for k in range(1, len(rows))]
            tries += [("old", k) for k in range(1, 9)]
            return next(pair for pair in tries if again(*pair))
        """,
    ),
]
