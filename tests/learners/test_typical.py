"""What training spectra look like: rare ones may be odd where they are, others not."""

import numpy as np
import pytest

from starsmith.learners.preprocess import Normaliser
from starsmith.learners.transfer.samples import Sample, training_view
from starsmith.learners.typical import Typical, _components

WAVE = 5000.0 + np.arange(200.0)
NOISE = 0.01


def spectra(n: int, seed: int, odd: float = 0.0) -> Sample:
    """A line whose depth is a label, and structure that grows with it; more of it if odd."""
    draw = np.random.default_rng(seed)
    depth = draw.uniform(0.0, 0.2 if odd else 0.6, n)
    line = np.exp(-0.5 * np.square((WAVE - 5100.0) / 8.0))
    size = odd + 0.04 * (depth / 0.6) ** 4
    flux = 1.0 - depth[:, None] * line + size[:, None] * draw.standard_normal((n, WAVE.size))
    error = np.full(flux.shape, NOISE, np.float32)

    def noise(clear, index, epoch):
        unit = np.random.default_rng([seed, 1]).standard_normal((n, WAVE.size))[index]
        return (clear + NOISE * unit).astype(np.float32), error[index]

    return Sample(
        wave=WAVE, flux=flux.astype(np.float32), label_names=("depth",), labels=depth[:, None],
        noise=noise,
    )  # fmt: skip


@pytest.fixture(scope="module")
def typical():
    view = training_view(spectra(600, 1), spectra(300, 2))
    normaliser = Normaliser.fit(view.train)
    return Typical.measure(view, normaliser.mean, normaliser.std), normaliser


def share(typical, sample):
    found, normaliser = typical
    return found.is_unlike(sample.observe(), normaliser.mean, normaliser.std).mean()


def test_structure_of_rare_spectra_does_not_hide_it_in_others(typical):
    """The deepest have 17 times the noise in χ²; shallow ones with 10 times it are told anyway."""
    assert share(typical, spectra(1000, 3)) <= 0.02
    assert share(typical, spectra(200, 4, odd=0.03)) > 0.9


@pytest.mark.parametrize("n_wave", [5, 40])
def test_components_are_singular_vectors(n_wave):
    """By Lanczos' method or, of few pixels, whole; 1e-6 are roundings of float32."""
    z = np.random.default_rng(0).standard_normal((60, n_wave)) * np.arange(1, n_wave + 1)
    found = _components(z, 8)
    expected = np.linalg.svd(z, full_matrices=False)[2][:8][::-1]
    np.testing.assert_allclose(np.abs((found * expected).sum(axis=1)), 1.0, atol=1e-6)
    np.testing.assert_array_equal(found, _components(z, 8))


def test_checkpoints_keep_it_and_those_of_before_are_read(typical):
    found, normaliser = typical
    seen = spectra(50, 5).observe()
    kept = found.tensors()
    again = Typical.from_tensors(kept).statistics(seen, normaliser.mean, normaliser.std)
    np.testing.assert_array_equal(again, found.statistics(seen, normaliser.mean, normaliser.std))
    before = {name: kept[f"typical.{name}"] for name in ("basis", "variance", "limits")}
    old = Typical(**before).statistics(seen, normaliser.mean, normaliser.std)
    plain = spectra(50, 5).labels[:, 0] < 0.15
    np.testing.assert_allclose(old[plain, 1], again[plain, 1], rtol=0.1)  # nothing is left there
    assert Typical.from_tensors({f"typical.{n}": v for n, v in before.items()}).nearby is None
