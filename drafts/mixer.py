"""A denoiser of patches for GANs today: matrix products only. python drafts/mixer.py WIDTH BLOCKS EPOCHS RATE"""
import sys
import time
from functools import partial

import mlxgan
from mlxgan import data, layers, metrics, recipes, training

import mlx.core as mx
import mlx.nn as nn

width, blocks, epochs, rate = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
digits = data.load("train")
reference = metrics.reference()


class Pair(nn.Module):
    """Two layers with a ReLU between them: a sigmoid is slow on this backend."""

    def __init__(self, size, hidden):
        super().__init__()
        self.first, self.second = nn.Linear(size, hidden), nn.Linear(hidden, size)

    def __call__(self, x):
        return self.second(nn.relu(self.first(x)))


class Block(nn.Module):
    """Mixes the patches of an image, then the numbers of each patch."""

    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.across, self.within = Pair(49, 98), Pair(width, 2 * width)
        self.when = nn.Linear(width, 2 * width)

    def __call__(self, x, clock):
        scale, shift = mx.split(self.when(clock), 2, axis=-1)
        x = x + self.across(self.norm1(x).swapaxes(1, 2)).swapaxes(1, 2)
        return x + self.within(self.norm2(x) * (1 + scale) + shift)


class Denoiser(nn.Module):
    """Noisy images (N, 28, 28, 1) and times (N, 1, 1, 1) to the direction from the noise to the image."""

    def __init__(self, width=width, blocks=blocks):
        super().__init__()
        self.enter = nn.Linear(16, width)
        self.place = 0.02 * mx.random.normal((49, width))
        self.clock = Pair(width, width)
        self.blocks = [Block(width) for _ in range(blocks)]
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, 16)

    def __call__(self, x, t):
        n = len(x)
        waves = t.reshape(n, 1, 1) * mx.exp(mx.linspace(0, 6, self.place.shape[1] // 2))
        clock = nn.silu(self.clock(mx.concatenate([mx.sin(waves), mx.cos(waves)], axis=-1)))
        x = x.reshape(n, 7, 4, 7, 4).transpose(0, 1, 3, 2, 4).reshape(n, 49, 16)
        x = self.enter(x) + self.place
        for block in self.blocks:
            x = block(x, clock)
        x = self.leave(self.norm(x)).reshape(n, 7, 7, 4, 4)
        return x.transpose(0, 1, 3, 2, 4).reshape(n, 28, 28, 1)


mx.random.seed(0)
denoiser, average = Denoiser(), Denoiser()
steps = epochs * (len(digits) // 64)
optimizer = recipes.decaying_adam(rate, rate / 20, steps)
optimizer.betas = [0.9, 0.99]
optimizer.init(denoiser.trainable_parameters())
layers.column_major(denoiser, optimizer)


def loss(real):
    t = mx.sigmoid(mx.random.normal((len(real), 1, 1, 1)))
    noise = mx.random.normal(real.shape)
    return mx.square(denoiser((1 - t) * noise + t * real, t) - (real - noise)).mean()


loss_and_grad = nn.value_and_grad(denoiser, loss)
state = [denoiser.state, optimizer.state, mx.random.state]


@partial(mx.compile, inputs=state, outputs=state)
def step(real):
    value, gradients = loss_and_grad(real)
    optimizer.update(denoiser, gradients)
    return value


follow, more = training.make_average(average.eval(), denoiser)


def draw(noise, steps):
    parts = []
    for x in mx.split(noise, len(noise) // 500):
        for done in range(steps):
            x = x + average(x, mx.full((len(x), 1, 1, 1), done / steps)) / steps
            mx.eval(x)
        parts.append(x)
    return mx.concatenate(parts)


spent = 0.0
for epoch in range(1, epochs + 1):
    start, values = time.perf_counter(), []
    for real, _ in data.batches(digits, 64, seed=0, epoch=epoch):
        values.append(step(real))
        follow()
        mx.eval(values[-1], state, more)
    spent += time.perf_counter() - start
    print(f"epoch {epoch}: loss {mx.stack(values).mean().item():.4f} {spent:.0f} s", flush=True)
noise = mx.random.normal((10_000, 28, 28, 1), key=mx.random.key(1))
for count in (4, 8, 16, 32):
    start = time.perf_counter()
    images = mx.clip(draw(noise, count), -1, 1)
    mx.eval(images)
    seconds = time.perf_counter() - start
    s = metrics.evaluate(images, reference)
    print(f"{count} steps: FID {s.fid:.1f} P {s.precision:.3f} R {s.recall:.3f} cov {s.coverage:.3f} sure {s.confident:.3f}", f"{seconds / 10:.2f} ms an image", flush=True)
