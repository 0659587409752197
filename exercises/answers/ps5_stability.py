"""Answers that test the checks of problem set 5."""

from grading import Right, Wrong

WRONG = [
    # Task 1
    Wrong(
        "gains",
        "squares of the gains",
        """
        def gains(phi, slope, q, bias=0.0):
            z = math.sqrt(q) * nodes
            forward = (q - bias**2) / np.sum(density * phi(z) ** 2)
            return forward, 1 / np.sum(density * slope(z) ** 2)
        """,
        ["forward", "backward", "biases"],
    ),
    Wrong(
        "gains",
        "takes q for 1 on the left side",
        """
        def gains(phi, slope, q, bias=0.0):
            z = math.sqrt(q) * nodes
            forward = math.sqrt((1 - bias**2 / q) / np.sum(density * phi(z) ** 2))
            return forward, 1 / math.sqrt(np.sum(density * slope(z) ** 2))
        """,
        ["forward", "biases"],
    ),
    Wrong(
        "gains",
        "z of variance 1",
        """
        def gains(phi, slope, q, bias=0.0):
            forward = math.sqrt((q - bias**2) / np.sum(density * phi(nodes) ** 2))
            return forward, 1 / math.sqrt(np.sum(density * slope(nodes) ** 2))
        """,
        ["forward", "backward", "biases"],
    ),
    Wrong(
        "gains",
        "variance of the activations for their mean square",
        """
        def gains(phi, slope, q, bias=0.0):
            z = math.sqrt(q) * nodes
            square = np.sum(density * phi(z) ** 2) - np.sum(density * phi(z)) ** 2
            forward = math.sqrt((q - bias**2) / square)
            return forward, 1 / math.sqrt(np.sum(density * slope(z) ** 2))
        """,
        ["forward", "biases"],
    ),
    Wrong(
        "gains",
        "mean slope for the mean square of the slope",
        """
        def gains(phi, slope, q, bias=0.0):
            z = math.sqrt(q) * nodes
            forward = math.sqrt((q - bias**2) / np.sum(density * phi(z) ** 2))
            return forward, 1 / np.sum(density * slope(z))
        """,
        ["backward"],
    ),
    Wrong(
        "gains",
        "one gain for both",
        """
        def gains(phi, slope, q, bias=0.0):
            z = math.sqrt(q) * nodes
            forward = math.sqrt((q - bias**2) / np.sum(density * phi(z) ** 2))
            return forward, forward
        """,
        ["backward"],
    ),
    Wrong(
        "gains",
        "forgets the biases",
        """
        def gains(phi, slope, q, bias=0.0):
            z = math.sqrt(q) * nodes
            forward = math.sqrt(q / np.sum(density * phi(z) ** 2))
            return forward, 1 / math.sqrt(np.sum(density * slope(z) ** 2))
        """,
        ["biases"],
    ),
    Wrong(
        "gains",
        "takes the bias for a variance",
        """
        def gains(phi, slope, q, bias=0.0):
            z = math.sqrt(q) * nodes
            forward = math.sqrt(abs(q - bias) / np.sum(density * phi(z) ** 2))
            return forward, 1 / math.sqrt(np.sum(density * slope(z) ** 2))
        """,
        ["biases"],
    ),
    Wrong(
        "gains",
        "subtracts the bias from the backward gain as well",
        """
        def gains(phi, slope, q, bias=0.0):
            z = math.sqrt(q) * nodes
            left = (q - bias**2) / q
            forward = math.sqrt(q * left / np.sum(density * phi(z) ** 2))
            return forward, math.sqrt(left / np.sum(density * slope(z) ** 2))
        """,
        ["backward"],
    ),
    # Task 2
    Wrong(
        "predict",
        "each layer's own gain with its own slopes",
        """
        def predict(network, mean_square):
            q, chi = [], []
            for phi, slope, g, bias in network:
                q.append(g**2 * mean_square + bias**2)
                z = math.sqrt(q[-1]) * nodes
                mean_square = np.sum(density * phi(z) ** 2)
                chi.append(g**2 * np.sum(density * slope(z) ** 2))
            logs = 0.5 * np.log10(chi[:-1])
            return q, np.append(np.cumsum(logs[::-1])[::-1], 0)
        """,
        ["mixed"],
    ),
    Wrong(
        "predict",
        "gain and slopes of the layer above",
        """
        def predict(network, mean_square):
            q, chi = [], []
            for phi, slope, g, bias in network:
                q.append(g**2 * mean_square + bias**2)
                z = math.sqrt(q[-1]) * nodes
                mean_square = np.sum(density * phi(z) ** 2)
                chi.append(g**2 * np.sum(density * slope(z) ** 2))
            logs = 0.5 * np.log10(chi[1:])
            return q, np.append(np.cumsum(logs[::-1])[::-1], 0)
        """,
        ["alike", "mixed"],
    ),
    Wrong(
        "predict",
        "forgets that chi is a factor of squares",
        """
        def predict(network, mean_square):
            q, slopes = [], []
            for phi, slope, g, bias in network:
                q.append(g**2 * mean_square + bias**2)
                z = math.sqrt(q[-1]) * nodes
                mean_square = np.sum(density * phi(z) ** 2)
                slopes.append(np.sum(density * slope(z) ** 2))
            gains = np.array([g for _, _, g, _ in network])
            logs = np.log10(gains[1:] ** 2 * slopes[:-1])
            return q, np.append(np.cumsum(logs[::-1])[::-1], 0)
        """,
        ["alike", "mixed"],
    ),
    Wrong(
        "predict",
        "natural logarithm",
        """
        def predict(network, mean_square):
            q, slopes = [], []
            for phi, slope, g, bias in network:
                q.append(g**2 * mean_square + bias**2)
                z = math.sqrt(q[-1]) * nodes
                mean_square = np.sum(density * phi(z) ** 2)
                slopes.append(np.sum(density * slope(z) ** 2))
            gains = np.array([g for _, _, g, _ in network])
            logs = 0.5 * np.log(gains[1:] ** 2 * slopes[:-1])
            return q, np.append(np.cumsum(logs[::-1])[::-1], 0)
        """,
        ["alike", "mixed"],
    ),
    Wrong(
        "predict",
        "counts from the first layer",
        """
        def predict(network, mean_square):
            q, slopes = [], []
            for phi, slope, g, bias in network:
                q.append(g**2 * mean_square + bias**2)
                z = math.sqrt(q[-1]) * nodes
                mean_square = np.sum(density * phi(z) ** 2)
                slopes.append(np.sum(density * slope(z) ** 2))
            gains = np.array([g for _, _, g, _ in network])
            logs = 0.5 * np.log10(gains[1:] ** 2 * slopes[:-1])
            return q, np.append(0, -np.cumsum(logs))
        """,
        ["alike", "mixed"],
    ),
    Wrong(
        "predict",
        "takes the mean square of the input for q",
        """
        def predict(network, mean_square):
            q, slopes = [mean_square], []
            for phi, slope, g, bias in network:
                z = math.sqrt(q[-1]) * nodes
                q.append(g**2 * np.sum(density * phi(z) ** 2) + bias**2)
                slopes.append(np.sum(density * slope(z) ** 2))
            gains = np.array([g for _, _, g, _ in network])
            logs = 0.5 * np.log10(gains[1:] ** 2 * slopes[:-1])
            return q[:-1], np.append(np.cumsum(logs[::-1])[::-1], 0)
        """,
        ["variances", "alike", "mixed"],
    ),
    Wrong(
        "predict",
        "reports q without the biases",
        """
        def predict(network, mean_square):
            q, slopes = [], []
            for phi, slope, g, bias in network:
                q.append(g**2 * mean_square)
                z = math.sqrt(q[-1] + bias**2) * nodes
                mean_square = np.sum(density * phi(z) ** 2)
                slopes.append(np.sum(density * slope(z) ** 2))
            gains = np.array([g for _, _, g, _ in network])
            logs = 0.5 * np.log10(gains[1:] ** 2 * slopes[:-1])
            return q, np.append(np.cumsum(logs[::-1])[::-1], 0)
        """,
        ["variances"],
    ),
    Wrong(
        "predict",
        "one chi for the whole network",
        """
        def predict(network, mean_square):
            q, slopes = [], []
            for phi, slope, g, bias in network:
                q.append(g**2 * mean_square + bias**2)
                z = math.sqrt(q[-1]) * nodes
                mean_square = np.sum(density * phi(z) ** 2)
                slopes.append(np.sum(density * slope(z) ** 2))
            K, g = len(network), network[-1][2]
            left = np.arange(K - 1, -1, -1)
            return q, 0.5 * left * math.log10(g**2 * slopes[-1])
        """,
        ["alike", "mixed"],
    ),
    # Task 3
    Wrong(
        "carried",
        "multiplies in the wrong order",
        """
        def carried(W_ih, W_hh, b, x):
            h, J = np.zeros(len(W_hh)), np.eye(len(W_hh))
            for x_t in x:
                h = np.tanh(x_t @ W_ih + h @ W_hh + b)
                J = (W_hh * (1 - h**2)) @ J
            return np.linalg.svd(J, compute_uv=False)
        """,
        ["many"],
    ),
    Wrong(
        "carried",
        "slopes on the rows",
        """
        def carried(W_ih, W_hh, b, x):
            h, J = np.zeros(len(W_hh)), np.eye(len(W_hh))
            for x_t in x:
                h = np.tanh(x_t @ W_ih + h @ W_hh + b)
                J = J @ (W_hh * (1 - h**2)[:, None])
            return np.linalg.svd(J, compute_uv=False)
        """,
        ["one", "many"],
    ),
    Wrong(
        "carried",
        "forgets the slopes",
        """
        def carried(W_ih, W_hh, b, x):
            J = np.linalg.matrix_power(W_hh, len(x))
            return np.linalg.svd(J, compute_uv=False)
        """,
        ["one", "many"],
    ),
    Wrong(
        "carried",
        "singular values of the last factor",
        """
        def carried(W_ih, W_hh, b, x):
            h = np.zeros(len(W_hh))
            for x_t in x:
                h = np.tanh(x_t @ W_ih + h @ W_hh + b)
                J = W_hh * (1 - h**2)
            return np.linalg.svd(J, compute_uv=False)
        """,
        ["many"],
    ),
    Wrong(
        "carried",
        "products of singular values for those of the product",
        """
        def carried(W_ih, W_hh, b, x):
            h, s = np.zeros(len(W_hh)), 1.0
            for x_t in x:
                h = np.tanh(x_t @ W_ih + h @ W_hh + b)
                s = s * np.linalg.svd(W_hh * (1 - h**2), compute_uv=False)
            return s
        """,
        ["many"],
    ),
    Wrong(
        "carried",
        "slope of the weighted input",
        """
        def carried(W_ih, W_hh, b, x):
            h, J = np.zeros(len(W_hh)), np.eye(len(W_hh))
            for x_t in x:
                z = x_t @ W_ih + h @ W_hh + b
                h, J = np.tanh(z), J @ (W_hh * (1 - z**2))
            return np.linalg.svd(J, compute_uv=False)
        """,
        ["one", "many"],
    ),
    Wrong(
        "carried",
        "starts one step late",
        """
        def carried(W_ih, W_hh, b, x):
            h, J = np.tanh(x[0] @ W_ih + b), np.eye(len(W_hh))
            for x_t in x[1:]:
                h = np.tanh(x_t @ W_ih + h @ W_hh + b)
                J = J @ (W_hh * (1 - h**2))
            return np.linalg.svd(J, compute_uv=False)
        """,
        ["one", "many"],
    ),
    Wrong(
        "carried",
        "sizes of the eigenvalues",
        """
        def carried(W_ih, W_hh, b, x):
            h, J = np.zeros(len(W_hh)), np.eye(len(W_hh))
            for x_t in x:
                h = np.tanh(x_t @ W_ih + h @ W_hh + b)
                J = J @ (W_hh * (1 - h**2))
            return np.sort(np.abs(np.linalg.eigvals(J)))[::-1]
        """,
        ["one", "many"],
    ),
    Wrong(
        "carried",
        "forgets the state",
        """
        def carried(W_ih, W_hh, b, x):
            J = np.eye(len(W_hh))
            for x_t in x:
                J = J @ (W_hh * (1 - np.tanh(x_t @ W_ih + b) ** 2))
            return np.linalg.svd(J, compute_uv=False)
        """,
        ["many"],
    ),
    Wrong(
        "carried",
        "needs two steps",
        """
        def carried(W_ih, W_hh, b, x):
            h, factors = np.zeros(len(W_hh)), []
            for x_t in x:
                h = np.tanh(x_t @ W_ih + h @ W_hh + b)
                factors.append(W_hh * (1 - h**2))
            J = factors[0] @ factors[1]
            for factor in factors[2:]:
                J = J @ factor
            return np.linalg.svd(J, compute_uv=False)
        """,
        ["one"],
    ),
    # Task 4
    Wrong(
        "scales",
        "one over the spectral radius",
        """
        def largest_scale(W, T):
            return 1 / np.abs(np.linalg.eigvals(W)).max()


        own = [largest_scale(W_own, T) for T in (1, 10, 100)]
        """,
        ["function", "own"],
    ),
    Wrong(
        "scales",
        "one over the largest singular value",
        """
        def largest_scale(W, T):
            return 1 / np.linalg.norm(W, 2)


        own = [largest_scale(W_own, T) for T in (1, 10, 100)]
        """,
        ["function", "own"],
    ),
    Wrong(
        "scales",
        "forgets the root",
        """
        def largest_scale(W, T):
            return 1 / np.linalg.norm(np.linalg.matrix_power(W, T), 2)


        own = [largest_scale(W_own, T) for T in (1, 10, 100)]
        """,
        ["function", "own"],
    ),
    Wrong(
        "scales",
        "Frobenius norm",
        """
        def largest_scale(W, T):
            return np.linalg.norm(np.linalg.matrix_power(W, T)) ** (-1 / T)


        own = [largest_scale(W_own, T) for T in (1, 10, 100)]
        """,
        ["function", "own"],
    ),
    Wrong(
        "scales",
        "powers of each entry",
        """
        def largest_scale(W, T):
            return np.linalg.norm(W**T, 2) ** (-1 / T)


        own = [largest_scale(W_own, T) for T in (1, 10, 100)]
        """,
        ["function", "own"],
    ),
    Wrong(
        "scales",
        "always its own matrix",
        """
        def largest_scale(W, T):
            return np.linalg.norm(np.linalg.matrix_power(W_own, T), 2) ** (-1 / T)


        own = [largest_scale(W_own, T) for T in (1, 10, 100)]
        """,
        ["function"],
    ),
    Wrong(
        "scales",
        "own times read wrongly",
        """
        def largest_scale(W, T):
            return np.linalg.norm(np.linalg.matrix_power(W, T), 2) ** (-1 / T)


        own = [largest_scale(W_own, T) for T in (1, 2, 3)]
        """,
        ["own"],
    ),
    Wrong(
        "scales",
        "somebody else's matrix",
        """
        def largest_scale(W, T):
            return np.linalg.norm(np.linalg.matrix_power(W, T), 2) ** (-1 / T)


        theirs = np.random.default_rng([1234, 4]).normal(size=(8, 8)) / math.sqrt(8)
        own = [largest_scale(theirs, T) for T in (1, 10, 100)]
        """,
        ["own"],
    ),
    # Task 5
    Wrong(
        "clip",
        "clips the mean",
        """
        def clip_each(x, delta, limit):
            dW, db = x.T @ delta / len(x), delta.mean(axis=0)
            norm = np.sqrt(np.sum(dW**2) + np.sum(db**2))
            scale = min(1, limit / norm)
            return scale * dW, scale * db
        """,
        ["all long", "some long"],
    ),
    Wrong(
        "clip",
        "sum for mean",
        """
        def clip_each(x, delta, limit):
            norms = np.sqrt(np.sum(delta**2, axis=1) * (np.sum(x**2, axis=1) + 1))
            delta = delta * (limit / np.maximum(norms, limit))[:, None]
            return x.T @ delta, delta.sum(axis=0)
        """,
        ["all long", "some long", "zero"],
    ),
    Wrong(
        "clip",
        "weights and biases apart",
        """
        def clip_each(x, delta, limit):
            of_b = np.linalg.norm(delta, axis=1)
            of_W = of_b * np.linalg.norm(x, axis=1)
            for_b = delta * (limit / np.maximum(of_b, limit))[:, None]
            for_W = delta * (limit / np.maximum(of_W, limit))[:, None]
            return x.T @ for_W / len(x), for_b.mean(axis=0)
        """,
        ["all long", "some long"],
    ),
    Wrong(
        "clip",
        "forgets the bias in the norm",
        """
        def clip_each(x, delta, limit):
            norms = np.linalg.norm(delta, axis=1) * np.linalg.norm(x, axis=1)
            delta = delta * (limit / np.maximum(norms, limit))[:, None]
            return x.T @ delta / len(x), delta.mean(axis=0)
        """,
        ["all long", "some long"],
    ),
    Wrong(
        "clip",
        "clips the errors",
        """
        def clip_each(x, delta, limit):
            norms = np.linalg.norm(delta, axis=1)
            delta = delta * (limit / np.maximum(norms, limit))[:, None]
            return x.T @ delta / len(x), delta.mean(axis=0)
        """,
        ["all long", "some long"],
    ),
    Wrong(
        "clip",
        "lengthens short gradients",
        """
        def clip_each(x, delta, limit):
            norms = np.sqrt(np.sum(delta**2, axis=1) * (np.sum(x**2, axis=1) + 1))
            delta = delta * (limit / np.maximum(norms, 1e-9))[:, None]
            return x.T @ delta / len(x), delta.mean(axis=0)
        """,
        ["some long", "zero"],
    ),
    Wrong(
        "clip",
        "divides zero by zero",
        """
        def clip_each(x, delta, limit):
            norms = np.sqrt(np.sum(delta**2, axis=1) * (np.sum(x**2, axis=1) + 1))
            delta = delta * (np.minimum(norms, limit) / norms)[:, None]
            return x.T @ delta / len(x), delta.mean(axis=0)
        """,
        ["zero"],
    ),
    Wrong(
        "clip",
        "leaves out examples without a gradient",
        """
        def clip_each(x, delta, limit):
            some = delta.any(axis=1)
            x, delta = x[some], delta[some]
            norms = np.sqrt(np.sum(delta**2, axis=1) * (np.sum(x**2, axis=1) + 1))
            delta = delta * (limit / np.maximum(norms, limit))[:, None]
            return x.T @ delta / len(x), delta.mean(axis=0)
        """,
        ["zero"],
    ),
    Wrong(
        "clip",
        "one factor for all, from the longest",
        """
        def clip_each(x, delta, limit):
            norms = np.sqrt(np.sum(delta**2, axis=1) * (np.sum(x**2, axis=1) + 1))
            delta = delta * min(1, limit / norms.max())
            return x.T @ delta / len(x), delta.mean(axis=0)
        """,
        ["all long", "some long"],
    ),
    Wrong(
        "gains",
        "bias not squared",
        """
        def gains(phi, slope, q, bias=0.0):
            z = math.sqrt(q) * nodes
            forward = math.sqrt((q - bias) / np.sum(density * phi(z) ** 2))
            return forward, 1 / math.sqrt(np.sum(density * slope(z) ** 2))
        """,
        ["biases"],
    ),
    Wrong(
        "predict",
        "forgets the biases",
        """
        def predict(network, mean_square):
            q, slopes = [], []
            for phi, slope, g, bias in network:
                z = math.sqrt(g**2 * mean_square) * nodes
                q.append(g**2 * mean_square)
                mean_square = np.sum(density * phi(z) ** 2)
                slopes.append(np.sum(density * slope(z) ** 2))
            decades = [0.0]
            for l in range(len(network) - 1, 0, -1):
                step = math.log10(network[l][2] * math.sqrt(slopes[l - 1]))
                decades.insert(0, decades[0] + step)
            return q, decades
        """,
        ["variances", "mixed"],
    ),
]

