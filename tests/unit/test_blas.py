"""OpenBLAS instead of the reference BLAS."""

import os
import subprocess
import sys

import pytest

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux's wheel has the slow BLAS")


def python(program: str, **environment: str) -> subprocess.CompletedProcess:
    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    return run


PRODUCT = """
import mlxgan, time
import mlx.core as mx, numpy as np
a, b = mx.random.normal((512, 512), key=mx.random.key(0)), mx.random.normal((512, 512), key=mx.random.key(1))
def seconds():
    start = time.perf_counter()
    mx.eval(a @ b)
    return time.perf_counter() - start
seconds()
assert np.allclose(np.array(a @ b), np.array(a) @ np.array(b), atol=1e-3)
print(min(seconds() for _ in range(3)))
"""


@linux
def test_products_take_a_fifth_of_the_time():
    ours = float(python(PRODUCT).stdout)
    stock = float(python(PRODUCT, MLXGAN_STOCK_CPU="1").stdout)
    assert stock > 5 * ours


@linux
def test_one_warning_if_mlx_was_imported_first():
    run = python("import mlx.core, mlxgan, mlxgan.training")
    assert run.stderr.count("Warning") == 1
    assert "put 'import mlxgan' first" in run.stderr


def test_no_warning_if_all_is_well_or_switched_off():
    assert python("import mlxgan").stderr == ""
    assert python("import mlxgan", MLXGAN_STOCK_CPU="1").stderr == ""


@linux
@pytest.mark.parametrize("obstacle", ["no patchelf", "no wheel", "cache is a file", "broken library"])
def test_never_fails_an_import(tmp_path, obstacle):
    program = "import mlxgan, mlx.core as mx; print(mx.ones(2).sum().item())"
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    if obstacle == "no patchelf":
        environment["PATH"] = ""
        program = "import sysconfig; sysconfig.get_path = lambda name: ''\n" + program
    elif obstacle == "no wheel":
        program = (
            "from importlib import metadata\n"
            "def missing(name): raise metadata.PackageNotFoundError(name)\n"
            "metadata.distribution = missing\n" + program
        )
    elif obstacle == "cache is a file":
        (tmp_path / "cache").write_text("in the way")
    else:
        python("import mlxgan", **environment)
        (library,) = (tmp_path / "cache" / "mlxgan").glob("*.so")
        library.write_bytes(b"broken")
    run = python(program, **environment)
    assert run.stdout == "2.0\n"
    assert run.stderr.count("Warning") == 1
    assert "pip install -r requirements.txt" in run.stderr


@linux
def test_the_copy_is_made_once(tmp_path):
    libraries = []
    for _ in range(2):
        python("import mlxgan", XDG_CACHE_HOME=str(tmp_path))
        (library,) = (tmp_path / "mlxgan").iterdir()
        libraries.append((library.name, library.stat().st_mtime_ns))
    assert libraries[0] == libraries[1]
