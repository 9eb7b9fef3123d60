"""Observing: from draws to noiseless spectra, noise and honest errors."""

from collections.abc import Mapping

import numpy as np

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.draws import Draws, SpectrumBatch
from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.kernels.rounding import round_mantissa
from starsmith.data_contract.noise.observation import Realisation, spectrum_mask
from starsmith.data_contract.noise.view import (
    CALCULATOR,
    NoiseModel,
    observe_spectra,
    snr_statistics,
)
from starsmith.data_contract.quantities import SCENE, SNR_STATISTICS, quantity_called
from starsmith.data_contract.unit_conversion import plain_value
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.interpolate import flux_of, touches_filled

__all__ = ["KEEP_BITS", "draw_stars", "model_flux", "observe", "observe_star"]

KEEP_BITS = 12  # mantissa bits of a stored noiseless flux: relative error 2^-13
MAX_ATTEMPTS = 64
BLOCK = 64  # spectra at a time: working arrays stay in the caches
WIDE_BLOCK = 128  # where one pass needs fewer arrays: conditions are worked out at once


def draw_stars(bank: Bank, prior: Prior, seed: int, split: str, index: np.ndarray) -> Draws:
    """Draw stars the bank can render.

    A draw that leans on a hole of the grid takes labels, magnitude, velocity and reddening of
    its key's next attempt, so it does not depend on any other draw.

    Parameters
    ----------
    bank : Bank
    prior : Prior
    seed : int
    split : str
    index : int array, shape (n_spec,)

    Returns
    -------
    draws : Draws

    Raises
    ------
    GridError
        If the prior leaves the grid, or some keys find no star in 64 attempts.

    Examples
    --------
    >>> draws = starsmith.draw_stars(bank, prior, seed=7, split="test", index=np.arange(3))
    >>> draws.labels.shape
    (3, 3)
    """
    draws = prior.draw(seed, split, index, bank.label_names)
    if not bank.filled.any():
        return draws
    bad = np.flatnonzero(touches_filled(bank, draws.labels))
    for attempt in range(1, MAX_ATTEMPTS):
        if not bad.size:
            return draws
        again = prior.draw(seed, split, draws.index[bad], bank.label_names, attempt)
        draws = draws.with_stars(bad, again)
        bad = bad[touches_filled(bank, again.labels)]
    raise GridError(
        f"{bad.size} draws met only holes of grid {bank.grid.get('name')!r} in {MAX_ATTEMPTS} "
        "attempts; narrow the label ranges"
    )


def model_flux(bank: Bank, draws: Draws, keep_bits: int = KEEP_BITS) -> np.ndarray:
    """Noiseless flux as a dataset stores it: rounded to ``keep_bits`` mantissa bits.

    Returns
    -------
    flux_model : float32 array, shape (n_spec, n_wave) [1e-17 erg/s/cm²/Å]
    """
    flux_model = flux_of(bank, draws)
    round_mantissa(flux_model.view(np.uint32), keep_bits)
    return flux_model


def observe(
    bank: Bank,
    draws: Draws,
    *,
    error: str = "observed",
    stream: str = "noise",
    sub: int = 0,
    keep_bits: int = KEEP_BITS,
    noise: NoiseModel = CALCULATOR,
) -> SpectrumBatch:
    """Simulate the observation of every draw.

    Parameters
    ----------
    bank : Bank
    draws : Draws
    error : str
        ``observed`` or ``smooth``: how the honest error counts the star's photons.
    stream, sub : str, int
        Noise realisation; the default is the draw of record.
    keep_bits : int
        Mantissa bits of the noiseless flux.
    noise : NoiseModel
        Terms of the noise.

    Returns
    -------
    batch : SpectrumBatch
        The same bits as a dataset of the same seed, for any subset of its draws.

    Examples
    --------
    >>> draws = starsmith.draw_stars(bank, prior, seed=7, split="test", index=np.arange(3))
    >>> batch = starsmith.observe(bank, draws)
    >>> bool((batch.flux[0] == data.split("test").observe().flux[0]).all())
    True
    """
    shape = (len(draws), bank.wave.size)
    flux_model = model_flux(bank, draws, keep_bits)
    drawn = Realisation(stream, sub)
    flux = np.empty(shape, dtype=np.float32)
    sigma_observed = np.empty(shape, dtype=np.float32)
    mask = np.zeros(shape, dtype=np.uint32)
    snr = {name: np.empty(len(draws)) for name in SNR_STATISTICS}
    step = WIDE_BLOCK if noise.in_one_pass else BLOCK
    for start in range(0, len(draws), step):
        rows = slice(start, start + step)
        part = draws.take(rows)
        *_, sigma = observe_spectra(
            bank.noise,
            flux_model[rows],
            part.conditions,
            part.key,
            error,
            drawn,
            noise,
            out=(flux[rows], sigma_observed[rows]),
        )
        if noise.loses:
            mask[rows] = spectrum_mask(noise, part.conditions, part.key, bank.wave.size, drawn)
        for name, values in snr_statistics(flux_model[rows], sigma).items():
            snr[name][rows] = values
    return SpectrumBatch(
        wave=bank.wave,
        flux_model=flux_model,
        flux=flux,
        error=sigma_observed,
        mask=mask,
        **snr,
        draws=draws,
        arms=bank.noise.arms,
    )


def observe_star(
    bank: Bank,
    values: Mapping[str, object],
    seed: int = 0,
    prior: Prior | None = None,
    noise: NoiseModel = CALCULATOR,
) -> SpectrumBatch:
    """Simulate the observation of one star: yours.

    Parameters
    ----------
    bank : Bank
    values : mapping of str to float or Quantity
        Labels, ``mag``, ``rv``, ``ebv`` and observing conditions by their names or aliases
        (``Teff``, ``[Fe/H]``); a Quantity is converted.
    seed : int
        Of its noise.
    prior : Prior, optional
        Whatever has no value is the middle of its range here; the paper's by default.
    noise : NoiseModel

    Returns
    -------
    batch : SpectrumBatch
        Of one spectrum; ``batch.draws`` says every value that was used.

    Raises
    ------
    ConfigError
        If a name is no quantity of a star or of the sky, or a value is impossible.

    Examples
    --------
    >>> star = starsmith.observe_star(bank, {"Teff": 4750, "logg": 2.5, "feh": -1, "mag": 21})
    >>> float(star.draws.label("m_h")[0]), float(star.draws.condition("seeing")[0])
    (-1.0, 1.0)
    """
    names = {name: quantity_called(name) for name in values}
    known = [quantity.name for quantity in SCENE]
    if strange := [name for name, called in names.items() if called not in known]:
        raise ConfigError(f"a star has no {strange}; name any of {', '.join(known)}")
    plain = {names[name]: plain_value(names[name], value) for name, value in values.items()}
    ranges = {name: (float(value), float(value)) for name, value in plain.items()}
    one = (prior or Prior.default()).with_ranges(**ranges).middle(bank.label_names)
    return observe(bank, draw_stars(bank, one, seed, "test", np.zeros(1, np.int64)), noise=noise)