# Task 6: the solution in pieces, each of which can be wrong
EXAMINE = """
def examine(log):
    a, W, b, dA = log["x"], log["W"], log["b"], log["dA"]
    K, on = len(W), []
    for l in range(1, K + 1):
        size = {size}
        if not 0.5 <= size <= 2:
            return "weights", l, size{square}
    for l in range(1, K + 1):
        z = a @ W[l - 1] + b[l - 1]
        on.append(z > 0)
        a = np.maximum(z, 0)
        dead = {dead}
        if l < K and dead > 0.5:
            return "dead", l{dead_layer}, dead
    {top}
    for l in range({order}):
        right = (dA[{upper}] * on[l - 1]) @ W[l - 1].T
        c = {c}
        if abs(c - 1) > 1e-6:
            return "backward", l{layer}, c
    return "healthy", 0, 0.0
"""
PIECES = {
    "size": "math.sqrt(np.mean(W[l - 1] ** 2) * len(W[l - 1]) / 2)",
    "square": "",
    "dead": "np.mean(~on[-1].any(axis=0))",
    "dead_layer": "",
    "top": "on[-1] = np.ones_like(on[-1])",
    "order": "K, 1, -1",
    "upper": "l - 1",
    "c": "np.sum(dA[l - 2] * right) / np.sum(right**2)",
    "layer": "",
}


