"""The measures, of arrays and of stand-ins for PyTorch's tensors."""

import math

import numpy as np
import pytest

from gradnb.measure import as_array, distance, flat, is_finite, norm, sum_and_zeros

ERRORS = {"grad": RuntimeError, "xla": RuntimeError, "cuda": TypeError, "sparse": TypeError}


class Tensor:
    """As much of a tensor as is used, with what keeps NumPy from having it at once."""

    def __init__(self, values, dtype=float, keeps=()):
        self.array, self.keeps, self.sums = np.asarray(values, dtype), {*keeps}, []

    def without(self, *keeps):
        return Tensor(self.array, self.array.dtype, self.keeps - {*keeps})

    def detach(self):
        return self.without("grad")

    def to_dense(self):
        return self.without("sparse")

    def cpu(self):
        return self.without("cuda", "xla")

    def float(self):
        return Tensor(self.array, np.float32, self.keeps - {"bfloat16"})

    def numpy(self):
        for obstacle in self.keeps:
            raise ERRORS.get(obstacle, TypeError)(f"no array of a tensor with {obstacle}")
        return self.array

    @property
    def is_sparse(self):
        return "sparse" in self.keeps

    def is_floating_point(self):
        return self.array.dtype.kind == "f"

    def element_size(self):
        return self.array.itemsize

    def norm(self):
        """PyTorch's norm, of squares that may overflow or underflow."""
        self.sums.append("norm")
        with np.errstate(all="ignore"):
            return np.sqrt(np.sum(self.array * self.array))

    def sum(self):
        assert "grad" not in self.keeps, "the sum is taken down for a backward pass"
        with np.errstate(all="ignore"):
            return self.array.sum()


@pytest.mark.parametrize("keeps", [(), ("grad",), ("grad", "cuda"), ("sparse", "cuda"), ("xla",)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_a_tensor_becomes_an_array_of_its_type(keeps, dtype):
    tensor = Tensor([3, 4], dtype, keeps)
    assert as_array(tensor).tolist() == [3, 4]
    assert as_array(tensor).dtype == dtype
    assert not {"grad"}.issuperset(keeps) or np.shares_memory(as_array(tensor), tensor.array)


def test_a_type_that_numpy_does_not_have_is_widened():
    array = as_array(Tensor([3, 4], np.float16, ("bfloat16", "cuda")))
    assert array.dtype == np.float32
    assert array.tolist() == [3, 4]


def test_an_array_is_not_copied_unless_it_is_half():
    for dtype in (np.float32, np.float64, np.longdouble):
        x = np.ones((2, 3), dtype)
        assert as_array(x) is x
        assert np.shares_memory(flat(x), x)
    x = np.ones((2, 3), np.float16)
    assert flat(x).dtype == np.float32
    assert flat(x).shape == (6,)


@pytest.mark.parametrize("kind", [np.asarray, Tensor])
def test_what_is_finite(kind):
    for good in ([1.0, -2.0], [1e300] * 3, [], [1e308] * 2, [1]):
        assert is_finite(kind(good)) is True
    for bad in ([1.0, np.nan], [np.inf, 0.0], [np.inf, -np.inf], [-np.inf]):
        assert is_finite(kind(bad)) is False


@pytest.mark.parametrize("keeps", [("grad",), ("grad", "cuda")])
def test_what_is_finite_in_a_tensor(keeps):
    assert is_finite(Tensor([1.0, 2.0], keeps=keeps)) is True
    assert is_finite(Tensor([1.0, np.nan], keeps=keeps)) is False
    assert is_finite(Tensor([3e38, 3e38], np.float32, keeps)) is True
    assert is_finite(Tensor([1, 2], int, keeps)) is True
    assert is_finite(Tensor([1j], complex, keeps)) is True


def test_what_is_finite_in_other_things():
    for good in (None, "text", 3, [1, "text", None], {"a": (np.ones(2),)}, (), {}):
        assert is_finite(good) is True
    for good in (np.array([1j]), np.array(["a"]), np.ones(2, np.float16), np.array([True])):
        assert is_finite(good) is True
    for bad in ({"a": np.ones(1), "b": [np.array(np.nan)]}, np.array([1j, complex(0, np.inf)])):
        assert is_finite(bad) is False


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tensor_takes_its_norm_itself(dtype):
    tensor = Tensor([3.0, 4.0], dtype)
    assert norm(tensor) == 5
    assert type(norm(tensor)) is float
    tensor.norm = lambda: np.float64(7)
    assert norm(tensor) == 7


@pytest.mark.parametrize(
    ("values", "dtype", "keeps"),
    [([3.0, 4.0], np.float16, ("bfloat16",)), ([3.0, 4.0], float, ("sparse",))],
)
def test_where_a_tensor_s_own_norm_is_rough_or_missing(values, dtype, keeps):
    tensor = Tensor(values, dtype, keeps)
    assert norm(tensor) == 5
    assert not tensor.sums


@np.errstate(all="ignore")
@pytest.mark.parametrize("size", [1e200, 1e-200, 1e-13, 1.0])
def test_norms_of_tensors_neither_overflow_nor_vanish(size):
    assert norm(Tensor([3 * size, 4 * size])) == pytest.approx(5 * size, rel=1e-15, abs=0)
    assert norm(np.array([3 * size, 4 * size])) == pytest.approx(5 * size, rel=1e-15, abs=0)
    assert norm(Tensor([np.inf])) == math.inf
    assert math.isnan(norm(Tensor([np.nan])))
    assert norm(Tensor([0.0])) == 0
    with pytest.raises(TypeError, match="real floating-point numbers, got int64"):
        norm(Tensor([3, 4], int))


def test_distance_and_sum():
    x, y = np.array([1.0, 5.0]), np.array([4.0, 1.0])
    assert distance(x, y) == 5
    assert x.tolist() == [1, 5]
    with np.errstate(over="ignore"):
        total = sum_and_zeros(np.array([3e38, -3e38, 0.0], np.float32))
    assert total == (pytest.approx(6e38, rel=1e-6), 1)
    assert [*map(type, sum_and_zeros(np.ones(3, np.float32)))] == [float, int]
    assert sum_and_zeros(np.zeros(0)) == (0, 0)
