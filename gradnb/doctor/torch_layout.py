"""How PyTorch's arrays lie: parameters as matrices with a unit a column, channels last."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.modules import batchnorm, conv, dropout, instancenorm, pooling

CHANNELS_FIRST = (
    *(conv._ConvNd, batchnorm._BatchNorm, instancenorm._InstanceNorm, torch.nn.GroupNorm),
    *(pooling._MaxPoolNd, pooling._AvgPoolNd, pooling._AdaptiveMaxPoolNd),
    *(pooling._AdaptiveAvgPoolNd, dropout.Dropout1d, dropout.Dropout2d, dropout.Dropout3d),
)
CHANNELS_LAST = (torch.nn.Linear, torch.nn.LayerNorm, torch.nn.Embedding)


def matrix(owner, weight):
    """Return a parameter of `owner` as (in, out); a convolution's as (in · kernel, out).

    What has one dimension, or more than two and is no convolution's, stays as it is.
    """
    if isinstance(owner, conv._ConvTransposeNd) and weight.ndim > 2:
        return np.moveaxis(weight, 1, -1).reshape(-1, weight.shape[1])
    if isinstance(owner, conv._ConvNd) and weight.ndim > 2:
        return weight.reshape(len(weight), -1).T
    return weight.T if weight.ndim == 2 and not _is_table(owner) else weight


def from_matrix(owner, array, shape):
    """Return what `matrix` made of a parameter of that shape in its shape again."""
    if isinstance(owner, conv._ConvTransposeNd) and len(shape) > 2:
        return np.moveaxis(array.reshape(shape[0], *shape[2:], shape[1]), -1, 1)
    if isinstance(owner, conv._ConvNd) and len(shape) > 2:
        return array.T.reshape(shape)
    return array.T if len(shape) == 2 and not _is_table(owner) else array


def _is_table(owner):
    return isinstance(owner, (torch.nn.Embedding, torch.nn.EmbeddingBag))


def channels_last(array):
    """Return an array of images, (N, C, H, W), or of signals, as (N, H, W, C)."""
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


def time_second(array):
    """Return a batch of sequences, (time, N, features), as (N, time, features)."""
    return array.swapaxes(0, 1) if array.ndim == 3 else array


def layout(module, array, last=None):
    """Return the function that puts what `module` receives or gives in order.

    `last` is an array and the function that put it in order: one of the same shape lies alike.
    """
    if isinstance(module, torch.nn.RNNBase):
        return as_it_is if module.batch_first else time_second
    if isinstance(module, CHANNELS_LAST):
        return as_it_is
    if isinstance(module, CHANNELS_FIRST) or array.ndim > 3:
        return channels_last
    if last is not None and last[0].shape == array.shape:
        return last[1]
    return as_it_is


def as_it_is(array):
    """Return the array."""
    return array


def undo(order, array):
    """Return the array that `order` has put in order as it was."""
    if order is channels_last:
        return np.moveaxis(array, -1, 1) if array.ndim > 2 else array
    return order(array)


def tensors(value):
    """Yield the dense tensors in tuples, lists and dicts."""
    if isinstance(value, torch.Tensor):
        if value.layout is torch.strided:
            yield value
    elif isinstance(value, (tuple, list, dict)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from tensors(inner)
