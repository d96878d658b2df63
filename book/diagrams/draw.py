"""Draw the diagrams of the book: ``python book/diagrams/draw.py`` writes them beside this file.

With ``--check`` it writes nothing, and fails if a file is not what would be drawn. Needs the standard library only.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "tools"))
import beyond
import common
import measures
import networks
import training

FOLDER = Path(__file__).parent
#: The function that draws each diagram.
DIAGRAMS = {
    "game": training.game,
    "mean-digit": training.mean_digit,
    "lazy-graph": training.lazy_graph,
    "compile": training.compile_step,
    "mlp-networks": networks.mlp_networks,
    "two-moves": training.two_moves,
    "moving-average": training.moving_average,
    "transposed-conv": networks.transposed_conv,
    "dcgan-networks": networks.dcgan_networks,
    "batchnorm-together": networks.batchnorm_together,
    "projection": networks.projection,
    "precision-recall": measures.precision_recall,
    "density-coverage": measures.density_coverage,
    "smallest-game": training.smallest_game,
    "gradient-penalty": training.gradient_penalty,
    "collapse": training.collapse,
    "rejection": measures.rejection,
    "inversion": beyond.inversion,
    "diffusion-vs-gan": beyond.diffusion_vs_gan,
    "out-of-python": beyond.out_of_python,
    "ring-sum": beyond.ring_sum,
    "overlap": training.overlap,
}


def main() -> None:
    parser = common.Parser(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if a file is stale")
    options = parser.parse_args()
    stale = []
    for name, draw in DIAGRAMS.items():
        path, svg = FOLDER / f"{name}.svg", draw().svg()
        if options.check:
            if not path.exists() or path.read_text(encoding="utf-8") != svg:
                stale.append(path.name)
        else:
            common.write(path, svg)
    if stale:
        sys.exit(f"not what draw.py draws: {', '.join(stale)}")


if __name__ == "__main__":
    main()
