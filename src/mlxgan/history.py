"""What a training run records of each epoch, and when that is a reason to worry."""

from contextlib import ExitStack
from dataclasses import dataclass, field

import mlx.core as mx
import mlx.nn as nn
import numpy as np

#: Healthy runs of the book stay far from these three; those that collapse pass the first two together, or the third.
SURE_REAL, SURE_FAKE, ALIKE = 0.97, 0.03, 0.02


@dataclass
class History:
    """Per-epoch record of a run. The first four lists are averages over the steps of an epoch."""

    loss_d: list[float] = field(default_factory=list)  #: the discriminator's loss
    loss_g: list[float] = field(default_factory=list)  #: the generator's loss
    d_real: list[float] = field(default_factory=list)  #: sigmoid of the logits of real images
    d_fake: list[float] = field(default_factory=list)  #: sigmoid of the logits of fakes, same step
    seconds: list[float] = field(default_factory=list)  #: wall-clock time of the epoch's training
    spread: list[float] = field(default_factory=list)  #: standard deviation of a pixel over samples, after the epoch
    stopped: bool = False  #: whether Ctrl-C ended the run early; the last entry may then cover part of an epoch

    def __post_init__(self) -> None:
        *lists, _ = vars(self).values()
        sound = [isinstance(each, list) and {*map(type, each)} <= {int, float} for each in lists]
        if not all(sound) or len({len(each) for each in lists}) > 1 or not all(abs(x) < 1e9 for x in sum(lists, [])):
            raise ValueError("a history has six lists of numbers below 1e9, and none of different lengths")

    def __len__(self) -> int:
        return len(self.loss_d)

    def add(self, measured: mx.array, seconds: float, spread: float) -> None:
        """Add an epoch, given what its steps returned, (steps, 4), or raise DivergedError if a value makes no sense."""
        rows = np.array(measured)
        sound = (np.abs(rows) < 1e6).all(axis=1)
        if not sound.all():
            where = f"step {sound.argmin() + 1} of epoch {len(self) + 1}"
            raise DivergedError(f"a loss is NaN, infinite or above a million in {where}", self)
        for column, value in zip([*vars(self).values()][:-1], [*rows.mean(0).tolist(), seconds, spread], strict=True):
            column.append(value)

    def line(self) -> str:
        """Return the last epoch as one line, and a warning as a second one if a collapse has begun in it."""
        line = (
            f"epoch {len(self):3d}   loss D {self.loss_d[-1]:.3f}   loss G {self.loss_g[-1]:.3f}   "
            f"D(x) {self.d_real[-1]:.3f}   D(G(z)) {self.d_fake[-1]:.3f}   {self.seconds[-1]:.0f} s"
        )
        earlier = len(self) > 1 and self.warning(len(self) - 1)
        return line if earlier or not self.warning() else f"{line}\n{self.warning()}"

    def warning(self, epoch: int = 0) -> str:
        """Return one line that says that the run has collapsed after ``epoch``, by default the last; "" if not."""
        real, fake, spread = (column[epoch - 1] for column in (self.d_real, self.d_fake, self.spread))
        if spread < ALIKE:
            sign = f"all samples are alike (standard deviation of a pixel {spread:.4f})"
        elif real > SURE_REAL and fake < SURE_FAKE:
            sign = f"the discriminator is sure of every image (D(x) {real:.3f}, D(G(z)) {fake:.3f})"
        else:
            return ""
        return f"warning: {sign}; the run has probably collapsed, see the chapter The training loop"


class DivergedError(RuntimeError):
    """A loss became NaN, infinite or huge. ``history`` holds the epochs before, and so do the networks."""

    def __init__(self, message: str, history: History):
        super().__init__(message)
        self.history = history


def modes_kept(*networks: nn.Module) -> ExitStack:
    """Return a context that puts networks back into the modes that they are in now: training or evaluation."""
    stack = ExitStack()
    for network in networks:
        stack.callback(network.train, network.training)
    return stack
