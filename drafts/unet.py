"""A U-Net that predicts the direction, for GANs today: python drafts/unet.py CHANNELS HIDDEN EPOCHS RATE"""
import sys
import time
from functools import partial

import mlxgan
from mlxgan import data, layers, metrics, recipes, training
from mlxgan.layers import Conv2d, ConvTranspose2d

import mlx.core as mx
import mlx.nn as nn

width, blocks, epochs, rate = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
digits = data.load("train")
reference = metrics.reference()


class Denoiser(nn.Module):
    """Noisy images (N, 28, 28, 1) and times (N, 1, 1, 1) to the direction from the noise to the image."""

    def __init__(self, c=width, hidden=blocks):
        super().__init__()
        self.down1 = Conv2d(2, c, 4, stride=2, padding=1)
        self.down2 = Conv2d(c, 2 * c, 4, stride=2, padding=1)
        self.shrink = nn.Linear(7 * 7 * 2 * c, hidden)
        self.middle = nn.Linear(hidden, hidden)
        self.expand = nn.Linear(hidden, 7 * 7 * 2 * c)
        self.mix7 = nn.Linear(4 * c, 2 * c)
        self.up1 = ConvTranspose2d(2 * c, c, 4, stride=2, padding=1)
        self.mix14 = nn.Linear(2 * c, c)
        self.up2 = ConvTranspose2d(c, 8, 4, stride=2, padding=1)
        self.out = nn.Linear(10, 1)
        self.clock1, self.clock2 = nn.Linear(32, 2 * hidden), nn.Linear(32, 2 * c)

    def __call__(self, x, t):
        both = mx.concatenate([x, mx.broadcast_to(t, x.shape)], axis=-1)
        waves = t.reshape(len(x), 1) * mx.exp(mx.linspace(0, 5, 16))
        waves = mx.concatenate([mx.sin(waves), mx.cos(waves)], axis=-1)
        at14 = nn.leaky_relu(self.down1(both), 0.1)
        at7 = nn.leaky_relu(self.down2(at14), 0.1)
        scale, shift = mx.split(self.clock1(waves), 2, axis=-1)
        h = nn.leaky_relu(self.shrink(at7.reshape(len(x), -1)) * (1 + scale) + shift, 0.1)
        h = h + nn.leaky_relu(self.middle(h), 0.1)
        h = nn.leaky_relu(self.expand(h), 0.1).reshape(at7.shape)
        h = nn.leaky_relu(self.mix7(mx.concatenate([h, at7], axis=-1)), 0.1)
        h = nn.leaky_relu(self.up1(h), 0.1)
        scale, shift = mx.split(self.clock2(waves)[:, None, None], 2, axis=-1)
        h = self.mix14(mx.concatenate([h, at14], axis=-1)) * (1 + scale) + shift
        h = nn.leaky_relu(self.up2(nn.leaky_relu(h, 0.1)), 0.1)
        return self.out(mx.concatenate([h, both], axis=-1))


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