def examine(**pieces):
    """Return an answer to task 6 with other pieces."""
    return EXAMINE.format(**{**PIECES, **pieces})


def wrong(name, fails, **pieces):
    """Return a wrong answer to task 6."""
    return Wrong("examine", name, examine(**pieces), fails)


WRONG += [
    wrong(
        "He's deviation from the outputs of a layer",
        ["weights"],
        size="math.sqrt(np.mean(W[l - 1] ** 2) * W[l - 1].shape[1] / 2)",
    ),
    wrong("variance for deviation", ["weights"], square="**2"),
    wrong(
        "evidence without He's deviation",
        ["names", "weights", "dead", "backward"],
        size="math.sqrt(np.mean(W[l - 1] ** 2))",
    ),
    wrong("counts dead layers from 0", ["dead"], dead_layer=" - 1"),
    wrong(
        "takes the share of zeros for that of dead units",
        ["names", "dead", "backward"],
        dead="np.mean(~on[-1])",
    ),
    wrong(
        "looks for dead rows",
        ["names", "dead"],
        dead="np.mean(~on[-1].any(axis=1))",
    ),
    wrong(
        "factor without its sign",
        ["backward"],
        c="np.linalg.norm(dA[l - 2]) / np.linalg.norm(right)",
    ),
    wrong(
        "factor upside down",
        ["backward"],
        c="np.sum(right**2) / np.sum(dA[l - 2] * right)",
    ),
    wrong(
        "names the layer that receives the error",
        ["backward"],
        layer=" - 1",
    ),
    wrong(
        "a ReLU at the top",
        ["names", "backward"],
        top="",
    ),
    Wrong(
        "examine",
        "sends the error back from the top and names the lowest layer",
        """
        def examine(log):
            a, W, b, dA = log["x"], log["W"], log["b"], log["dA"]
            K, on = len(W), []
            for l in range(1, K + 1):
                size = math.sqrt(np.mean(W[l - 1] ** 2) * len(W[l - 1]) / 2)
                if not 0.5 <= size <= 2:
                    return "weights", l, size
            for l in range(1, K):
                a = np.maximum(a @ W[l - 1] + b[l - 1], 0)
                on.append(a > 0)
                dead = np.mean(~on[-1].any(axis=0))
                if dead > 0.5:
                    return "dead", l, dead
            right, found = dA[-1] @ W[-1].T, ("healthy", 0, 0.0)
            for l in range(K, 1, -1):
                c = np.sum(dA[l - 2] * right) / np.sum(right**2)
                if abs(c - 1) > 1e-6:
                    found = "backward", l, c
                right = (right * on[l - 2]) @ W[l - 2].T
            return found
        """,
        ["backward"],
    ),
    Wrong(
        "examine",
        "knows nothing of the backward pass",
        """
        def examine(log):
            a, W, b = log["x"], log["W"], log["b"]
            for l in range(1, len(W) + 1):
                size = math.sqrt(np.mean(W[l - 1] ** 2) * len(W[l - 1]) / 2)
                if not 0.5 <= size <= 2:
                    return "weights", l, size
                a = np.maximum(a @ W[l - 1] + b[l - 1], 0)
                dead = np.mean(a.max(axis=0) == 0)
                if l < len(W) and dead > 0.5:
                    return "dead", l, dead
            return "healthy", 0, 0.0
        """,
        ["names", "backward"],
    ),
    Wrong(
        "examine",
        "looks at weights only",
        """
        def examine(log):
            for l, W in enumerate(log["W"], 1):
                size = math.sqrt(np.mean(W**2) * len(W) / 2)
                if not 0.5 <= size <= 2:
                    return "weights", l, size
            return "healthy", 0, 0.0
        """,
        ["names", "dead", "backward"],
    ),
    Wrong(
        "examine",
        "never calls anybody healthy",
        """
        def examine(log):
            a, W, b, dA = log["x"], log["W"], log["b"], log["dA"]
            K, masks = len(W), []
            for l in range(1, K + 1):
                size = math.sqrt(np.mean(W[l - 1] ** 2) * len(W[l - 1]) / 2)
                if not 0.5 <= size <= 2:
                    return "weights", l, size
                a = np.maximum(a @ W[l - 1] + b[l - 1], 0)
                masks.append(a > 0 if l < K else np.ones(a.shape))
                dead = np.mean(a.max(axis=0) == 0)
                if l < K and dead > 0.5:
                    return "dead", l, dead
            worst = 0, 0.0
            for l in range(K, 1, -1):
                right = (dA[l - 1] * masks[l - 1]) @ W[l - 1].T
                c = np.sum(dA[l - 2] * right) / np.sum(right**2)
                worst = max(worst, (abs(c - 1), l, c))
            return "backward", *worst[1:]
        """,
        ["names"],
    ),
    Wrong(
        "examine",
        "calls everybody healthy",
        'def examine(log):\n    return "healthy", 0, 0.0',
        ["names", "weights", "dead", "backward"],
    ),
    Wrong(
        "examine",
        "calls a factor near 1 healthy",
        examine().replace("> 1e-6", "> 0.3"),
        ["names", "backward"],
    ),
    Wrong(
        "examine",
        "looks for weights that are too large only",
        examine().replace("not 0.5 <= size <= 2", "size > 2"),
        ["names", "weights"],
    ),
    Wrong(
        "examine",
        "leaves out the first layer when looking for dead units",
        examine().replace("l < K and dead", "1 < l < K and dead"),
        ["names", "dead"],
    ),
    Wrong(
        "examine",
        "looks for dead units in the last layer as well",
        examine().replace("l < K and dead", "dead"),
        ["names"],
    ),
    Wrong(
        "examine",
        "names the last layer of a healthy network",
        examine().replace('"healthy", 0,', '"healthy", K,'),
        ["names"],
    ),
]

