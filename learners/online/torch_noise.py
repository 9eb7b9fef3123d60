"""Noise tables on a torch device: the arithmetic of `starsmith.data_contract.noise` in float32.

Conditions and everything per spectrum stay float64; everything per pixel is float32, whose
rounding (1e-7, sums of positive terms only) is far below the noise itself.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from starsmith.data_contract.noise.detector import ERROR_KINDS, SMOOTH_HALF_WIDTH
from starsmith.data_contract.noise.noise_tables import NoiseTables
from starsmith.data_contract.quantities import CONDITIONS

__all__ = ["DeviceNoise", "DeviceResponse"]

RAYLEIGH = 2.29e5  # of air, Krisciunas & Schaefer (1991) equation 17


def bracket(nodes: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Node at or below each value, and the fraction of the way to the next."""
    node = torch.searchsorted(nodes, values, right=True) - 1
    node = node.clamp(0, len(nodes) - 2)  # the last interval holds its upper end
    return node, (values - nodes[node]) / (nodes[node + 1] - nodes[node])


def interpolate_rows(
    table: torch.Tensor, node: torch.Tensor, fraction: torch.Tensor
) -> torch.Tensor:
    """Rows ``node`` of a table, moved by ``fraction`` towards the next."""
    return table[node] + fraction.reshape(-1, *[1] * (table.ndim - 1)) * (
        table[node + 1] - table[node]
    )


def moon_brightness(named: dict[str, torch.Tensor], extinction: float) -> torch.Tensor:
    """Moonlight by cause, float64 (n_spec, 2) [nanolambert]; Krisciunas & Schaefer (1991)."""
    phase = named["moon_phase"] % 1.0
    angle = 360.0 * (phase - 0.5).abs()  # 0 at full moon [deg]
    # equation 20: illuminance of the moon
    moon = 10.0 ** (-0.4 * (3.84 + 0.026 * angle + 4e-9 * angle**4))
    moon = moon * torch.where(angle < 7.0, 1.35 - 0.05 * angle, 1.0)
    separation = named["moon_target_angle"]
    molecules = RAYLEIGH * (1.06 + torch.cos(torch.deg2rad(separation)) ** 2)
    aerosols = 10.0 ** (6.15 - separation / 40.0)  # equation 18
    reaches = 10.0 ** (-0.4 * extinction * moon_airmass(named["moon_zenith_angle"]))
    scatters = 1.0 - 10.0 ** (-0.4 * extinction * moon_airmass(named["zenith_angle"]))
    shines = (named["moon_zenith_angle"] < 90.0) & (phase != 0.0)
    common = torch.where(shines, moon * reaches * scatters, 0.0)
    return common[:, None] * torch.stack([molecules, aerosols], dim=1)


def moon_airmass(zenith_angle: torch.Tensor) -> torch.Tensor:
    """Airmass of the scattering air, eq. 3 of the same paper."""
    return 1.0 / torch.sqrt(1.0 - 0.96 * torch.sin(torch.deg2rad(zenith_angle)) ** 2)


class ArmBackground:
    """Object-free variance of one arm."""

    def __init__(self, tables: NoiseTables, device: torch.device):
        self.figures = tables
        self.zenith_angle = torch.from_numpy(tables.zenith_angle).to(device)
        self.sky_rate = torch.from_numpy(tables.sky_rate.astype(np.float32)).to(device)
        self.moon_rate = None
        if tables.moon_rate is not None:
            self.moon_rate = torch.from_numpy(tables.moon_rate.astype(np.float32)).to(device)

    def __call__(self, named: dict[str, torch.Tensor], exposure: torch.Tensor, moonlit: bool):
        """Variance per exposure, float32 (n_spec, n_wave) [electron²].

        ``exposure`` float64 (n_spec,) is area x fibre area x time [m² arcsec² s].
        """
        figures = self.figures
        node, fraction = bracket(self.zenith_angle, named["zenith_angle"])
        # two rows of the table and their shares: a linear interpolation
        pair = torch.stack([node, node + 1], dim=1)
        weight = exposure[:, None] * torch.stack([1.0 - fraction, fraction], dim=1)
        sky = functional.embedding_bag(
            pair, self.sky_rate, per_sample_weights=weight.float(), mode="sum"
        )
        if moonlit:
            light = moon_brightness(named, figures.moon_extinction) * exposure[:, None]
            sky += light.float() @ self.moon_rate
        excess = figures.sample_factor  # of all that is counted in photons or dark electrons
        # does not average down with exposures
        floor = figures.floor_fraction * torch.sqrt(named["exp_count"] / excess)
        constant = figures.dark_rate * named["exp_time"] + figures.read_variance / excess
        constant = constant[:, None].float() + figures.stray_fraction * sky.mean(1, keepdim=True)
        # brightest of three neighbours, as the calculator's floor
        peak = neighbour_maximum(sky).mul_(floor[:, None].float()).square_()
        return peak.add_(sky).add_(constant).mul_(figures.variance_factor * excess)


def neighbour_maximum(rows: torch.Tensor) -> torch.Tensor:
    """Largest of each pixel and its two neighbours, same shape."""
    return functional.max_pool1d(rows, kernel_size=3, stride=1, padding=1)


