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
os.fsync, Path.replace, Path.unlink = with_chance(os.fsync), with_chance(Path.replace), with_chance(Path.unlink)
seed = recipes.seed_everything(3)
generator, average = (models.ConditionalGenerator(channels=2, hidden=4) for _ in range(2))
discriminator = models.ConditionalDiscriminator(channels=2, hidden=4)
images = mx.random.randint(0, 256, (16, 28, 28, 1)).astype(mx.uint8)
digits = data.Digits(images, mx.arange(16) % 10, "sixteen")
optimizers = {name: recipes.decaying_adam(1e-3, 1e-4, 4 * epochs) for name in ("optimizer_g", "optimizer_d")}
resume.train(
    generator,
    discriminator,
    digits,
    epochs=epochs,
    batch_size=4,
    seed=seed,
    average=average,
    on_step=lambda measured: chance(),
    checkpoint_folder=folder,
    resume=True,
    **optimizers,
)
for name, network in (("generator", generator), ("discriminator", discriminator), ("average", average)):
    checkpoints.save(folder / "end" / f"{name}.safetensors", network)
