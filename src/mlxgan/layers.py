"""Layers and weights laid out for MLX's CPU backend.

Two things keep that backend from its speed on any machine: the memory layout of the weights (:func:`column_major`) and
strided convolutions (:class:`Conv2d`, :class:`ConvTranspose2d`). On a GPU everything here falls back to MLX's own
layers, as it does with ``MLXGAN_STOCK_CPU=1``.
"""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_map

from . import blas


def fast() -> bool:
    """Return True if the CPU is the default device and its fast path is on."""
    return mx.default_device() == mx.Device(mx.cpu) and not blas.stock()


def column_major(model: nn.Module, optimizer: optim.Optimizer) -> None:
    """Store weight matrices and their moments column by column, so that Adam's kernel runs contiguously.

    ``nn.Linear`` multiplies by its transposed weight, so the gradient of the weight arrives as a transposed view. If
    the weight and its moments are stored by rows, the fused update takes MLX's strided path; stored like the gradient,
    it takes the vectorized one. No value changes. Call it on a model and its initialized optimizer before training. On
    a GPU nothing is done. Raises RuntimeError if they were made in another thread, which MLX does not allow.
    """
    try:
        mx.eval(model.parameters(), optimizer.state)
    except RuntimeError as error:
        raise RuntimeError(f"make the networks in the thread that trains them ({error})") from error
    if not fast():
        return

    def transpose_storage(array):
        return mx.contiguous(array.T).T if isinstance(array, mx.array) and array.ndim == 2 else array

    model.update(tree_map(transpose_storage, model.parameters()))
    optimizer.state = tree_map(transpose_storage, optimizer.state)
    mx.eval(model.parameters(), optimizer.state)


class Conv2d(nn.Conv2d):
    """``nn.Conv2d`` whose kernel 4, stride 2, padding 1 is a matrix product on a CPU.

    Same parameters, names and shapes; images (N, H, W, in) with H and W even, to (N, H/2, W/2, out). Other settings,
    and a GPU, get the stock layer.
    """

    def __call__(self, x: mx.array) -> mx.array:
        if not _is_product(self) or x.shape[1] % 2 or x.shape[2] % 2:
            return super().__call__(x)
        y: mx.array = _convolve(x, self.weight)  # type: ignore[assignment]
        return y + self.bias if "bias" in self else y


class ConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` whose kernel 4, stride 2, padding 1 is a matrix product on a CPU.

    Same parameters, names and shapes; images (N, H, W, in) to (N, 2H, 2W, out). Other settings, and a GPU, get the
    stock layer.
    """

    def __call__(self, x: mx.array) -> mx.array:
        if not _is_product(self):
            return super().__call__(x)
        y: mx.array = _convolve_transposed(x, self.weight)  # type: ignore[assignment]
        return y + self.bias if "bias" in self else y


def _is_product(layer: nn.Module) -> bool:
    """Return True if the fast CPU path supports this layer."""
    plain = getattr(layer, "groups", 1) == 1 and layer.dilation in (1, (1, 1))
    whole = getattr(layer, "output_padding", (0, 0)) == (0, 0)
    halves = layer.weight.shape[1:3] == (4, 4) and layer.stride == (2, 2) and layer.padding == (1, 1)
    return fast() and plain and whole and halves


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


# The gradients are written out because the automatic gradient of as_strided is a slow scatter. Each of the two
# convolutions is the gradient of the other with respect to its input, and both are built from differentiable parts,
# so that a penalty on gradients works.


@mx.custom_function
def _convolve(x, weight):
    n, h, w, _ = x.shape
    return (_columns(x) @ weight.reshape(len(weight), -1).T).reshape(n, h // 2, w // 2, -1)


@_convolve.vjp
def _(primals, cotangent, output):
    x, weight = primals
    grad_weight = cotangent.reshape(-1, len(weight)).T @ _columns(x)
    return _convolve_transposed(cotangent, weight.transpose(3, 1, 2, 0)), grad_weight.reshape(weight.shape)


@mx.custom_function
def _convolve_transposed(x, weight):
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


@_convolve_transposed.vjp
def _(primals, cotangent, output):
    x, weight = primals
    columns, c = _columns(cotangent), x.shape[-1]
    grad_x = columns @ weight.transpose(1, 2, 0, 3).reshape(-1, c)
    grad_weight = (x.reshape(-1, c).T @ columns).reshape(c, 4, 4, len(weight))
    return grad_x.reshape(x.shape), grad_weight.transpose(3, 1, 2, 0)