class DeviceNoise:
    """Noise tables whose arrays lie on a device.

    Parameters
    ----------
    tables : NoiseTables
    device : torch.device
    moonlit : bool
        Whether the moon may shine; needs tables that know it.
    """

    def __init__(self, tables: NoiseTables, device: torch.device, moonlit: bool = False):
        def doubles(values: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64)).to(device)

        self.moonlit = moonlit
        self.seeing_airmass_power = tables.seeing_airmass_power
        self.field_angle, self.seeing = doubles(tables.field_angle), doubles(tables.seeing)
        self.areas = doubles(np.stack([tables.collecting_area, tables.fibre_area], axis=1))
        self.energy = doubles(tables.encircled_energy)
        self.extinction = doubles(tables.extinction)
        self.hats = torch.from_numpy(pixel_hats(tables)).to(device)
        self.arms = [
            (arm.pixels, ArmBackground(own, device), own.sample_factor)
            for arm, own in zip(tables.arms, tables.by_arm, strict=True)
        ]

    def response(self, conditions: torch.Tensor) -> "DeviceResponse":
        """Evaluate the tables for conditions, float64 (n_spec, 8), columns as `CONDITIONS`."""
        named = {name: conditions[:, k].contiguous() for k, name in enumerate(CONDITIONS)}
        field, field_fraction = bracket(self.field_angle, named["field_angle"])
        airmass = 1.0 / torch.cos(torch.deg2rad(named["zenith_angle"]))
        blurred = named["seeing"]
        if self.seeing_airmass_power is not None:
            blurred = blurred * airmass**self.seeing_airmass_power
        seeing, seeing_fraction = bracket(self.seeing, blurred)
        aperture = [
            torch.lerp(
                self.energy[seeing + step, field],
                self.energy[seeing + step, field + 1],
                field_fraction[:, None],
            )
            for step in (0, 1)
        ]
        aperture = torch.lerp(*aperture, seeing_fraction[:, None])
        areas = interpolate_rows(self.areas, field, field_fraction)
        exposure = areas[:, 0] * named["exp_time"]
        smooth = aperture * 10.0 ** (-0.4 * self.extinction * airmass[:, None])
        # [electron per exposure / flux unit]
        sensitivity = (smooth * exposure[:, None]).float() @ self.hats
        backgrounds = [arm(named, exposure * areas[:, 1], self.moonlit) for _, arm, _ in self.arms]
        return DeviceResponse(
            sensitivity,
            backgrounds[0] if len(backgrounds) == 1 else torch.cat(backgrounds, dim=1),
            named["exp_count"][:, None].float(),
            [(pixels, sample_factor) for pixels, _, sample_factor in self.arms],
        )


def pixel_hats(tables: NoiseTables) -> np.ndarray:
    """Linear interpolation from knots to pixels, times the conversion: float32 (n_knot, n_wave)."""
    knots, wave = tables.knot_wave, tables.wave
    node = np.clip(np.searchsorted(knots, wave, side="right") - 1, 0, knots.size - 2)
    fraction = (wave - knots[node]) / (knots[node + 1] - knots[node])
    # (n_knot, n_wave): interpolation in wavelength as a product
    hats = np.zeros((knots.size, wave.size))
    pixel = np.arange(wave.size)
    hats[node, pixel] = tables.conversion * (1.0 - fraction)
    hats[node + 1, pixel] = tables.conversion * fraction
    return hats.astype(np.float32)


class DeviceResponse:
    """What a flux becomes on the detector; see `starsmith.data_contract.noise.Response`."""

    def __init__(
        self,
        sensitivity: torch.Tensor,
        background: torch.Tensor,
        n_exposure: torch.Tensor,
        arms: Sequence[tuple[slice, float]],
    ):
        self.sensitivity, self.background = sensitivity, background
        self.n_exposure, self.arms = n_exposure, arms

    def error(self, flux: torch.Tensor) -> torch.Tensor:
        """One-sigma error of a coadd whose object flux is ``flux``, float32 (n_spec, n_wave)."""
        # of the star's photons; negative flux counts as none
        variance = (self.sensitivity * flux).clamp_(min=0.0)
        for pixels, sample_factor in self.arms:
            if sample_factor != 1.0:
                variance[:, pixels] *= sample_factor
        variance += self.background
        return variance.div_(self.n_exposure).sqrt_().div_(self.sensitivity)

    def honest_error(self, flux: torch.Tensor, kind: str) -> torch.Tensor:
        """Error from the noisy flux alone: ``observed`` or ``smooth``; ValueError otherwise."""
        if kind not in ERROR_KINDS:
            raise ValueError(f"error kind {kind!r} is not one of {ERROR_KINDS}")
        if kind == "smooth":
            parts = [broad_mean(flux[:, pixels], SMOOTH_HALF_WIDTH) for pixels, _ in self.arms]
            flux = torch.cat(parts, dim=1)
        return self.error(flux)


def broad_mean(rows: torch.Tensor, half_width: int) -> torch.Tensor:
    """Means over ``2 half_width + 1`` pixels at every ``half_width``-th, straight between, float32.

    Windows are shortened at the ends; the last pixel is a knot too.
    """
    n_wave = rows.shape[1]
    total = functional.pad(rows.double().cumsum(1), (1, 0))
    pixel = torch.arange(n_wave, device=rows.device)
    left = pixel // half_width * half_width
    right = (left + half_width).clamp(max=n_wave - 1)

    def mean_at(knot: torch.Tensor) -> torch.Tensor:
        first = (knot - half_width).clamp(min=0)
        last = (knot + half_width + 1).clamp(max=n_wave)
        return (total[:, last] - total[:, first]) / (last - first)

    share = (pixel - left) / (right - left).clamp(min=1)
    return torch.lerp(mean_at(left), mean_at(right), share.double()).float()
