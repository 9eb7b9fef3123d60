"""Slow twin of the simulator: one star at a time, numpy and scipy, written from the formulae."""

import numpy as np
from scipy.interpolate import BSpline, make_interp_spline


def flux_plainly(bank, label, mag):
    """Noiseless flux (n_wave,): the tensor-product spline as scipy evaluates it."""
    coef = bank.coef.astype(np.float64).reshape(*(a.size for a in bank.axes), -1)
    band = bank.band_coef.reshape(coef.shape[:-1])
    for nodes, x in zip(bank.axes, label, strict=True):
        degree = min(3, nodes.size - 1)
        knots = make_interp_spline(nodes, nodes, k=degree).t
        coef = BSpline(knots, coef, degree, axis=0)(x)
        band = BSpline(knots, band, degree, axis=0)(x)
    return 10 ** (-0.4 * mag) * coef / band


def noise_plainly(tables, conditions):
    """Electrons per flux unit and object-free variance per exposure, each (n_wave,)."""
    seeing, zenith, field = conditions[:3]
    exp_time, exp_count = conditions[6:]
    area = np.interp(field, tables.field_angle, tables.collecting_area)
    fibre = np.interp(field, tables.field_angle, tables.fibre_area)
    aperture = [
        np.interp(
            field,
            tables.field_angle,
            [np.interp(seeing, tables.seeing, energy) for energy in per_knot.T],
        )
        for per_knot in np.moveaxis(tables.encircled_energy, 2, 0)
    ]
    transmission = 10 ** (-0.4 * tables.extinction / np.cos(np.radians(zenith)))
    smooth = np.interp(tables.wave, tables.knot_wave, np.array(aperture) * transmission)
    sensitivity = area * exp_time * tables.conversion * smooth

    rate = [np.interp(zenith, tables.zenith_angle, column) for column in tables.sky_rate.T]
    sky = area * fibre * exp_time * np.array(rate)
    padded = np.pad(sky, 1, mode="edge")
    peak = np.maximum(np.maximum(padded[:-2], sky), padded[2:])
    background = tables.variance_factor * (
        sky
        + (tables.floor_fraction * np.sqrt(exp_count) * peak) ** 2
        + tables.stray_fraction * sky.mean()
        + tables.dark_rate * exp_time
        + tables.read_variance
    )
    return sensitivity, background


def error_plainly(tables, flux, conditions):
    """Standard deviation of a coadd (n_wave,)."""
    sensitivity, background = noise_plainly(tables, conditions)
    electrons = np.maximum(flux * sensitivity, 0.0) * tables.sample_factor
    return np.sqrt((electrons + background) / conditions[7]) / sensitivity


def observe_plainly(bank, draws, rng):
    """Flux, error and S/N of every draw; noise from ``rng``."""
    fluxes, errors, snrs = [], [], []
    for label, mag, conditions in zip(draws.labels, draws.mag, draws.conditions, strict=True):
        flux_model = flux_plainly(bank, label, mag)
        sigma = error_plainly(bank.noise, flux_model, conditions)
        flux = flux_model + sigma * rng.standard_normal(flux_model.size)
        fluxes.append(flux)
        errors.append(error_plainly(bank.noise, flux, conditions))
        snrs.append(np.median(flux_model / sigma))
    return np.array(fluxes), np.array(errors), np.array(snrs)
