"""Answers that test the checks of problem set 2."""

from grading import Right, Wrong

ALL = {
    "richardson": ["best", "error"],
    "best-step": ["step", "bound"],
    "hessian-vector": ["value", "length", "buffer"],
    "kinks": ["first", "second", "own"],
    "repair": ["value", "scale", "restored", "raises"],
    "fault": ["index", "weak", "size"],
}


def richardson(lines):
    """Return the code of task 1 with other last lines."""
    return f"""
def slope_and_error(f, w, r, h):
    narrow = (f(w + h * r) - f(w - h * r)) / (2 * h)
    wide = (f(w + 2 * h * r) - f(w - 2 * h * r)) / (4 * h)
    {lines}
    return best, error
"""


def best_step(lines, u="float(np.finfo(dtype).eps)"):
    """Return the code of task 2 with other lines for h and bound."""
    return f"""
def best_step(f_value, f5, dtype):
    u = {u}
    f, d = abs(f_value), abs(f5)
    {"; ".join(lines.split("; "))}
    return h, bound
"""


def kinks(body, own=""):
    """Return the code of task 4 with another function body, and other lines for one's own net."""
    own = own or "return distances.min(), np.sum(distances < 0.03)"
    return f"""
def kink_distance(X, W1, b1, W2, b2):
    Z1 = X @ W1 + b1
    slope = np.where(Z1 > 0, 1, 0.5)
    Z2 = (slope * Z1) @ W2 + b2
    first = np.abs(Z1[:, None, :] / X[:, :, None])
    per_w = X[:, :, None, None] * slope[:, None, :, None] * W2
    second = np.abs(Z2[:, None, None, :] / per_w)
    {body}


def own_network():
    distances = kink_distance(X, W1, b1, W2, b2)
    {own}
"""


BOTH = "return np.minimum(first.min(axis=0), second.min(axis=(0, 3)))"

REPAIRED = """
def direction_error(loss, arrays, gradients, directions, h=1e-5):
    before = [w.copy() for w in arrays]
    try:
        for w, r in zip(arrays, directions):
            w += h * r
        above = loss()
        for w, r in zip(arrays, directions):
            w -= 2 * h * r
        below = loss()
    finally:
        for w, old in zip(arrays, before):
            w[...] = old
    slope = (above - below) / (2 * h)
    claimed = sum(np.sum(g * r) for g, r in zip(gradients, directions))
    return abs(slope - claimed) / max(abs(slope), abs(claimed))
"""


def repaired(*changes):
    """Return a right answer to task 5 with some of its lines changed."""
    code = REPAIRED
    for old, new in changes:
        if code.count(old) != 1:
            raise ValueError(f"{old!r} is not there once")
        code = code.replace(old, new)
    return code


SEARCH = """
def find_fault(loss, w, gradient):
    def excess(low, high, h=1e-5):
        r = np.zeros(len(w))
        r[low:high] = 1
        slope = (loss(w + h * r) - loss(w - h * r)) / (2 * h)
        return np.sum(gradient[low:high]) - slope

    low, high = 0, len(w)
    while high - low > 1:
        middle = (low + high) // 2
        if abs(excess(low, middle)) > abs(excess(middle, high)):
            high = middle
        else:
            low = middle
    return low, excess(low, high)
"""


LAST = "r = 1e-5 * np.eye(len(w))[low]; "
LAST += "return low, gradient[low] - (loss(w + r) - loss(w - r)) / 2e-5"


def search(*changes):
    """Return a right answer to task 6 with some of its lines changed."""
    code = SEARCH
    for old, new in changes:
        if code.count(old) != 1:
            raise ValueError(f"{old!r} is not there once")
        code = code.replace(old, new)
    return code


