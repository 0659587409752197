"""Initial weights: callables ``(shape, rng) -> array``.

`shape` is that of the weight, ``(fan_in, fan_out)``: how many inputs reach a unit, how many units
an input reaches. The second number of N(μ, σ²) is the variance. ``torch.nn.init`` expects the
transpose, so given one of our shapes its functions would take fan_out for fan_in.
"""

from __future__ import annotations

import math

import numpy as np

from gradnb import checks


def normal(std):
    """Draw from a normal distribution with mean 0 and standard deviation `std`.

    Parameters
    ----------
    std : float
        Standard deviation, at least 0.

    Returns
    -------
    callable
        ``(shape, rng) -> ndarray``.

    Raises
    ------
    TypeError, ValueError
        If `std` is not a finite number of at least 0.
    """
    std = checks.number("std", std, minimum=0)

    def draw(shape, rng):
        return checks.generator("rng", rng).normal(0.0, std, size=shape)

    return draw


def constant(c):
    """Give every weight the value `c`.

    With a constant, all units of a layer stay copies of each other; with 0, the layers before it
    get no gradient at all. Useful to see that happen, and for examples that are checked by hand.

    Parameters
    ----------
    c : float
        The value.

    Returns
    -------
    callable
        ``(shape, rng) -> ndarray``; the generator is not used.

    Raises
    ------
    TypeError, ValueError
        If `c` is not a finite number.
    """
    c = checks.number("c", c)

    def fill(shape, rng):
        return np.full(shape, c)

    return fill


def he_normal(shape, rng):
    """Draw from N(0, 2 / fan_in), which keeps the variance steady through ReLU layers.

    He et al. (2015), equation 10; ``torch.nn.init.kaiming_normal_`` with its defaults.

    Parameters
    ----------
    shape : tuple
        ``(fan_in, fan_out)``.
    rng : numpy.random.Generator, int or None
        Source of the numbers.

    Returns
    -------
    ndarray
        Of that shape, float64.

    Raises
    ------
    TypeError, ValueError
        If `shape` is not two integers of at least 1, or `rng` is nothing to draw from.
    """
    fan_in, _, rng = _checked(shape, rng)
    return rng.normal(0.0, math.sqrt(2 / fan_in), size=shape)


def glorot_normal(shape, rng):
    """Draw from N(0, 2 / (fan_in + fan_out)), a compromise between both passes of a linear net.

    Glorot & Bengio (2010), equation 12; ``torch.nn.init.xavier_normal_``.

    Parameters
    ----------
    shape : tuple
        ``(fan_in, fan_out)``.
    rng : numpy.random.Generator, int or None
        Source of the numbers.

    Returns
    -------
    ndarray
        Of that shape, float64.

    Raises
    ------
    TypeError, ValueError
        If `shape` is not two integers of at least 1, or `rng` is nothing to draw from.
    """
    fan_in, fan_out, rng = _checked(shape, rng)
    return rng.normal(0.0, math.sqrt(2 / (fan_in + fan_out)), size=shape)


def he_uniform(shape, rng):
    """Draw from U(−a, a) with a = √(6 / fan_in), which has the variance of `he_normal`.

    He et al. (2015) fix the variance, not the distribution; ``torch.nn.init.kaiming_uniform_`` with
    its defaults.

    Parameters
    ----------
    shape : tuple
        ``(fan_in, fan_out)``.
    rng : numpy.random.Generator, int or None
        Source of the numbers.

    Returns
    -------
    ndarray
        Of that shape, float64.

    Raises
    ------
    TypeError, ValueError
        If `shape` is not two integers of at least 1, or `rng` is nothing to draw from.
    """
    fan_in, _, rng = _checked(shape, rng)
    a = math.sqrt(6 / fan_in)
    return rng.uniform(-a, a, size=shape)


def glorot_uniform(shape, rng):
    """Draw from U(−a, a) with a = √(6 / (fan_in + fan_out)), the variance of `glorot_normal`.

    Glorot & Bengio (2010), equation 16; ``torch.nn.init.xavier_uniform_``.

    Parameters
    ----------
    shape : tuple
        ``(fan_in, fan_out)``.
    rng : numpy.random.Generator, int or None
        Source of the numbers.

    Returns
    -------
    ndarray
        Of that shape, float64.

    Raises
    ------
    TypeError, ValueError
        If `shape` is not two integers of at least 1, or `rng` is nothing to draw from.
    """
    fan_in, fan_out, rng = _checked(shape, rng)
    a = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-a, a, size=shape)


def orthogonal(shape, rng):
    """Draw a matrix with orthonormal columns (rows, if wide): all its singular values are 1.

    A product of square orthogonal matrices is orthogonal, so neither signal nor gradient shrinks or
    grows through linear layers, however many (Saxe et al. 2014). ``torch.nn.init.orthogonal_``.

    Parameters
    ----------
    shape : tuple
        ``(fan_in, fan_out)``.
    rng : numpy.random.Generator, int or None
        Source of the numbers.

    Returns
    -------
    ndarray
        Of that shape, float64. Drawn uniformly (Mezzadri 2007): the Q of a Gaussian matrix's QR
        decomposition, with the signs for which the diagonal of R is positive.

    Raises
    ------
    TypeError, ValueError
        If `shape` is not two integers of at least 1, or `rng` is nothing to draw from.
    """
    fan_in, fan_out, rng = _checked(shape, rng)
    tall = (max(fan_in, fan_out), min(fan_in, fan_out))
    q, r = np.linalg.qr(rng.normal(size=tall))
    q *= np.sign(np.diag(r))
    return q if fan_in >= fan_out else np.ascontiguousarray(q.T)


def initial_weight(name, init, shape, rng, dtype):
    """Draw the weight of a layer, whose argument `name` is the initialiser `init`.

    Returns
    -------
    ndarray
        A copy of what `init` returns, lest two layers share an array that it returns twice.

    Raises
    ------
    TypeError, ValueError
        If `init` is not a callable, or does not return numbers in that shape.
    """
    if not callable(init):
        raise TypeError(f"{name} must be a callable (shape, rng) -> array, got {init!r}")
    try:
        weight = np.asarray(init(shape, rng))
    except (TypeError, ValueError) as error:
        message = f"{name}: {init!r} cannot draw an array of shape {shape}: {error}"
        raise type(error)(message) from error
    if weight.dtype.kind not in "fiu":
        raise TypeError(f"{name} must return an array of numbers, got dtype {weight.dtype}")
    if weight.shape != shape:
        raise ValueError(f"{name} must return an array of shape {shape}, got {weight.shape}")
    return weight.astype(dtype, order="C")


def _checked(shape, rng):
    """Return fan_in and fan_out, which are the shape of a weight, and the generator."""
    if not isinstance(shape, tuple) or len(shape) != 2:
        raise ValueError(f"shape must be (fan_in, fan_out), got {shape!r}")
    fans = [checks.integer(f"shape[{i}]", n, minimum=1) for i, n in enumerate(shape)]
    return *fans, checks.generator("rng", rng)
