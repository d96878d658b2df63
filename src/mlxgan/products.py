"""Convolutions of kernel 4, stride 2, padding 1 as matrix products, for :mod:`mlxgan.layers`.

Their gradients are written out, because the automatic gradient of as_strided is a slow scatter. Each of the two is the
gradient of the other with respect to its input, and both are built from differentiable parts, so that a penalty on
gradients works.
"""

import mlx.core as mx


def _pad(x: mx.array) -> mx.array:
    return mx.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])


def _windows(x: mx.array, size: int, step: int) -> mx.array:
    """The size x size windows of (N, H, W, C) as the rows of a matrix: one copy, in runs of size * C."""
    n, h, w, c = x.shape
    shape = (n, (h - size) // step + 1, (w - size) // step + 1, size, size * c)
    strides = (h * w * c, step * w * c, step * c, w * c, 1)
    return mx.as_strided(mx.contiguous(x), shape, strides).reshape(-1, size * size * c)


@mx.custom_function
def _columns(x):
    """Im2col: the 4x4 windows of the padded (N, H, W, C), at stride 2, as the rows of a matrix."""
    return _windows(_pad(x), 4, 2)


@_columns.vjp
def _(x, cotangent, output):
    return _add_columns(cotangent, x.shape)


def _add_columns(columns, shape):
    """Col2im, the adjoint of im2col: each window is added to an image of ``shape`` where it was taken from."""
    n, h, w, c = shape
    no, after, before = (0, 0), (0, 1), (1, 0)
    v = columns.reshape(n, h // 2, w // 2, 2, 2, 4 * c)  # a window's rows are two pairs, and so are its columns
    v = mx.pad(v[:, :, :, 0], [no, after, no, no, no]) + mx.pad(v[:, :, :, 1], [no, before, no, no, no])
    v = mx.pad(v[..., : 2 * c], [no, no, after, no, no]) + mx.pad(v[..., 2 * c :], [no, no, before, no, no])
    return _from_blocks(v, c)


def _from_blocks(v, c):
    """Depth to space, with the padding cut off: (N, H/2 + 1, W/2 + 1, 2, 2c) to (N, H, W, c)."""
    n, h, w = v.shape[:3]
    return v.transpose(0, 1, 3, 2, 4).reshape(n, 2 * h, 2 * w, c)[:, 1:-1, 1:-1]


@mx.custom_function
def convolve(x, weight):
    n, h, w, _ = x.shape
    return (_columns(x) @ weight.reshape(len(weight), -1).T).reshape(n, h // 2, w // 2, -1)


@convolve.vjp
def _(primals, cotangent, output):
    x, weight = primals
    grad_weight = cotangent.reshape(-1, len(weight)).T @ _columns(x)
    return convolve_transposed(cotangent, weight.transpose(3, 1, 2, 0)), grad_weight.reshape(weight.shape)


@mx.custom_function
def convolve_transposed(x, weight):
    n, h, w, c = x.shape
    out = len(weight)
    if 4 * out <= c:  # product first: its columns are fewer than the windows
        columns = x.reshape(-1, c) @ weight.transpose(3, 1, 2, 0).reshape(c, -1)
        return _add_columns(columns, (n, 2 * h, 2 * w, out))
    # a 2x2 block of the padded output sees a 2x2 window of the padded input, and of each pixel there a 2x2 part of
    # the kernel, the upper left pixel the lower right part
    parts = weight.reshape(out, 2, 2, 2, 2, c)[:, ::-1, :, ::-1]
    y = _windows(_pad(x), 2, 1) @ parts.transpose(1, 3, 5, 2, 4, 0).reshape(4 * c, 4 * out)
    return _from_blocks(y.reshape(n, h + 1, w + 1, 2, 2 * out), out)


@convolve_transposed.vjp
def _(primals, cotangent, output):
    x, weight = primals
    columns, c = _columns(cotangent), x.shape[-1]
    grad_x = columns @ weight.transpose(1, 2, 0, 3).reshape(-1, c)
    grad_weight = (x.reshape(-1, c).T @ columns).reshape(c, 4, 4, len(weight))
    return grad_x.reshape(x.shape), grad_weight.transpose(3, 1, 2, 0)
