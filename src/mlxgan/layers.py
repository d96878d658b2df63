"""Layers and weights laid out for MLX's CPU backend.

Three things keep that backend from its speed on any machine: the memory layout of the weights (:func:`column_major`),
strided convolutions (:class:`Conv2d`, :class:`ConvTranspose2d`) and batch normalization (:class:`BatchNorm`). On a GPU
everything here falls back to MLX's own layers, as it does with ``MLXGAN_STOCK_CPU=1``.
"""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_map

from . import blas, products


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
        y: mx.array = products.convolve(x, self.weight)  # type: ignore[assignment]
        return y + self.bias if "bias" in self else y


class ConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d`` whose kernel 4, stride 2, padding 1 is a matrix product on a CPU.

    Same parameters, names and shapes; images (N, H, W, in) to (N, 2H, 2W, out). Other settings, and a GPU, get the
    stock layer.
    """

    def __call__(self, x: mx.array) -> mx.array:
        if not _is_product(self):
            return super().__call__(x)
        y: mx.array = products.convolve_transposed(x, self.weight)  # type: ignore[assignment]
        return y + self.bias if "bias" in self else y


class BatchNorm(nn.BatchNorm):
    """``nn.BatchNorm`` whose training pass computes what each channel needs once, on a CPU.

    Same parameters, names and values, up to rounding; other settings, evaluation mode and a GPU get the stock layer.
    MLX fuses what belongs to a channel, such as the root of its variance, into the kernels that run over all values,
    and so repeats it for each of them. It does not fuse across a stack.
    """

    def __call__(self, x: mx.array) -> mx.array:
        axes, n = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
        if not (self.training and fast() and self.track_running_stats and "weight" in self and n > 1):
            return super().__call__(x)
        mean, square = mx.stack([x.mean(axes), mx.square(x).mean(axes)])
        var = mx.maximum(square - mean * mean, 0)
        for name, now in (("running_mean", mean), ("running_var", var * n / (n - 1))):
            self[name] = (1 - self.momentum) * self[name] + self.momentum * mx.stop_gradient(now)
        scale = self.weight * mx.rsqrt(var + self.eps)
        scale, shift = mx.stack([scale, self.bias - mean * scale])
        return x * scale + shift


def _is_product(layer: nn.Module) -> bool:
    """Return True if the fast CPU path supports this layer."""
    plain = getattr(layer, "groups", 1) == 1 and layer.dilation in (1, (1, 1))
    whole = getattr(layer, "output_padding", (0, 0)) == (0, 0)
    halves = layer.weight.shape[1:3] == (4, 4) and layer.stride == (2, 2) and layer.padding == (1, 1)
    return fast() and plain and whole and halves
