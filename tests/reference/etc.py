"""The PFS exposure-time calculator's equations, rewritten from its description, arm by arm.

Slow and plain: everything at every pixel, no tables over conditions. Reads the calculator's own
files; `tests/simulator/test_calculator.py` compares the simulator with it.
"""

from functools import cached_property

import numpy as np
from scipy.special import j0, j1

U = (np.arange(1000) + 0.5) * 0.005  # cycles per pixel
PIXELS = np.arange(32)
PHOTONS_PER_ERG_NM = 5.03411656754e8
ARCSEC_PER_URAD = 0.20626480624709636
OPACITY_NM = (310, 320, 340, 360, 380, 400, 450, 500, 550, 600, 650, 700, 800, 900)
OPACITY = (1.37, 0.82, 0.51, 0.37, 0.30, 0.25, 0.17, 0.13, 0.12, 0.11, 0.11, 0.10, 0.07, 0.05)
BOOST = {"blue": 1.08, "red": 1.05, "red-mr": 1.20, "nir": 1.24}
VARIANCE = {"blue": 0.752, "red": 0.722, "red-mr": 1.015, "nir": 2.694}


def entries(config):
    """Words of every line of the configuration that begins with a keyword."""
    lines = [line.split() for line in config.read_text().splitlines() if line.strip()]
    return [words for words in lines if words[0][0].isalpha()]


def throughput(config, arm):
    """Wavelength [nm] and product of the factors of one arm's table."""
    tables, inside = [[]], False
    for line in config.read_text().splitlines():
        words = line.split()
        if words and words[0] == "THRPUT":
            inside = True
        elif inside and words and words[0] == "D":
            tables.append([])
        elif inside and words:
            tables[-1].append((float(words[0]), np.prod([float(x) for x in words[1:6]])))
    return np.array(tables[arm]).T


def opacity(nm):
    return np.interp(nm, OPACITY_NM, OPACITY)


def vacuum(air):
    wave = air.copy()
    for _ in range(10):
        inverse = 1e6 / wave**2
        index = 1.000064328 + 0.0294981 / (146 - inverse) + 0.0002554 / (41 - inverse)
        wave = wave + (air - wave / index)
    return wave


def silicon_absorption_length(nm, kelvin):
    k, beta, gamma = 8.617e-5, 7.021e-4, 1108.0
    energy, shift = 1239.84198 / nm, beta * kelvin**2 / (kelvin + gamma)
    alpha = 1.052e6 * np.sqrt(np.maximum(energy - (3.2 - shift), 0))
    for gap, a in ((1.1557, 323.1), (2.5, 7237.0)):
        for phonon, c in ((1.827e-2, 5.5), (5.773e-2, 4.0)):
            up = np.maximum(energy - (gap - shift) + phonon, 0) ** 2
            down = np.maximum(energy - (gap - shift) - phonon, 0) ** 2
            boltzmann = np.exp(phonon / k / kelvin)
            alpha = alpha + a * c * (up / (boltzmann - 1) + down / (1 - 1 / boltzmann))
    return 1e4 / alpha


