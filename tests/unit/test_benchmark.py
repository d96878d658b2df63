"""What the benchmark stores and prints."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import benchmark  # noqa: E402


def test_a_step_of_each_network_is_timed(capsys):
    for model in ("mlp", "dcgan"):
        benchmark.work("mlx with mlxgan.cpu", model, seconds=0.01)
        assert float(capsys.readouterr().out) > 0


def test_report_without_pytorch_says_so(capsys):
    times = {"mlx as installed": [90.0, 100.0, 120.0], "mlx with mlxgan.cpu": [5.0, 4.0, 6.0]}
    pipeline = {"data": "digits", "batches": 0.1, "epoch": 4.0, "steps": 3.8}
    benchmark.report({"milliseconds": {"mlp": times}, "pipeline": pipeline})
    printed = capsys.readouterr().out
    assert "100.0 (90.0 to 120.0)    20.00 x mlx with mlxgan.cpu" in printed
    assert printed.count("not measured: PyTorch is not installed") == 2
    assert "5.0% outside the steps" in printed and "0.10 s, 2.5%" in printed


def test_the_stored_result_is_whole():
    result = json.loads(benchmark.OUT.read_text())
    assert set(result["milliseconds"]) == {"mlp", "dcgan"}
    for rows in result["milliseconds"].values():
        assert list(rows) == list(benchmark.VARIANTS)
        assert all(len(times) >= 5 for times in rows.values())
    assert result["pipeline"]["data"] == "MNIST, train split"
    assert 0.97 < result["pipeline"]["steps"] / result["pipeline"]["epoch"] < 1
