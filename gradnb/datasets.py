"""Data: handwritten digits, shipped with the package, two toy problems, and a drifting stream."""

from __future__ import annotations

import os

import numpy as np

from gradnb import checks

_DIGITS = os.path.join(os.path.dirname(__file__), "data", "digits.npz")


def digits(test_size=510, rng=None):
    """Load 1,797 real handwritten digits of 8 × 8 pixels, split into training and test rows.

    The images are the test part of *Optical Recognition of Handwritten Digits* (E. Alpaydın and
    C. Kaynak, 1998, UCI Machine Learning Repository, doi:10.24432/C50P49, licence CC BY 4.0):
    32 × 32 bitmaps of digits by 13 people, each 4 × 4 block replaced by its count of inked pixels.
    The rows are in the order of that file; nothing is changed but the scale, from 0…16 to 0…1.

    Parameters
    ----------
    test_size : int
        Rows held out for testing, 1 to 1,796.
    rng : numpy.random.Generator, int or None
        What draws the test rows. With None they are the last rows of the file. It goes form by form
        (the labels repeat the text of one form every 126 to 130 rows), and the last 510 rows are
        the last four of its 14 forms. Whole forms held out are a harder test than a random draw,
        which puts the same hands on both sides.

    Returns
    -------
    x_train, y_train, x_test, y_test : ndarray
        Images as rows of 64 pixels in [0, 1], float64, and their classes 0 to 9, int64.

    Raises
    ------
    TypeError, ValueError
        If `test_size` is not an integer in its range.

    Examples
    --------
    >>> x_train, y_train, x_test, y_test = digits()
    >>> x_train.shape, x_test.shape
    ((1287, 64), (510, 64))
    """
    with np.load(_DIGITS) as archive:
        x = archive["images"].reshape(-1, 64) / 16
        y = archive["labels"].astype(np.int64)
    test_size = checks.integer("test_size", test_size, minimum=1)
    if test_size >= len(x):
        raise ValueError(f"test_size must be at most {len(x) - 1}, got {test_size}")
    order = np.arange(len(x)) if rng is None else checks.generator("rng", rng).permutation(len(x))
    train, test = order[:-test_size], order[-test_size:]
    return x[train], y[train], x[test], y[test]


def spirals(n_samples=300, n_classes=3, noise=0.1, rng=None):
    """Draw points on interleaved spiral arms, one arm a class.

    Arm k at radius r in (0, 1] lies at the angle 2π k / n_classes + 4 r radians, to which normal
    noise is added.

    Parameters
    ----------
    n_samples : int
        Points in all, at least one a class; the classes take turns, so their sizes differ by at
        most one.
    n_classes : int
        Arms, at least 2.
    noise : float
        Standard deviation of the angle in radians, at least 0.
    rng : numpy.random.Generator, int or None
        Source of radius and noise.

    Returns
    -------
    x : ndarray
        Shape (n_samples, 2), float64.
    y : ndarray
        Classes, shape (n_samples,), int64.

    Raises
    ------
    TypeError, ValueError
        If a count is not an integer in its range or `noise` is negative or not finite.

    Examples
    --------
    >>> x, y = spirals(6, rng=0)
    >>> x.shape, y
    ((6, 2), array([0, 1, 2, 0, 1, 2]))
    """
    n_classes = checks.integer("n_classes", n_classes, minimum=2)
    n_samples = checks.integer("n_samples", n_samples, minimum=n_classes)
    noise = checks.number("noise", noise, minimum=0)
    rng = checks.generator("rng", rng)
    y = np.arange(n_samples) % n_classes
    radius = 1 - rng.random(n_samples)
    angle = 2 * np.pi * y / n_classes + 4 * radius + rng.normal(0, noise, n_samples)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), y


def moons(n_samples=200, noise=0.1, rng=None):
    """Draw points on two half circles that interlock, one a class.

    Class 0 lies on (cos θ, sin θ), class 1 on (1 − cos θ, ½ − sin θ), with θ uniform in [0, π).

    Parameters
    ----------
    n_samples : int
        Points in all, at least 2; the classes take turns.
    noise : float
        Standard deviation of the normal noise on both coordinates, at least 0.
    rng : numpy.random.Generator, int or None
        Source of angle and noise.

    Returns
    -------
    x : ndarray
        Shape (n_samples, 2), float64.
    y : ndarray
        Classes, shape (n_samples,), int64.

    Raises
    ------
    TypeError, ValueError
        If `n_samples` is not an integer of at least 2 or `noise` is negative or not finite.

    Examples
    --------
    >>> x, y = moons(4, rng=0)
    >>> x.shape, y
    ((4, 2), array([0, 1, 0, 1]))
    """
    n_samples = checks.integer("n_samples", n_samples, minimum=2)
    noise = checks.number("noise", noise, minimum=0)
    rng = checks.generator("rng", rng)
    y = np.arange(n_samples) % 2
    angle = np.pi * rng.random(n_samples)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1 - np.cos(angle), 0.5 - np.sin(angle)])
    x = np.where(y[:, None] == 0, upper, lower)
    return x + rng.normal(0, noise, x.shape), y


def drifting_stream(n_features=5, drift=0.01, noise=0.1, rng=None):
    """Draw examples without end from a linear rule whose weights wander.

    The target of the row x ~ N(0, I) is t = x w + noise · ξ. The weights begin as w ~ N(0, I) and
    move after every example, w ← w + drift · ζ. All entries of ξ and ζ are standard normal, so
    noise² is the mean squared error of whoever knows w, and after k examples w has moved by
    drift · √k in each entry (root of the mean square).

    Parameters
    ----------
    n_features : int
        Entries of x and w, at least 1.
    drift : float
        Standard deviation of each weight's step, at least 0. With 0 the rule stays as it is.
    noise : float
        Standard deviation of the noise on the target, at least 0.
    rng : numpy.random.Generator, int or None
        Source of all draws.

    Returns
    -------
    iterator
        Each ``next`` gives a pair ``x, target`` of shapes (1, n_features) and (1, 1), float64: a
        batch of one, as layers and losses take it.

    Raises
    ------
    TypeError, ValueError
        If `n_features` is not an integer of at least 1, or `drift` or `noise` is negative or not
        finite; at the call, not at the first ``next``.

    Examples
    --------
    >>> stream = drifting_stream(3, drift=0.1, rng=0)
    >>> x, target = next(stream)
    >>> x.shape, target.shape
    ((1, 3), (1, 1))
    """
    n_features = checks.integer("n_features", n_features, minimum=1)
    drift = checks.number("drift", drift, minimum=0)
    noise = checks.number("noise", noise, minimum=0)
    return _drifting_stream(n_features, drift, noise, checks.generator("rng", rng))


def _drifting_stream(n_features, drift, noise, rng):
    w = rng.normal(size=(n_features, 1))
    while True:
        x = rng.normal(size=(1, n_features))
        yield x, x @ w + noise * rng.normal(size=(1, 1))
        w += drift * rng.normal(size=w.shape)