class Arm:
    """One arm of one configuration; ``index`` 0, 1, 2 is blue, red, near infrared."""

    def __init__(self, config, tables, index):
        rows = entries(config)

        def find(key, own=False):
            found = [words[1:] for words in rows if words[0] == key]
            if own:
                found = [words[1:] for words in found if int(words[0]) == index]
            return [float(x) for x in found[-1]]

        medium = find("MEDIUM_RESOLUTION")[0] == 1
        self.name = ("blue", "red-mr" if medium else "red", "nir")[index]
        self.tables = tables
        self.optics, self.spot, self.vignet = find("OPTICS"), find("SPOT"), find("VIGNET")
        self.radius_um = find("FIBER")[0]
        self.low, self.high, n, width = find("PARAM", own=True)
        self.n, self.width = int(n), int(width)
        self.camera, self.n_line = find("CAMERA", own=True), find("NLINES", own=True)[0]
        self.ramp = [int(words[1]) for words in rows if words[0] == "HGCDTE"] == [index]
        self.step = (self.high - self.low) / self.n
        self.through = throughput(config, index)
        self.edge = self.low + self.step * np.arange(self.n)
        self.centre = self.edge + self.step / 2

    # What does not depend on the conditions

    def transfer(self, nm):
        fratio, thick, pixel, kelvin, camera, image = self.camera[:6]
        x = np.pi * image / pixel * U
        common = 2 * j1(x) / x * np.sinc(U) * np.exp(-2 * (np.pi * camera / pixel * U) ** 2)
        grating = np.exp(-nm[:, None] / self.step / self.n_line * U)
        if self.ramp:
            return common * grating
        free = silicon_absorption_length(nm, kelvin)
        index = np.interp(nm, 200 + 5 * np.arange(181), self.tables["si_index_table"])
        slab = thick / 3
        first = free * (1 - (1 + slab / free) * np.exp(-slab / free)) / (1 - np.exp(-slab / free))
        blur, total = 0, 0
        for i in range(6):
            depth = first + slab * i
            weight = np.exp(-slab * i / free) * np.where(depth > thick, 0.3, 1.0)
            phase = 2 * np.pi * (depth / index / 2 / fratio / pixel)[:, None] * U
            disc = np.cos(np.sqrt(0.75) * phase) / 6 + np.cos(0.5 * phase) / 2 + 1 / 3
            blur, total = blur + weight[:, None] * disc, total + weight
        return common * grating * blur / total[:, None]

    def trace(self, transfer, neighbours):
        pitch = self.camera[8] / self.camera[2]
        total = 0
        for k in range(-neighbours, neighbours + 1):
            place = (self.width - 1) / 2 + k * pitch - np.arange(self.width)
            total = total + 0.01 * (transfer @ np.cos(2 * np.pi * np.outer(U, place))).sum(axis=1)
        return total

    @cached_property
    def star_transfer(self):
        return self.transfer(self.edge)

    @cached_property
    def sky_transfer(self):
        return self.transfer(self.centre)

    @cached_property
    def star_trace(self):
        return self.trace(self.star_transfer, 0)

    @cached_property
    def sky_trace(self):
        return self.trace(self.sky_transfer, 1)

    @cached_property
    def deposits(self):
        """Wavelength, intensity, whether OH, first pixel and shares of every line."""
        wave = np.concatenate([vacuum(self.tables["uves_lambda"]), self.tables["oh_data"][:, 0]])
        light = np.concatenate([self.tables["uves_int"], self.tables["oh_data"][:, 1]])
        hydroxyl = np.arange(wave.size) >= self.tables["uves_lambda"].size
        place = (wave - self.low) / self.step
        near = (place > -16) & (place < self.n + 15)
        wave, light, hydroxyl, place = wave[near], light[near], hydroxyl[near], place[near]
        transfer = self.transfer(wave)
        first = np.clip(np.floor(place - 15.5).astype(int), 0, self.n - 32)
        offset = (place - first)[:, None] - PIXELS
        shares = np.array(
            [
                0.01 * np.cos(2 * np.pi * np.outer(o, U)) @ t
                for o, t in zip(offset, transfer, strict=True)
            ]
        )
        return wave, np.maximum(light, 0), hydroxyl, first, shares, self.trace(transfer, 1)

    def lines_of_air(self, nm):
        kitt_peak = np.interp(nm, 500 + 0.025 * np.arange(40001), self.tables["atm_trans_kp"])
        mauna_kea = np.interp(nm, 900 + 0.02 * np.arange(30001), self.tables["mk_trans_3mm"])
        return np.where(nm < 500, 1.0, np.where(nm > 900, mauna_kea, kitt_peak))

    def air(self, nm, transfer, zenith):
        """Transmission through five samples per pixel of a profile constant over each."""
        profile = 0.01 * transfer @ np.cos(2 * np.pi * np.outer(U, 15.5 - PIXELS))
        j = np.arange(160)
        seen = nm[:, None] + (0.2 * j - 15.5) * self.step
        through = 10 ** (-0.4 * opacity(seen) / np.cos(np.radians(zenith)))
        weight = profile[:, j // 5]
        return (weight * through * self.lines_of_air(seen)).sum(axis=1) / weight.sum(axis=1)

    # What does

    def field(self, values, angle):
        return np.interp(angle, np.linspace(0, self.optics[2], 5), values)

    def fibre_radius(self, angle):
        return self.radius_um / self.field(self.optics[3:], angle) * ARCSEC_PER_URAD

    def area(self, nm, angle):
        diameter, obscured = self.optics[:2]
        degrade = (1 - (0.27 + (0.36 - 0.27) / 0.675 * angle)) / (1 - 0.19)
        area = np.pi / 4 * diameter**2 * (1 - obscured**2) * self.field(self.vignet, angle)
        return area * degrade * BOOST[self.name] * np.interp(nm, *self.through)

    def enclosed(self, nm, seeing, angle, offset, reff):
        u = (np.arange(50) + 0.5) * 0.024
        k = 2 * np.pi * u
        spot = self.field(self.spot, angle) / self.field(self.optics[3:], angle) * ARCSEC_PER_URAD
        spread = 0.001 * nm / self.optics[0] / (1 - self.optics[1]) * ARCSEC_PER_URAD
        cut = 0.465 / seeing * (nm / 800) ** 0.2
        image = np.exp(-((k * spot) ** 2) / 2) * j0(k * offset)
        image = image * np.exp(-((u / cut[:, None]) ** (5 / 3)))
        image = image * np.exp(-4 / np.pi * u * spread[:, None])
        image = image * (1 + (k * reff / 1.67834) ** 2) ** -1.5
        radius = self.fibre_radius(angle)
        return (radius * 2 * np.pi * 0.024 * j1(k * radius) * image).sum(axis=1)

    def signal(self, mag, seeing, zenith, angle, offset, reff, seconds):
        """Electrons per exposure of a flat source."""
        nm = self.edge
        flux = 3.631e-20 * 10 ** (-0.4 * mag) * 2.99792458e17 * self.step / nm**2
        light = self.air(nm, self.star_transfer, zenith) * self.star_trace
        light = light * self.enclosed(nm, seeing, angle, offset, reff)
        return flux * light * PHOTONS_PER_ERG_NM * nm * seconds * self.area(nm, angle) * 1e4

    def sky(self, zenith, angle, seconds):
        """Electrons per exposure of the dark sky."""
        nm = self.centre
        path = 1 / np.sqrt(1 - 0.96 * np.sin(np.radians(zenith)) ** 2)
        fibre = np.pi * self.fibre_radius(angle) ** 2
        red = nm > 600
        mag = np.where(red, 24.316, 27.166) + np.where(red, -5.199e-3, -1.419e-2) * nm
        mag = mag + np.where(red, 1.465e-6, 8.541e-6) * nm**2
        mag = mag - 0.55 * np.exp(-0.005 * (nm - 594) ** 2) - 6.14656e9 / nm**4
        glow = 0.01089 * 10 ** (0.4 * (22.5 - mag)) * 1e6 / nm**2
        glow = glow * np.where(nm > 800, 1, 1.77400498 - 1.02278215e-3 * nm)
        glow = glow * 1e-11 * PHOTONS_PER_ERG_NM * nm * path
        glow = glow * self.air(nm, self.sky_transfer, zenith)
        counts = glow * self.step * self.area(nm, angle) * seconds * fibre * self.sky_trace

        wave, light, hydroxyl, first, shares, trace = self.deposits
        emitted = np.where(hydroxyl, np.exp((14.8 - 15.8) / 1.086), 1 / 1.1) * path
        line = light * wave * 1e-12 * PHOTONS_PER_ERG_NM * trace * self.area(wave, angle)
        line = line * seconds * fibre * emitted * np.exp(-opacity(wave) * path / 1.086)
        np.add.at(counts, first[:, None] + PIXELS, line[:, None] * shares)
        return counts

    def noise(self, zenith, angle, seconds, exposures):
        """Object-free variance per exposure [electron²]."""
        sky, sample = self.sky(zenith, angle, seconds), 1.2 if self.ramp else 1.0
        dark, read, pitch = self.camera[6:9]
        peak = np.maximum(sky, np.maximum(np.append(0, sky[:-1]), np.append(sky[1:], 0)))
        stray = 0.02 * sky.mean() * self.width * self.camera[2] / pitch * sample
        detector = (dark * seconds * sample + read**2) * self.width
        floor = (0.01 * np.sqrt(exposures) * peak) ** 2
        return VARIANCE[self.name] * (sample * sky + floor + stray + detector)