WRONG = [
    Wrong(
        "richardson",
        "the plain difference with the right error",
        richardson("best, error = narrow, (wide - narrow) / 3"),
        ["best"],
    ),
    Wrong(
        "richardson",
        "the wide difference corrected by the error of the narrow one",
        richardson("error = (wide - narrow) / 3; best = wide - error"),
        ["best"],
    ),
    Wrong(
        "richardson",
        "the error with the other sign",
        richardson("best = (4 * narrow - wide) / 3; error = best - narrow"),
        ["error"],
    ),
    Wrong(
        "richardson",
        "the error without its sign",
        richardson("best = (4 * narrow - wide) / 3; error = abs(narrow - best)"),
        ["error"],
    ),
    Wrong(
        "richardson",
        "the error of the wide difference",
        richardson("best = (4 * narrow - wide) / 3; error = wide - best"),
        ["error"],
    ),
    Wrong(
        "richardson",
        "weights for an error of first order",
        richardson("best = 2 * narrow - wide; error = narrow - best"),
        ALL["richardson"],
    ),
    Wrong(
        "richardson",
        "weights for an error of fourth order",
        richardson("best = (16 * narrow - wide) / 15; error = narrow - best"),
        ALL["richardson"],
    ),
    Wrong(
        "richardson",
        "the mean of both",
        richardson("best = (narrow + wide) / 2; error = narrow - best"),
        ALL["richardson"],
    ),
    Wrong(
        "richardson",
        "forgets to divide by 3",
        richardson("best = 4 * narrow - wide; error = wide - narrow"),
        ALL["richardson"],
    ),
    Wrong(
        "richardson",
        "the two numbers exchanged",
        richardson("error = (4 * narrow - wide) / 3; best = narrow - error"),
        ALL["richardson"],
    ),
    Wrong(
        "best-step",
        "the step of the plain central difference",
        best_step("h = (3 * u / 2 * f / d) ** (1 / 3); bound = d * h**4 / 30 + 0.75 * u * f / h"),
        ALL["best-step"],
    ),
    Wrong(
        "best-step",
        "the rounding of two values only",
        best_step("h = (3.75 * u * f / d) ** 0.2; bound = d * h**4 / 30 + u * f / (2 * h)"),
        ALL["best-step"],
    ),
    Wrong(
        "best-step",
        "all four values with the same weight",
        best_step("h = (2.5 * u * f / d) ** 0.2; bound = d * h**4 / 30 + u * f / (3 * h)"),
        ALL["best-step"],
    ),
    Wrong(
        "best-step",
        "the rounding of 8 - 8 - 1 + 1 less the negative weights",
        best_step("h = (15 / 4 * u * f / d) ** 0.2; bound = d * h**4 / 6"),
        ALL["best-step"],
    ),
    Wrong(
        "best-step",
        "an error of u in each value",
        best_step("h = (11.25 * u * f / d) ** 0.2; bound = d * h**4 / 6"),
        ALL["best-step"],
    ),
    Wrong(
        "best-step",
        "truncation and rounding set equal",
        best_step("h = (22.5 * u * f / d) ** 0.2; bound = d * h**4 / 15"),
        ALL["best-step"],
    ),
    Wrong(
        "best-step",
        "the truncation alone",
        best_step("h = (5.625 * u * f / d) ** 0.2; bound = d * h**4 / 30"),
        ["bound"],
    ),
    Wrong(
        "best-step",
        "the rounding alone",
        best_step("h = (5.625 * u * f / d) ** 0.2; bound = 0.75 * u * f / h"),
        ["bound"],
    ),
    Wrong(
        "best-step",
        "the difference of both errors",
        best_step("h = (5.625 * u * f / d) ** 0.2; bound = 0.75 * u * f / h - d * h**4 / 30"),
        ["bound"],
    ),
    Wrong(
        "best-step",
        "double precision always",
        best_step(
            "h = (5.625 * u * f / d) ** 0.2; bound = d * h**4 / 6",
            u="float(np.finfo(float).eps)",
        ),
        ["bound"],
    ),
    Wrong(
        "best-step",
        "signs kept",
        best_step("h = (5.625 * u * f_value / f5) ** 0.2; bound = f5 * h**4 / 6"),
        ALL["best-step"],
    ),
    Wrong(
        "best-step",
        "of size one always",
        best_step("h = (5.625 * u) ** 0.2; bound = h**4 / 6"),
        ALL["best-step"],
    ),
    Wrong(
        "best-step",
        "the sign of f lost in the step, but not in the bound",
        best_step(
            "h = (5.625 * u * f / d) ** 0.2; bound = 0.75 * u * f_value / h + f5 * h**4 / 30"
        ),
        ["bound"],
    ),
    Wrong(
        "best-step",
        "the longer of the two steps",
        best_step("h = (5.625 * u * f / d) ** 0.2; bound = d * h**4 / 6; h = 2 * h"),
        ["step"],
    ),
    Wrong(
        "hessian-vector",
        "the same step for all lengths",
        """
        def hessian_vector(gradient, w, v, h=1e-5):
            above = gradient(w + h * v).copy()
            return (above - gradient(w - h * v)) / (2 * h)
        """,
        ["length"],
    ),
    Wrong(
        "hessian-vector",
        "goes along a unit vector and forgets the length",
        """
        def hessian_vector(gradient, w, v, h=1e-5):
            r = v / np.linalg.norm(v)
            above = gradient(w + h * r).copy()
            return (above - gradient(w - h * r)) / (2 * h)
        """,
        ["length", "buffer"],
    ),
    Wrong(
        "hessian-vector",
        "keeps a reference instead of a copy",
        """
        def hessian_vector(gradient, w, v):
            h = 1e-5 / np.linalg.norm(v)
            above = gradient(w + h * v)
            below = gradient(w - h * v)
            return (above - below) / (2 * h)
        """,
        ["buffer"],
    ),
    Wrong(
        "hessian-vector",
        "leaves w where it was moved to",
        """
        def hessian_vector(gradient, w, v):
            h = 1e-5 / np.linalg.norm(v)
            w += h * v
            above = gradient(w).copy()
            w -= 2 * h * v
            return (above - gradient(w)) / (2 * h)
        """,
        ["value"],
    ),
    Wrong(
        "hessian-vector",
        "works for vectors only",
        """
        def hessian_vector(gradient, w, v):
            h = 1e-5 / np.sqrt(v @ v)
            above = gradient(w + h * v).copy()
            return (above - gradient(w - h * v)) / (2 * h)
        """,
        ["buffer"],
    ),
    Wrong(
        "hessian-vector",
        "the whole Hessian",
        """
        def hessian_vector(gradient, w, v):
            H = gnb.hessian(None, w, gradient=gradient)
            return (H @ v.ravel()).reshape(w.shape)
        """,
        ["value"],
    ),
    Wrong(
        "hessian-vector",
        "a one-sided difference with a longer step",
        """
        def hessian_vector(gradient, w, v):
            h = 1e-4 / np.linalg.norm(v)
            here = gradient(w).copy()
            return (gradient(w + h * v) - here) / h
        """,
        ALL["hessian-vector"],
    ),
    Wrong(
        "hessian-vector",
        "a step that is too short",
        """
        def hessian_vector(gradient, w, v):
            h = 1e-12 / np.linalg.norm(v)
            above = gradient(w + h * v).copy()
            return (above - gradient(w - h * v)) / (2 * h)
        """,
        ALL["hessian-vector"],
    ),
    Wrong(
        "hessian-vector",
        "divides by one step instead of two",
        """
        def hessian_vector(gradient, w, v):
            h = 1e-5 / np.linalg.norm(v)
            above = gradient(w + h * v).copy()
            return (above - gradient(w - h * v)) / h
        """,
        ALL["hessian-vector"],
    ),
    Wrong(
        "hessian-vector",
        "the curvature v H v",
        """
        def hessian_vector(gradient, w, v):
            h = 1e-5 / np.linalg.norm(v)
            above = gradient(w + h * v).copy()
            return np.sum(v * (above - gradient(w - h * v))) / (2 * h)
        """,
        ALL["hessian-vector"],
    ),
    Wrong(
        "hessian-vector",
        "makes v itself a unit vector",
        """
        def hessian_vector(gradient, w, v, h=1e-5):
            size = np.linalg.norm(v)
            v /= size
            above = gradient(w + h * v).copy()
            return (above - gradient(w - h * v)) / (2 * h) * size
        """,
        ["length"],
    ),
    Wrong(
        "hessian-vector",
        "a step by the largest entry, signs and all",
        """
        def hessian_vector(gradient, w, v):
            h = 1e-5 / np.max(v)
            above = gradient(w + h * v).copy()
            return (above - gradient(w - h * v)) / (2 * h)
        """,
        ["length"],
    ),
    Wrong(
        "hessian-vector",
        "a step by the sum of the entries",
        """
        def hessian_vector(gradient, w, v):
            h = 1e-6 / np.sum(v)
            above = gradient(w + h * v).copy()
            return (above - gradient(w - h * v)) / (2 * h)
        """,
        ["length"],
    ),
    Wrong(
        "kinks",
        "the first layer only",
        kinks("return first.min(axis=0)"),
        ["second", "own"],
    ),
    Wrong(
        "kinks",
        "the second layer only",
        kinks("return second.min(axis=(0, 3))"),
        ["first", "own"],
    ),
    Wrong(
        "kinks",
        "the slope of negative units forgotten",
        kinks(f"second = second * slope[:, None, :, None]; {BOTH}"),
        ["second", "own"],
    ),
    Wrong(
        "kinks",
        "negative units held to be dead",
        kinks(f"second[np.broadcast_to(slope[:, None, :, None] < 1, second.shape)] = 1e9; {BOTH}"),
        ["second", "own"],
    ),
    Wrong(
        "kinks",
        "upwards only",
        kinks(
            "first = Z1[:, None, :] / X[:, :, None]; second = Z2[:, None, None, :] / per_w\n"
            "    first = np.where(first < 0, -first, np.inf)\n"
            f"    second = np.where(second < 0, -second, np.inf); {BOTH}"
        ),
        ALL["kinks"],
    ),
    Wrong(
        "kinks",
        "the distance in z instead of in w",
        kinks(
            "return np.broadcast_to(np.minimum(np.abs(Z1).min(axis=0), np.abs(Z2).min()), W1.shape)"
        ),
        ALL["kinks"],
    ),
    Wrong(
        "kinks",
        "all rows must cross",
        kinks("return np.minimum(first.max(axis=0), second.max(axis=(0, 3)))"),
        ALL["kinks"],
    ),
    Wrong(
        "kinks",
        "one number for all entries",
        kinks("return min(first.min(), second.min())"),
        ALL["kinks"],
    ),
    Wrong(
        "kinks",
        "the batch of the setup cell",
        kinks(f"{BOTH}").replace("Z1 = X", "X = globals()['X']; Z1 = X"),
        ["first", "second"],
    ),
    Wrong(
        "kinks",
        "the mean distance as the longest step",
        kinks(BOTH, own="return distances.mean(), np.sum(distances < 0.03)"),
        ["own"],
    ),
    Wrong(
        "kinks",
        "the number of entries that cross none",
        kinks(BOTH, own="return distances.min(), np.sum(distances > 0.03)"),
        ["own"],
    ),
    Wrong(
        "kinks",
        "the numbers of another seed",
        kinks(
            BOTH,
            own="""
    rng = np.random.default_rng(SEED + 1)
    shapes = (30, 6), (6, 5), 5, (5, 4), 4
    distances = kink_distance(*(rng.normal(size=shape) for shape in shapes))
    return distances.min(), np.sum(distances < 0.03)
""",
        ),
        ["own"],
    ),
    Wrong(
        "repair",
        "as it was found",
        "direction_error = first_try",
        ALL["repair"],
    ),
    Wrong(
        "repair",
        "in place, but put back by subtraction, after the second run",
        repaired(
            ("    try:\n", "    if True:\n"),
            ("    finally:\n", "    if True:\n"),
            (
                "for w, old in zip(arrays, before):\n            w[...] = old",
                "for w, r in zip(arrays, directions):\n            w += h * r",
            ),
        ),
        ["restored", "raises"],
    ),
    Wrong(
        "repair",
        "put back bit for bit, but not when the loss raises",
        repaired(("    try:\n", "    if True:\n"), ("    finally:\n", "    if True:\n")),
        ["raises"],
    ),
    Wrong(
        "repair",
        "returns nan when the loss raises",
        repaired(
            ("    finally:\n", "    except Exception:\n        return np.nan\n    finally:\n")
        ),
        ["raises"],
    ),
    Wrong(
        "repair",
        "put back after the second run has raised, but not after the first",
        repaired(
            ("    try:\n", "    if True:\n"),
            ("        below = loss()\n", "    try:\n        below = loss()\n"),
        ),
        ["raises"],
    ),
    Wrong(
        "repair",
        "other arrays put in place of the old ones",
        repaired(("            w[...] = old", "            pass\n        arrays[:] = before")),
        ["restored", "raises"],
    ),
    Wrong(
        "repair",
        "never put back",
        repaired(("            w[...] = old", "            pass")),
        ["restored", "raises"],
    ),
    Wrong(
        "repair",
        "put back by subtraction also when the loss raises",
        """
        def direction_error(loss, arrays, gradients, directions, h=1e-5):
            def at(step):
                for w, r in zip(arrays, directions):
                    w += step * r
                try:
                    return loss()
                finally:
                    for w, r in zip(arrays, directions):
                        w -= step * r

            slope = (at(h) - at(-h)) / (2 * h)
            claimed = sum(np.sum(g * r) for g, r in zip(gradients, directions))
            return abs(slope - claimed) / max(abs(slope), abs(claimed))
        """,
        ["restored"],
    ),
    Wrong(
        "repair",
        "an absolute error for slopes below one",
        repaired(("max(abs(slope), abs(claimed))", "max(1, abs(slope), abs(claimed))")),
        ["scale"],
    ),
    Wrong(
        "repair",
        "divides by the slope alone",
        repaired(("max(abs(slope), abs(claimed))", "abs(slope)")),
        ["scale"],
    ),
    Wrong(
        "repair",
        "divides by the claim alone",
        repaired(("max(abs(slope), abs(claimed))", "abs(claimed)")),
        ["value"],
    ),
    Wrong(
        "repair",
        "a small number in the denominator",
        repaired(("max(abs(slope), abs(claimed))", "(max(abs(slope), abs(claimed)) + 1e-8)")),
        ["scale"],
    ),
    Wrong(
        "repair",
        "divides by the sum of both",
        repaired(("max(abs(slope), abs(claimed))", "(abs(slope) + abs(claimed))")),
        ["value", "scale"],
    ),
    Wrong(
        "repair",
        "means instead of sums",
        repaired(("sum(np.sum(g * r) for", "sum(np.mean(g * r) for")),
        ["value", "scale"],
    ),
    Wrong(
        "repair",
        "the mean over the arrays",
        repaired(
            (
                "sum(np.sum(g * r) for g, r in zip(gradients, directions))",
                "np.mean([np.sum(g * r) for g, r in zip(gradients, directions)])",
            )
        ),
        ["value", "scale"],
    ),
    Wrong(
        "repair",
        "back to the start and no further",
        repaired(("w -= 2 * h * r", "w -= h * r")),
        ["value", "scale"],
    ),
    Wrong(
        "repair",
        "the first array only",
        repaired(
            (
                "sum(np.sum(g * r) for g, r in zip(gradients, directions))",
                "np.sum(gradients[0] * directions[0])",
            ),
        ),
        ["value", "scale"],
    ),
    Wrong(
        "repair",
        "the larger of both by sign, not by size",
        repaired(("max(abs(slope), abs(claimed))", "max(slope, claimed)")),
        ["scale"],
    ),
    Wrong(
        "repair",
        "the difference with its sign",
        repaired(("abs(slope - claimed) /", "(slope - claimed) /")),
        ["scale"],
    ),
    Wrong(
        "repair",
        "products without their signs",
        repaired(("np.sum(g * r) for", "np.sum(np.abs(g * r)) for")),
        ["value", "scale"],
    ),
    Wrong(
        "repair",
        "a forward difference",
        repaired(("w -= 2 * h * r", "w -= h * r"), ("/ (2 * h)", "/ h")),
        ["value", "scale"],
    ),
    Wrong(
        "repair",
        "the largest error of any one array",
        """
        def direction_error(loss, arrays, gradients, directions, h=1e-5):
            errors = []
            for w, g, r in zip(arrays, gradients, directions):
                old = w.copy()
                try:
                    w[...] = old + h * r
                    above = loss()
                    w[...] = old - h * r
                    below = loss()
                finally:
                    w[...] = old
                s, c = (above - below) / (2 * h), np.sum(g * r)
                errors.append(abs(s - c) / max(abs(s), abs(c)))
            return max(errors)
        """,
        ["value", "scale"],
    ),
    Wrong(
        "fault",
        "true minus claimed",
        search(("return low, excess(low, high)", "return low, -excess(low, high)")),
        ["size"],
    ),
    Wrong(
        "fault",
        "the error as a part of the claimed derivative",
        search(
            ("return low, excess(low, high)", "return low, excess(low, high) / gradient[low]"),
        ),
        ["weak", "size"],
    ),
    Wrong(
        "fault",
        "the size of the error without its sign",
        search(("return low, excess(low, high)", "return low, abs(excess(low, high))")),
        ["size"],
    ),
    Wrong(
        "fault",
        "a fixed threshold",
        search(("> abs(excess(middle, high))", "> 1e-3")),
        ["weak"],
    ),
    Wrong(
        "fault",
        "too long a step in the search",
        search(("h=1e-5", "h=4e-3"), ("return low, excess(low, high)", LAST)),
        ["weak"],
    ),
    Wrong(
        "fault",
        "forward differences in the search",
        search(
            ("loss(w - h * r)) / (2 * h)", "loss(w)) / h"),
            ("h=1e-5", "h=3e-5"),
            ("return low, excess(low, high)", LAST),
        ),
        ["weak"],
    ),
    Wrong(
        "fault",
        "corrects the gradient that it was given",
        search(
            (
                "return low, excess(low, high)",
                "error = excess(low, high); gradient[low] -= error; return low, error",
            )
        ),
        ["index"],
    ),
    Wrong(
        "fault",
        "every entry by itself",
        """
        def find_fault(loss, w, gradient):
            error = gradient - gnb.numerical_gradient(loss, w)
            index = np.abs(error).argmax()
            return index, error[index]
        """,
        ALL["fault"],
    ),
    Wrong(
        "fault",
        "counts from one",
        search(("return low, excess(low, high)", "return low + 1, excess(low, high)")),
        ["index", "weak"],
    ),
    Wrong(
        "fault",
        "never looks at the last entry",
        search(("low, high = 0, len(w)", "low, high = 0, len(w) - 1")),
        ["index"],
    ),
    Wrong(
        "fault",
        "never looks at the first entry",
        search(("low, high = 0, len(w)", "low, high = 1, len(w)")),
        ["index"],
    ),
    Wrong(
        "fault",
        "compares the sums without their size",
        search(
            (
                "abs(excess(low, middle)) > abs(excess(middle, high))",
                "excess(low, middle) > excess(middle, high)",
            )
        ),
        ALL["fault"],
    ),
    Wrong(
        "fault",
        "the largest claimed derivative",
        """
        def find_fault(loss, w, gradient):
            index = np.abs(gradient).argmax()
            step = 1e-5 * np.eye(len(w))[index]
            slope = (loss(w + step) - loss(w - step)) / 2e-5
            return index, gradient[index] - slope
        """,
        ALL["fault"],
    ),
    Wrong(
        "fault",
        "some entries drawn at random",
        """
        def find_fault(loss, w, gradient):
            worst = (0, 0.0)
            for index in np.random.default_rng(0).permutation(len(w))[:25]:
                step = 1e-5 * np.eye(len(w))[index]
                error = gradient[index] - (loss(w + step) - loss(w - step)) / 2e-5
                if abs(error) > abs(worst[1]):
                    worst = (index, error)
            return worst
        """,
        ALL["fault"],
    ),
    Wrong(
        "fault",
        "a forward difference in the end",
        search(
            (
                "return low, excess(low, high)",
                "r = 2e-6 * np.eye(len(w))[low]; "
                "return low, gradient[low] - (loss(w + r) - loss(w)) / 2e-6",
            )
        ),
        ["weak"],
    ),
]

