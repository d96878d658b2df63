"""Ask the package index whether every requirement, and all that it requires, has a wheel for a Mac with Apple silicon.

``pip install uv && python tools/check_wheels.py`` resolves requirements.txt as macOS 14 on arm64 would, for Python 3.11
to 3.13, markers included, with wheels alone. Needs the network, so it is a step of the workflow and not a test.
"""

import os
import subprocess
import sys
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13")
COMMAND = (
    "uv pip compile - --quiet --no-header --no-annotate --only-binary :all: --python-platform aarch64-apple-darwin"
)


def main() -> int:
    """Print a line for each Python; 1 where a wheel is missing, after uv's own words on which."""
    lines = (Path(__file__).parent.parent / "requirements.txt").read_text().splitlines()
    requirements = "\n".join(line for line in lines if not line.startswith("-e"))  # our own package needs no wheel
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}
    failed = False
    for python in PYTHONS:
        command = [*COMMAND.split(), "--python-version", python]
        run = subprocess.run(command, input=requirements, env=environment, capture_output=True, text=True)
        found = len(run.stdout.splitlines())
        print(f"Python {python}: " + (run.stderr.strip() if run.returncode else f"wheels for all {found} packages"))
        failed = failed or run.returncode != 0
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
