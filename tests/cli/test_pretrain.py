"""``speclearn pretrain``: three ways to learn without labels, and what is refused in one line."""

import json
import re

import numpy as np
import pytest

from starsmith.learners.pretrain.encoder import open_encoder
from tests.cli.conftest import call

TINY = "--epochs 1 --set options.dim=16 --set options.depth=1 --set options.patch=8"
TINY += " --set options.stride=8"


@pytest.fixture(scope="module")
def runs(dataset, tmp_path_factory):
    """Folders of a masked network and of an autoencoder on the toy data set."""
    folder = tmp_path_factory.mktemp("pretrained")
    for kind, more in (("masked", TINY), ("autoencoder", "--epochs 1")):
        done = call(f"speclearn pretrain {kind} {dataset} {more} --out {folder / kind}")
        assert done.exit_code == 0, done.stderr
    return folder / "masked", folder / "autoencoder"


@pytest.mark.slow
def test_a_run_is_described_and_verified(runs):
    assert call(f"specdata verify {runs[0]}").exit_code == 0
    page = call(f"speclearn info {runs[0]}").stdout
    assert "# masked_tiny: 16 numbers from a spectrum" in page
    assert "open_encoder" in page
    refused = call(f"speclearn predict {runs[0]} x.fits")
    assert refused.exit_code == 2


@pytest.mark.slow
def test_stars_are_drawn_from_a_bank(bank_file, dataset, tmp_path):
    words = f"--online --epoch-size 128 --mag 19-20 {TINY} --out {tmp_path / 'run'} --json"
    done = call(f"speclearn pretrain masked --bank {bank_file} {words}")
    assert done.exit_code == 0, done.stderr
    assert np.isfinite(json.loads(done.stdout)["metrics"]["val_loss"])
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert card["dataset"]["online"]["ranges"]["mag"] == [19.0, 20.0]
    mixed = f"--bank {bank_file} --also {dataset} {words}".replace("/run", "/mixed")
    assert call(f"speclearn pretrain masked {mixed}").exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["base", "split"])
def test_two_runs_are_aligned(runs, dataset, tmp_path, variant):
    words = f"{runs[0]} {runs[1]} {dataset} {dataset} --variant {variant} --epochs 1"
    small = "--set options.dim=12 --set options.n_head=2"
    done = call(f"speclearn pretrain align {words} {small} --out {tmp_path / 'pair'}")
    assert done.exit_code == 0, done.stderr
    assert re.search(r"partner nearest \d", done.stdout)
    encoder = open_encoder(tmp_path / "pair", "second", device="cpu")
    assert encoder.encode(np.ones((2, encoder.statistics.wave.size))).shape == (2, 12)


@pytest.mark.slow
def test_the_same_stars_are_drawn_from_two_banks(runs, bank_file, tmp_path):
    words = f"{runs[0]} {runs[1]} {bank_file} {bank_file} --online --epoch-size 64 --epochs 1"
    small = "--set options.dim=12 --set options.n_head=2"
    done = call(f"speclearn pretrain align {words} {small} --out {tmp_path / 'pair'}")
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("masked", "name DATA"),
        ("masked DATA --bank BANK", "add --online"),
        ("masked DATA --model xp_autoencoder", "choose one of lrs_masked"),
        ("masked DATA --model masked_tinny", "did you mean masked_tiny"),
        ("masked DATA --recipe mine", "no recipe of pretraining"),
        ("masked DATA --set leaky=true", "unknown key"),
        ("masked DATA --set options.leak=true", "leak"),
        ("masked DATA --set scaling=none", "scaling"),
        ("masked DATA --set options.chunk=500", "chunks of 500 tokens"),
        ("masked DATA --set betas=[0.9]", "betas"),
        ("autoencoder DATA --set loss=l1", "losses of its own"),
        ("autoencoder DATA --model masked_tiny", "autoencoder_tiny"),
        ("align DATA DATA DATA DATA", "no checkpoint there"),
    ],
)
def test_bad_words_end_in_one_line(words, said, dataset, bank_file, tmp_path):
    line = words.replace("DATA", str(dataset)).replace("BANK", str(bank_file))
    done = call(f"speclearn pretrain {line} --out {tmp_path / 'run'}")
    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_of_other_settings_is_not_overwritten(runs, dataset):
    again = f"speclearn pretrain masked {dataset} {TINY} --out {runs[0]}"
    assert call(again).exit_code == 0
    done = call(f"{again} --seed 5")
    assert done.exit_code == 2
    assert "holds a different run" in done.stderr
