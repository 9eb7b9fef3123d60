"""Interpolated flux is positive, or refused: Bernstein coefficients bound it between nodes."""

import dataclasses

import numpy as np
import pytest

from starsmith.data_contract.errors import GridError
from starsmith.simulator.generation.generate import check_prior
from starsmith.simulator.observe import draw_stars
from starsmith.simulator.prior import Prior
from starsmith.simulator.rendering.bernstein import boxes, lattice
from starsmith.simulator.rendering.interpolate import (
    combine,
    interpolate,
    prefilter,
    spline_weights,
)
from starsmith.simulator.rendering.positivity import check_positive


@pytest.fixture(scope="module")
def steep_bank(toy_bank):
    """Flux that rises a hundredfold from the second to the third temperature."""
    shape = [nodes.size for nodes in toy_bank.axes]
    nodes = np.ones((*shape, toy_bank.wave.size))
    nodes[:2] = 0.01
    coef = prefilter(nodes, toy_bank.axes).reshape(toy_bank.coef.shape).astype(np.float32)
    return dataclasses.replace(toy_bank, coef=coef)


def whole(bank):
    return {
        name: (nodes[0], nodes[-1]) for name, nodes in zip(bank.label_names, bank.axes, strict=True)
    }


def test_bernstein_coefficients_are_the_same_spline(toy_bank):
    """Summed with Bernstein polynomials they give what the bank gives; float32 leaves 1e-6."""
    rng = np.random.default_rng(4)
    every = list(boxes(toy_bank.axes, 3))
    for box in (every[0], every[-1], every[len(every) // 2].halves(1)[1]):
        rows = box.support(toy_bank.axes, 3)
        values = toy_bank.coef[rows][..., :5].astype(float)
        sums = box.coefficients(values, toy_bank.axes, 3)
        share = rng.random(3)
        labels = [a + t * (b - a) for t, (a, b) in zip(share, box.spans, strict=True)]
        for t in share:
            bernstein = np.array([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
            sums = np.tensordot(bernstein, sums, axes=1)

        found = combine(toy_bank, *spline_weights(toy_bank, np.array([labels])))[0, :5]

        np.testing.assert_allclose(found, sums, rtol=1e-6)
    assert len(every) == np.prod(lattice(toy_bank.axes, 3))


def test_boxes_tile_the_ranges_asked_for(toy_bank):
    """Volumes of the pieces add up to the volume of the ranges; fixed labels have no width."""
    within = [(4100.0, 5300.0), (1.2, 4.9), (0.0, 0.0)]

    found = list(boxes(toy_bank.axes, 3, within))

    volume = sum(np.prod([high - low for low, high in box.spans[:2]]) for box in found)
    assert volume == pytest.approx(1200.0 * 3.7, rel=1e-12)
    assert {box.spans[2] for box in found} == {(0.0, 0.0)}


def test_undershoot_is_refused_before_and_while_spectra_are_made(steep_bank):
    """Where scipy's spline is negative no spectrum is served; elsewhere every one is."""
    rng = np.random.default_rng(2)
    labels = np.stack([rng.uniform(nodes[0], nodes[-1], 400) for nodes in steep_bank.axes], axis=1)
    lowest = combine(steep_bank, *spline_weights(steep_bank, labels)).min(axis=1)
    mag = np.full(400, 20.0)

    assert (lowest < 0).any()
    with pytest.raises(GridError, match="zero or negative near teff"):
        interpolate(steep_bank, labels[lowest < 0][:1], mag[:1])
    assert interpolate(steep_bank, labels[lowest > 0], mag[lowest > 0]).min() > 0
    with pytest.raises(GridError, match="zero or negative near teff"):
        check_positive(steep_bank, whole(steep_bank))
    with pytest.raises(GridError, match="zero or negative near teff"):
        check_prior(steep_bank, Prior.default())


def test_the_remedy_works(steep_bank):
    """The range that the message names is accepted, and draws from it are spectra."""
    with pytest.raises(GridError, match=r"--teff (\d+)\.\.(\d+) is free of it") as refused:
        check_positive(steep_bank, whole(steep_bank))
    told = str(refused.value).split("--teff ")[1].split(" ")[0]
    ranges = tuple(map(float, told.split("..")))
    prior = Prior.default().with_ranges(teff=ranges)

    check_prior(steep_bank, prior)

    draws = draw_stars(steep_bank, prior, 1, "train", np.arange(300))
    assert interpolate(steep_bank, draws.labels, draws.mag).min() > 0


def test_negative_coefficients_alone_refuse_nothing(toy_bank):
    """A dip to a third has a negative B-spline coefficient, and halving boxes shows flux > 0."""
    shape = [nodes.size for nodes in toy_bank.axes]
    nodes = np.ones((*shape, toy_bank.wave.size))
    nodes[3] = 0.32
    coef = prefilter(nodes, toy_bank.axes).reshape(toy_bank.coef.shape).astype(np.float32)
    bank = dataclasses.replace(toy_bank, coef=coef)

    check_positive(bank, whole(bank))

    assert coef.min() < 0