RIGHT = [
    # Task 1
    Right(
        "gains",
        "loop",
        """
        def gains(phi, slope, q, bias=0.0):
            square, slopes = 0.0, 0.0
            for weight, node in zip(density, nodes):
                square += weight * phi(node * q**0.5) ** 2
                slopes += weight * slope(node * q**0.5) ** 2
            return np.sqrt((q - bias**2) / square), slopes**-0.5
        """,
    ),
    Right(
        "gains",
        "Gauss's rule",
        """
        def gains(phi, slope, q, bias=0.0):
            u, w = np.polynomial.hermite_e.hermegauss(160)
            w = w / w.sum()
            forward = (w @ phi(np.sqrt(q) * u) ** 2 / (q - bias**2)) ** -0.5
            return np.array([forward, (w @ slope(np.sqrt(q) * u) ** 2) ** -0.5])
        """,
    ),
    Right(
        "gains",
        "single precision",
        """
        def gains(phi, slope, q, bias=0.0):
            z, p = np.float32(math.sqrt(q) * nodes), np.float32(density)
            forward = np.sqrt(np.float32(q - bias**2) / np.dot(p, phi(z) ** 2))
            return [forward, 1 / np.sqrt(np.dot(p, slope(z) ** 2))]
        """,
    ),
    # Task 2
    Right(
        "predict",
        "cumulated products",
        """
        def predict(network, mean_square):
            q, slopes = np.zeros(len(network)), np.zeros(len(network))
            for l, (phi, slope, g, bias) in enumerate(network):
                q[l] = g * g * mean_square + bias * bias
                z = np.sqrt(q[l]) * nodes
                mean_square = density @ phi(z) ** 2
                slopes[l] = density @ slope(z) ** 2
            gains = np.array([g for _, _, g, _ in network])
            chi = np.append(gains[1:] ** 2 * slopes[:-1], 1)
            return q, np.log10(np.sqrt(np.cumprod(chi[::-1])[::-1]))
        """,
    ),
    Right(
        "predict",
        "from the first layer on",
        """
        def predict(network, mean_square):
            q, logs, before = [], [0.0], None
            for phi, slope, g, bias in network:
                if before is not None:
                    logs.append(logs[-1] - math.log(g) - math.log(before) / 2)
                q.append(g**2 * mean_square + bias**2)
                z = math.sqrt(q[-1]) * nodes
                mean_square = sum(density * phi(z) ** 2)
                before = sum(density * slope(z) ** 2)
            return q, [(l - logs[-1]) / math.log(10) for l in logs]
        """,
    ),
    Right(
        "predict",
        "single precision",
        """
        def predict(network, mean_square):
            q, slopes, p = [], [], np.float32(density)
            for phi, slope, g, bias in network:
                q.append(np.float32(g**2 * mean_square + bias**2))
                z = np.sqrt(q[-1]) * np.float32(nodes)
                mean_square = p @ phi(z) ** 2
                slopes.append(p @ slope(z) ** 2)
            gains = np.float32([g for _, _, g, _ in network])
            steps = np.log10(gains[1:]) + np.log10(np.float32(slopes[:-1])) / 2
            return np.array(q), np.array([steps[l:].sum() for l in range(len(q))])
        """,
    ),
    # Task 3
    Right(
        "carried",
        "backward, by rows",
        """
        def carried(W_ih, W_hh, b, x):
            H = [np.zeros(len(b))]
            for x_t in x:
                H.append(np.tanh(b + np.dot(x_t, W_ih) + np.dot(H[-1], W_hh)))
            J = np.eye(len(b))
            for h in H[:0:-1]:
                J = W_hh @ np.diag(1 - h * h) @ J
            return np.linalg.svd(J)[1]
        """,
    ),
    Right(
        "carried",
        "eigenvalues of the product with its transpose",
        """
        def carried(W_ih, W_hh, b, x):
            h, J = np.zeros(len(b)), np.eye(len(b))
            for x_t in x:
                h = np.tanh(x_t @ W_ih + h @ W_hh + b)
                J = np.einsum("ij,jk,k->ik", J, W_hh, 1 - h**2)
            return np.sqrt(np.maximum(np.linalg.eigvalsh(J @ J.T), 0))[::-1]
        """,
    ),
    Right(
        "carried",
        "differences, in double precision",
        """
        def carried(W_ih, W_hh, b, x):
            h = 1e-6 * np.vstack([np.eye(len(b)), -np.eye(len(b))])
            for x_t in x:
                h = np.tanh(x_t @ W_ih + h @ W_hh + b)
            plus, minus = np.split(h, 2)
            return np.linalg.svd((plus - minus) / 2e-6, compute_uv=False)
        """,
    ),
    Right(
        "carried",
        "single precision",
        """
        def carried(W_ih, W_hh, b, x):
            W_ih, W_hh, b, x = map(np.float32, (W_ih, W_hh, b, x))
            h, J = np.zeros_like(b), np.eye(len(b), dtype=np.float32)
            for x_t in x:
                h = np.tanh(x_t @ W_ih + h @ W_hh + b)
                J = J @ W_hh @ np.diag(1 - h**2)
            return np.linalg.svd(J, compute_uv=False)
        """,
    ),
    # Task 4
    Right(
        "scales",
        "products of the transpose, in a loop",
        """
        def largest_scale(W, T):
            P = np.eye(len(W))
            for _ in range(T):
                P = P @ W.T
            return 1 / np.linalg.svd(P, compute_uv=False)[0] ** (1 / T)


        own = np.array([largest_scale(W_own, T) for T in (1, 10, 100)])
        """,
    ),
    Right(
        "scales",
        "bisection",
        """
        def largest_scale(W, T):
            low, high = 0.0, 100.0
            for _ in range(60):
                s = (low + high) / 2
                with np.errstate(all="ignore"):
                    P = np.linalg.matrix_power(s * W, T)
                    grows = not np.isfinite(P).all() or np.linalg.norm(P, 2) > 1
                low, high = (low, s) if grows else (s, high)
            return low


        own = largest_scale(W_own, 1), largest_scale(W_own, 10), largest_scale(W_own, 100)
        """,
    ),
    Right(
        "scales",
        "eigenvalues, of shape (1,)",
        """
        def largest_scale(W, T):
            P = np.linalg.matrix_power(W, T)
            return np.linalg.eigvalsh(P.T @ P)[-1:] ** (-0.5 / T)


        own = [largest_scale(W_own, T) for T in (1, 10, 100)]
        """,
    ),
    # Task 5
    Right(
        "clip",
        "loop over examples",
        """
        def clip_each(x, delta, limit):
            dW, db = np.zeros((x.shape[1], delta.shape[1])), np.zeros(delta.shape[1])
            for x_i, delta_i in zip(x, delta):
                g_W, g_b = np.outer(x_i, delta_i), delta_i
                norm = math.sqrt((g_W**2).sum() + (g_b**2).sum())
                if norm > limit:
                    g_W, g_b = g_W * limit / norm, g_b * limit / norm
                dW += g_W / len(x)
                db += g_b / len(x)
            return dW, db
        """,
    ),
    Right(
        "clip",
        "gnb.clip_grad_norm_ for each example",
        """
        def clip_each(x, delta, limit):
            layer = gnb.Linear(x.shape[1], delta.shape[1])
            dW, db = 0, 0
            for i in range(len(x)):
                layer.zero_grad()
                layer(x[i : i + 1])
                layer.backward(delta[i : i + 1])
                gnb.clip_grad_norm_(layer.parameters(), limit)
                dW, db = dW + layer.weight.grad, db + layer.bias.grad
            return dW / len(x), db / len(x)
        """,
    ),
    Right(
        "clip",
        "all gradients in one array, in place",
        """
        def clip_each(x, delta, limit):
            ones = np.append(x, np.ones((len(x), 1)), axis=1)
            all_of_them = np.einsum("ij,ik->ijk", ones, delta)
            norms = np.linalg.norm(all_of_them.reshape(len(x), -1), axis=1)
            all_of_them *= (limit / np.maximum(norms, limit))[:, None, None]
            mean = all_of_them.mean(axis=0)
            return mean[:-1], mean[-1]
        """,
    ),
    Right(
        "clip",
        "single precision",
        """
        def clip_each(x, delta, limit):
            x, delta = np.float32(x), np.float32(delta)
            norms = np.sqrt((delta**2).sum(1) * ((x**2).sum(1) + 1)) + np.float32(1e-7)
            delta *= np.minimum(1, np.float32(limit) / norms)[:, None]
            return x.T @ delta / len(x), delta.mean(axis=0)
        """,
    ),
    # Task 6
    Right("examine", "from below", examine(order="2, K + 1")),
    Right(
        "examine",
        "median of quotients, size by the norm",
        examine(
            size="np.linalg.norm(W[l - 1]) / math.sqrt(2 * W[l - 1].shape[1])",
            c="np.median((dA[l - 2] / right)[np.abs(right) > 1e-6 * np.abs(right).max()])",
        ),
    ),
    Right(
        "examine",
        "the book's layers",
        """
        def examine(log):
            a = log["x"]
            layers = len(log["W"])
            for l, (W, b) in enumerate(zip(log["W"], log["b"]), 1):
                size = np.sqrt((W**2).mean()) / np.sqrt(2 / W.shape[0])
                if size < 0.5 or size > 2:
                    return ["weights", l, size]
                linear, relu = gnb.Linear(*W.shape), gnb.ReLU()
                linear.weight.data[...] = W
                linear.bias.data[...] = b
                last = l == layers
                out = linear(a) if last else relu(linear(a))
                units = [j for j in range(out.shape[1]) if not (out[:, j] > 0).any()]
                if not last and len(units) > out.shape[1] / 2:
                    return ["dead", l, len(units) / out.shape[1]]
                error = log["dA"][l - 1]
                right = linear.backward(error if last else relu.backward(error))
                if l > 1 and not np.allclose(right, log["dA"][l - 2], atol=0):
                    return ["backward", l, log["dA"][l - 2].sum() / right.sum()]
                a = out
            return ["healthy", 0, 0]
        """,
    ),
    Right(
        "examine",
        "single precision",
        """
        def examine(log):
            a, W, b, dA = np.float32(log["x"]), log["W"], log["b"], log["dA"]
            for l in range(len(W)):
                W_l = np.float32(W[l])
                size = np.sqrt((W_l**2).mean() / (2 / len(W_l)))
                if abs(np.log2(size)) > 1:
                    return "weights", l + 1, size
            found = "healthy", 0, 0
            for l in range(len(W)):
                last = l == len(W) - 1
                z = a @ np.float32(W[l]) + np.float32(b[l])
                right = np.float32(dA[l]) * (last or z > 0) @ np.float32(W[l]).T
                if l:
                    c = np.float32((dA[l - 1] * right).sum() / (right**2).sum())
                    if abs(c - 1) > 1e-3:
                        found = "backward", l + 1, c
                a = np.maximum(z, 0)
                dead = 1 - np.mean(a.max(axis=0) > 0)
                if not last and dead > 0.5:
                    found = "dead", l + 1, dead
            return found
        """,
    ),
]
