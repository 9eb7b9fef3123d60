"""The same training on a GPU: run with ``pytest -m gpu`` on a machine that has one."""

import json

import numpy as np
import pytest
import torch

from starsmith.learners import fit, load_checkpoint, predict
from starsmith.learners.recipe import NetworkRecipe
from tests.learners.worlds import lines, make_data, uniform_logg

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]


@pytest.mark.parametrize("model", ["specvit_tiny", "convstem_lstm_tiny", "resnet18_tiny"])
def test_a_gpu_trains_what_a_cpu_trains(model, tmp_path):
    """One epoch without dropout: losses agree, and a checkpoint predicts alike on either."""
    data = make_data(lambda labels: lines(labels, 512), uniform_logg, 0.2, (400, 100, 100))
    recipe = NetworkRecipe(epochs=1, batch_size=100, ema=0.9)

    losses = {}
    for device in ("cpu", "cuda"):
        out = tmp_path / device
        fit(model, data.training(), "logg", recipe, out, device=device)
        losses[device] = json.loads((out / "metrics.jsonl").read_text())["train_loss"]
    values = [
        predict(load_checkpoint(tmp_path / "cuda", device=d), data.split("test")).value
        for d in ("cpu", "cuda")
    ]

    # TF32 is off by default for matrices, on for convolutions: ten bits of mantissa
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=5e-3)
    np.testing.assert_allclose(values[0], values[1], atol=5e-3)


def test_a_gpu_run_resumes(tmp_path):
    """Optimizer moments return to the device; the loss goes on falling."""
    data = make_data(lines, uniform_logg, 0.2, (400, 100, 100))
    recipe = NetworkRecipe(
        epochs=3, batch_size=100, precision="bfloat16", options={"patch": 16, "dim": 16}
    )

    def kill(row):
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit("specvit_tiny", data.training(), "logg", recipe, tmp_path, kill, device="cuda")
    fit("specvit_tiny", data.training(), "logg", recipe, tmp_path, device="cuda")

    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[2]["train_loss"] < rows[0]["train_loss"]
