"""A small training run for test_resume.py: python run_to_kill.py FOLDER EPOCHS MOMENT

Ends itself with SIGKILL at its MOMENT-th chance, and goes on where an earlier one ended. Chances are after each step,
in the middle of each write, and around each sync, rename and removal of a file.
"""

from mlxgan import checkpoints, data, models, recipes, resume

import os
import signal
import sys
from pathlib import Path

import mlx.core as mx

folder, epochs, moment = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])


def chance():
    global moment
    moment -= 1
    if moment == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def with_chance(function):
    def wrapped(*arguments, **options):
        chance()
        result = function(*arguments, **options)
        chance()
        return result

    return wrapped


def save_in_halves(path, *arguments, save=mx.save_safetensors):
    save(path, *arguments)
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[: len(content) // 2])
    chance()
    Path(path).write_bytes(content)


mx.save_safetensors = save_in_halves
for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink")):
    setattr(owner, name, with_chance(getattr(owner, name)))
seed = recipes.seed_everything(3)
generator, average = (models.ConditionalGenerator(channels=2, hidden=4) for _ in range(2))
discriminator = models.ConditionalDiscriminator(channels=2, hidden=4)
images = mx.random.randint(0, 256, (16, 28, 28, 1)).astype(mx.uint8)
digits = data.Digits(images, mx.arange(16) % 10, "sixteen")
resume.train(
    generator,
    discriminator,
    digits,
    epochs=epochs,
    batch_size=4,
    seed=seed,
    average=average,
    optimizer_g=recipes.decaying_adam(1e-3, 1e-4, 4 * epochs),
    optimizer_d=recipes.decaying_adam(1e-3, 1e-4, 4 * epochs),
    on_step=lambda measured: chance(),
    checkpoint_folder=folder,
    resume=True,
)
for name, network in (("generator", generator), ("discriminator", discriminator), ("average", average)):
    checkpoints.save(folder / "end" / f"{name}.safetensors", network)