RIGHT = [
    Right(
        "richardson",
        "the textbook's weights",
        """
        def slope_and_error(f, w, r, h):
            a, b = f(w + h * r), f(w - h * r)
            c, d = f(w + 2 * h * r), f(w - 2 * h * r)
            best = (8 * (a - b) - (c - d)) / (12 * h)
            return best, (a - b) / (2 * h) - best
        """,
    ),
    Right(
        "richardson",
        "two equations solved as such",
        richardson(
            "best, c = np.linalg.solve([[1, h**2], [1, 4 * h**2]], [narrow, wide]);"
            " error = c * h**2"
        ),
    ),
    Right(
        "richardson",
        "single precision at the end, in arrays of one entry",
        richardson(
            "error = np.float32([(wide - narrow) / 3]);"
            " best = np.float32([(4 * narrow - wide) / 3])"
        ),
    ),
    Right(
        "best-step",
        "closed form",
        best_step("h = (45 / 8 * u * f / d) ** 0.2; bound = d * h**4 / 6"),
    ),
    Right(
        "best-step",
        "the minimum by golden section",
        """
        def best_step(f_value, f5, dtype):
            u = float(np.finfo(dtype).eps)

            def bound(log_h):
                h = np.exp(log_h)
                return abs(f5) * h**4 / 30 + 0.75 * u * abs(f_value) / h

            low, high, g = np.log(1e-8), np.log(10), (5**0.5 - 1) / 2
            for _ in range(60):
                a, b = high - g * (high - low), low + g * (high - low)
                if bound(a) < bound(b):
                    high = b
                else:
                    low = a
            return np.exp(low), bound(low)
        """,
    ),
    Right(
        "best-step",
        "single precision",
        """
        def best_step(f_value, f5, dtype):
            u = np.float32(np.finfo(dtype).eps)
            h = np.float32((5.625 * u * abs(f_value) / abs(f5)) ** 0.2)
            return h, np.float32(abs(f5) * h**4 / 30 + 0.75 * u * abs(f_value) / h)
        """,
    ),
    Right(
        "hessian-vector",
        "one-sided, with a step of its own",
        """
        def hessian_vector(gradient, w, v):
            h = 1.5e-8 / np.linalg.norm(v)
            here = np.array(gradient(w))
            return (gradient(w + h * v) - here) / h
        """,
    ),
    Right(
        "hessian-vector",
        "four calls, without the error of second order",
        """
        def hessian_vector(gradient, w, v):
            size = np.abs(v).max()
            r, h = v / size, 1e-4

            def D(h):
                above = gradient(w + h * r).copy()
                below = gradient(w - h * r).copy()
                return (above - below) / (2 * h)

            return size * (4 * D(h) - D(2 * h)) / 3
        """,
    ),
    Right(
        "hessian-vector",
        "moves w itself, and returns single precision",
        """
        def hessian_vector(gradient, w, v):
            start, t = w.copy(), 1e-5 / np.sqrt(np.sum(v**2))
            w += t * v
            above = 1 * gradient(w)
            w[...] = start - t * v
            below = 1 * gradient(w)
            w[...] = start
            return np.float32((above - below) / 2 / t)
        """,
    ),
    Right("kinks", "all at once", kinks(BOTH)),
    Right(
        "kinks",
        "with gradnb's layers, entry by entry",
        """
        def kink_distance(X, W1, b1, W2, b2):
            nearest = np.full(W1.shape, np.inf)
            act = gnb.LeakyReLU(0.5)
            Z1 = X @ W1 + b1
            Z2 = act(Z1) @ W2 + b2
            for j in range(W1.shape[0]):
                for k in range(W1.shape[1]):
                    for row in range(len(X)):
                        rates = [X[row, j]]
                        zs = [Z1[row, k]]
                        for m in range(W2.shape[1]):
                            through = X[row, j] if Z1[row, k] > 0 else 0.5 * X[row, j]
                            rates.append(through * W2[k, m])
                            zs.append(Z2[row, m])
                        for z, rate in zip(zs, rates):
                            nearest[j, k] = min(nearest[j, k], abs(z) / abs(rate))
            return nearest


        nearest = kink_distance(X, W1, b1, W2, b2)
        answer = [float(nearest.min()), int((nearest <= 0.03).sum())]


        def own_network():
            return answer
        """,
    ),
    Right(
        "kinks",
        "from the rates of change",
        """
        def kink_distance(X, W1, b1, W2, b2):
            Z1 = X @ W1 + b1
            A1 = np.maximum(Z1, 0.5 * Z1)
            Z2 = A1 @ W2 + b2
            rate1 = 1 / np.abs(Z1)
            rate2 = (A1 / Z1) * np.max(np.abs(W2[None] / Z2[:, None, :]), axis=2)
            rate = np.einsum("nj,nk->njk", np.abs(X), np.maximum(rate1, rate2))
            return 1 / rate.max(axis=0)


        def own_network():
            own = kink_distance(X, W1, b1, W2, b2)
            return np.array([own.min()]), sum(d < 0.03 for d in own.ravel())
        """,
    ),
    Right(
        "kinks",
        "single precision",
        kinks("return np.minimum(first.min(axis=0), second.min(axis=(0, 3))).astype(np.float32)"),
    ),
    Right("repair", "moved in place", REPAIRED),
    Right(
        "repair",
        "array after array, and the slopes added",
        """
        def direction_error(loss, arrays, gradients, directions, h=1e-5):
            slope = claimed = 0
            for w, g, r in zip(arrays, gradients, directions):
                kept = w.copy()
                try:
                    w[...] = kept + h * r
                    above = loss()
                    w[...] = kept - h * r
                    below = loss()
                finally:
                    w[...] = kept
                slope += (above - below) / (2 * h)
                claimed += np.vdot(g, r)
            return np.abs(slope - claimed) / np.maximum(np.abs(slope), np.abs(claimed))
        """,
    ),
    Right(
        "repair",
        "put back after each run, in an array of one entry",
        """
        def direction_error(loss, arrays, gradients, directions, h=1e-5):
            kept = [w.copy() for w in arrays]

            def at(step):
                try:
                    for w, r in zip(arrays, directions):
                        w += step * r
                    return loss()
                finally:
                    for w, old in zip(arrays, kept):
                        np.copyto(w, old)

            s = (at(h) - at(-h)) / (2 * h)
            c = np.concatenate([g.ravel() for g in gradients]) @ np.concatenate(
                [r.ravel() for r in directions]
            )
            return np.array([abs(s - c) / max(abs(s), abs(c))], dtype=np.float32)
        """,
    ),
    Right(
        "repair",
        "with a context, and the quotient of both slopes",
        """
        from contextlib import contextmanager


        @contextmanager
        def restored(arrays):
            kept = [a.copy() for a in arrays]
            try:
                yield
            finally:
                for a, old in zip(arrays, kept):
                    np.copyto(a, old)


        def direction_error(loss, arrays, gradients, directions, h=1e-5):
            values = {}
            for sign in (1, -1):
                with restored(arrays):
                    for w, r in zip(arrays, directions):
                        w += sign * h * r
                    values[sign] = float(loss())
            s = (values[1] - values[-1]) / (2 * h)
            c = sum(float(np.vdot(g, r)) for g, r in zip(gradients, directions))
            small, big = sorted([s, c], key=abs)
            return 1 - small / big
        """,
    ),
    Right(
        "fault",
        "one half at a time",
        """
        def find_fault(loss, w, gradient):
            def excess(indices):
                r = np.zeros(len(w))
                r[indices] = 1
                return gradient @ r - (loss(w + 1e-5 * r) - loss(w - 1e-5 * r)) / 2e-5

            suspects = np.arange(len(w))
            whole = excess(suspects)
            while len(suspects) > 1:
                half = suspects[: len(suspects) // 2]
                part = excess(half)
                if abs(part) > abs(whole - part):
                    suspects = half
                else:
                    suspects = suspects[len(half) :]
            return suspects[0], excess(suspects)
        """,
    ),
    Right(
        "fault",
        "a direction for each binary digit",
        """
        def find_fault(loss, w, gradient):
            def excess(r, h=3e-6):
                return gradient @ r - (loss(w + h * r) - loss(w - h * r)) / (2 * h)

            numbers, index = np.arange(len(w)), 0
            whole = excess(np.ones(len(w)))
            for digit in range(10):
                if abs(excess((numbers >> digit & 1) * 1.0)) > abs(whole) / 2:
                    index += 1 << digit
            return np.int64(index), excess((numbers == index) * 1.0)
        """,
    ),
    Right(
        "fault",
        "the index as a centre of mass, then its neighbours",
        """
        def find_fault(loss, w, gradient):
            n = len(w)

            def excess(r, h=1e-5):
                return gradient @ r - (loss(w + h * r) - loss(w - h * r)) / (2 * h)

            ones = np.ones(n)
            guess = round(n * excess(np.arange(n) / n) / excess(ones))
            near = [i for i in range(guess - 5, guess + 6) if 0 <= i < n]
            errors = [excess((np.arange(n) == i) * 1.0) for i in near]
            worst = int(np.argmax(np.abs(errors)))
            return near[worst], errors[worst]
        """,
    ),
    Right(
        "fault",
        "returns a list",
        search(("return low, excess(low, high)", "return [low, excess(low, high)]")),
    ),
]
