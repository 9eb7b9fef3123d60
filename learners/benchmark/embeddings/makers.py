"""Doors of a suite: networks pretrained on stars without labels, bases, pixels, functions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from starsmith.data_contract.dataset.training import TrainingView
from starsmith.data_contract.errors import ConfigError
from starsmith.fisher.posterior.basis import leading_modes
from starsmith.learners.benchmark.embeddings.suite import NetworksSuite, is_outside, size_of
from starsmith.learners.benchmark.lab_cells import LabTarget
from starsmith.learners.embedding.doors import Door, function_door, open_door
from starsmith.learners.preprocess import median_normalise
from starsmith.learners.pretrain.recipes import load_pretraining
from starsmith.learners.pretrain.training import align, pretrain
from starsmith.learners.run_folder import is_closed
from starsmith.learners.transfer.samples import Sample, training_view

__all__ = ["Makers", "Unlabelled", "outside_door"]


class Unlabelled(Protocol):
    """Stars of a laboratory."""

    def source(self, survey: str | None = None) -> tuple[Sample, Sample]:
        """Stars without labels and validation stars; the same ones through any survey."""
        ...

    def target(self, g: float) -> LabTarget:
        """Labelled stars, and those to be judged on with their ceiling."""
        ...


@dataclass(frozen=True, eq=False)
class Makers:
    """What turns names of embeddings into doors; networks are kept in a folder.

    Attributes
    ----------
    suite : NetworksSuite
    out : Path
    world : Unlabelled
    device : str or None
    tell : callable
        Told what is done next.
    """

    suite: NetworksSuite
    out: Path
    world: Unlabelled
    device: str | None
    tell: Callable[[str], None]

    @cached_property
    def stars(self) -> tuple[Sample, Sample]:
        """Stars without labels."""
        return self.world.source()

    @cached_property
    def templates(self) -> np.ndarray:
        """Noiseless spectra of the stars without labels, over their medians."""
        return median_normalise(*plain_pixels(self.stars[0].flux))[0].astype(np.float64)

    @property
    def wave(self) -> np.ndarray:
        """Pixels [vacuum Å]."""
        return self.stars[0].wave

    def door(self, name: str) -> Door:
        """Encoder of an embedding's name; ConfigError where there is none."""
        family, _, kind = name.partition(".")
        if is_outside(name):
            return outside_door(name, self.wave, self.device)
        if family in ("masked", "autoencoder"):
            return open_door(self.run(family), kind or None, device=self.device)
        if family == "aligned":
            return open_door(self.pair(), kind, device=self.device)
        if name == "pixels":
            return Door(lambda flux, error, mask: scaled(flux, mask), name, self.wave)
        return Door(self.basis(name), name, self.wave)

    def run(self, family: str, second: bool = False) -> Path:
        """Run folder of a network, pretrained there or found."""
        suite = self.suite
        model = getattr(suite, family)
        out = self.out / "networks" / (f"{family}-second" if second else family)
        if not is_closed(out):
            self.tell(f"{out.name}: {model}, {suite.n_source} stars without labels")
            patch = suite.patch if family == "masked" else 0
            options = {"patch": patch, "stride": patch} if patch else {}
            recipe = load_pretraining(model, epochs=suite.epochs, options=options)
            pretrain(model, self.view(second), recipe, out, device=self.device)
        return out

    def pair(self) -> Path:
        """Run folder of the aligned pair."""
        suite = self.suite
        runs = self.run("masked"), self.run("autoencoder", second=True)
        out = self.out / "networks" / "aligned"
        if not is_closed(out):
            self.tell(f"aligned: {suite.survey} and {suite.second} of the same stars")
            recipe = load_pretraining(
                suite.variant, epochs=suite.epochs, options={"dim": suite.dim}
            )
            align(
                suite.variant, runs, (self.view(), self.view(True)), recipe, out, device=self.device
            )
        return out

    def view(self, second: bool = False) -> TrainingView:
        """Stars without labels, under fresh noise in every epoch."""
        train, val = self.world.source(self.suite.second) if second else self.stars
        return training_view(train, val)

    def basis(self, name: str) -> Callable:
        """Amplitudes of principal components, or of the basis that ceilings weigh by noise.

        Components are those of observed spectra of the stars without labels, less their mean. The
        basis is one of noiseless spectra, each pixel over its typical noise.
        """
        n, stars = size_of(name), self.stars[0]
        if n > min(self.templates.shape):
            most = min(self.templates.shape)
            raise ConfigError(f"embedding {name}: these stars have {most} components at most")
        if name.startswith("basis"):
            if (error := stars.observe().error) is None:
                raise ConfigError(f"embedding {name} weighs pixels by their error; there is none")
            over = error / np.median(stars.flux, axis=1, keepdims=True)
            weight = 1.0 / np.median(over, axis=0).astype(np.float64)
            modes = leading_modes(self.templates * weight, 0.0)[:n]
            middle, lens = np.zeros(weight.size), modes * weight
        else:
            seen = stars.observe()
            given = scaled(seen.flux, seen.mask).astype(np.float64)
            middle = given.mean(axis=0)
            lens = leading_modes(given - middle, 0.0)[:n]

        def encode(flux: np.ndarray, error: np.ndarray | None, mask: np.ndarray) -> np.ndarray:
            """Amplitudes."""
            return (scaled(flux, mask) - middle) @ lens.T

        return encode


def outside_door(name: str, wave: np.ndarray | None, device: str | None) -> Door:
    """Encoder of a user's folder or function; ConfigError, DataError where there is none."""
    return function_door(name, wave) if ":" in name else open_door(Path(name), device=device)


def plain_pixels(flux: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spectra, and a mask in which every pixel is good."""
    return flux, np.zeros(flux.shape, np.uint32)


def scaled(flux: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Flux over its median, 1 where it is masked."""
    over, good = median_normalise(flux, mask)
    return np.where(good, over, 1.0)
