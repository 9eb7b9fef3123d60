"""Monte Carlo noise marginalisation: how far predictions move when the noise is drawn again."""

from dataclasses import replace

import numpy as np

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.errors import ConfigError, DataError
from starsmith.data_contract.predictions import Predictions
from starsmith.data_contract.random import DrawKey, normals
from starsmith.learners.prediction.own_pixels import check_wave
from starsmith.learners.prediction.predict import Predictor, predict
from starsmith.learners.preprocess import iterate_blocks

__all__ = ["marginalise_noise"]

BLOCK_ROWS = 512
STREAM = "marginal_noise"


def marginalise_noise(predictor: Predictor, split: Split, n_noise: int) -> Predictions:
    """Predict every spectrum under further draws of noise, added with its own stated error.

    The mean over the draws is the value, their standard deviation the uncertainty. Both are
    those of spectra with twice the variance, for the observation has noise already: the mean
    is a little worse than the plain prediction, and the scatter says how sensitive a model is
    to noise, not how far it is from the truth.

    Parameters
    ----------
    predictor : Predictor
    split : Split
    n_noise : int
        Draws per spectrum, two at least. They depend on (seed, split, index) alone.

    Returns
    -------
    predictions : Predictions
    """
    if n_noise < 2:
        raise ConfigError(f"--noise-draws {n_noise}: a scatter takes two draws at least")
    check_wave(predictor.wave, split.wave, f"split {split.name!r}")
    plain = predict(predictor, split)
    total = np.zeros_like(plain.value)
    squares = np.zeros_like(plain.value)
    for rows in iterate_blocks(len(split), BLOCK_ROWS):
        seen = split.observe(rows)
        if seen.error is None:
            raise DataError(
                "--noise-draws adds noise as wide as the error, and these spectra have none"
            )
        key = DrawKey(split.draws.seed, split.name, split.draws.index[rows])
        for draw in range(n_noise):
            noise = normals(key, STREAM, split.wave.size, draw)
            value, _ = predictor.predict(seen.flux + seen.error * noise, seen.error, seen.mask)
            moved = value - plain.value[rows]  # small numbers: their squares lose no digits
            total[rows] += moved
            squares[rows] += moved**2
    mean = total / n_noise
    variance = np.maximum(squares / n_noise - mean**2, 0.0) * n_noise / (n_noise - 1)
    return replace(
        plain,
        value=plain.value + mean,
        uncertainty=np.sqrt(variance),
        model=f"{plain.model} (mean of {n_noise} noise draws)",
    )
