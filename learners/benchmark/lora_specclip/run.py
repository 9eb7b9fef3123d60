"""Train every arm; networks and finished cells are kept, and not trained again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np

from starsmith.data_contract.dataset.training import TrainingSplit
from starsmith.learners.benchmark.embeddings.makers import Makers, Unlabelled
from starsmith.learners.benchmark.lab_cells import LabTarget, run_cell
from starsmith.learners.benchmark.lora_specclip.suite import (
    ARMS,
    LABEL,
    RANK1,
    RANK3,
    Arm,
    LoraSuite,
    cell_file,
)
from starsmith.learners.benchmark.suite_tables import finished_cells, waiting_cells
from starsmith.learners.checkpoint import read_checkpoint
from starsmith.learners.embedding.doors import Door, open_door
from starsmith.learners.embedding.vector_data import as_pixels
from starsmith.learners.pretrain.continued import brought
from starsmith.learners.pretrain.recipes import load_pretraining
from starsmith.learners.pretrain.training import align, pretrain
from starsmith.learners.recipe import NetworkRecipe
from starsmith.learners.run_folder import is_closed
from starsmith.learners.train import fit
from starsmith.learners.transfer.base import Base, open_base
from starsmith.learners.transfer.samples import Sample, training_split, training_view
from starsmith.learners.transfer.target_views import mapped

__all__ = ["TargetWorld", "finished", "learned", "run_lora"]

SHARE = 5  # stars without labels for each that chooses the epoch of a change


class TargetWorld(Unlabelled, Protocol):
    """A laboratory with stars of the target that have no labels."""

    def nameless(self, survey: str, g: float, n: int, n_val: int) -> tuple[Sample, Sample]:
        """Stars of the target without labels; the same ones through any survey."""
        ...


@dataclass(frozen=True, eq=False)
class Bench:
    """What arms are made of.

    Attributes
    ----------
    suite : LoraSuite
    makers : Makers
        Of the networks, and of their source.
    world : TargetWorld
    target : LabTarget
        On the source's pixels.
    """

    suite: LoraSuite
    makers: Makers
    world: TargetWorld
    target: LabTarget

    @classmethod
    def open(cls, suite: LoraSuite, makers: Makers, world: TargetWorld) -> "Bench":
        """With the target's spectra brought to the pixels of the source."""
        found = world.target(suite.g)
        wave = makers.wave
        view = mapped(found.view, wave, "interpolate", fresh=False)
        test = mapped(replace(found.view, val=found.test), wave, "interpolate").val
        return cls(suite, makers, world, replace(found, view=view, test=test))

    def folder(self, name: str) -> Path:
        """Of a network."""
        return self.makers.out / "networks" / name

    def changed(self, name: str, make: Callable[[Path], object]) -> Path:
        """Folder of a network that has low-rank changes, learned there or found."""
        out = self.folder(name)
        if not is_closed(out):
            self.makers.tell(f"{name}: {self.suite.n_unlabelled} stars without labels")
            make(out)
        return out

    def nameless(self, survey: str, wave: np.ndarray | None) -> object:
        """Stars of the target without labels, through a survey, on the pixels of a network."""
        suite = self.suite
        n_val = max(suite.n_unlabelled // SHARE, 10)
        pair = self.world.nameless(survey, suite.g, suite.n_unlabelled, n_val)
        return brought(training_view(*pair), wave, "exact" if wave is None else "interpolate")

    def lora1(self) -> Path:
        """The masked network with LoRA1."""
        masked, suite = self.makers.run("masked"), self.suite
        recipe = load_pretraining(
            suite.masked, initial=str(masked), rank=RANK1, epochs=suite.change_epochs
        )
        view = self.nameless(suite.target, self.makers.wave)
        device = self.makers.device
        return self.changed(
            "masked-lora1", lambda out: pretrain(suite.masked, view, recipe, out, device=device)
        )

    def lora3(self) -> Path:
        """The aligned pair with LoRA1 and LoRA3."""
        suite, device = self.suite, self.makers.device
        pair, runs = self.makers.pair(), (self.lora1(), self.folder("autoencoder-second"))
        recipe = load_pretraining(
            suite.variant, initial=str(pair), rank=RANK3, epochs=suite.change_epochs
        )
        views = (
            self.nameless(suite.target, self.makers.wave),
            self.nameless(suite.second, None),
        )
        return self.changed(
            "aligned-lora13",
            lambda out: align(suite.variant, runs, views, recipe, out, device=device),
        )

    def door(self, arm: Arm) -> Door | None:
        """What an arm's MLP sees, None for pixels."""
        if arm.sees == "pixels":
            return None
        if arm.sees == "MLP1":
            run = self.lora1() if arm.changes else self.makers.run("masked")
            return open_door(run, "mean", device=self.makers.device)
        run = self.lora3() if arm.changes else self.makers.pair()
        return open_door(run, "projected", device=self.makers.device)

    def base(self, sees: str) -> Base:
        """The MLP that learned [M/H] from the source, by vectors or pixels."""
        suite, out = self.suite, self.folder(f"mlp-{sees}")
        if not is_closed(out):
            self.makers.tell(f"{out.name}: {suite.n_source} labelled stars of {suite.survey}")
            door = self.door(Arm(sees, "zero_shot"))
            train, val = (training_split(s, "train") for s in self.makers.stars)
            view = training_view(seen_by(door, train), seen_by(door, val))
            recipe = NetworkRecipe(
                learning_rate=1e-3,
                batch_size=128,
                epochs=suite.mlp_epochs,
                warmup=0.05,
                noise="fixed",
                options={"widths": suite.widths, "dropout": 0.0},
            )
            fit("mlp", view, LABEL, recipe, out, device=self.makers.device)
        return open_base(out)

    def seen(self, arm: Arm) -> LabTarget:
        """The target's stars as an arm's MLP sees them."""
        door, found = self.door(arm), self.target
        train, val, test = (
            seen_by(door, s) for s in (found.view.train, found.view.val, found.test)
        )
        view = training_view(train, val, found.view.notice)
        return replace(found, view=view, test=training_split(test, "test"))


def seen_by(door: Door | None, split: TrainingSplit) -> Sample:
    """Vectors of a split's stars as pixels, or its spectra, under the noise of record."""
    if door is None:
        seen = split.observe()
        wave, flux, mask = split.wave, seen.flux, seen.mask
    else:
        flux = as_pixels(door.of_split(split))
        wave, mask = np.arange(1.0, flux.shape[1] + 1.0), None
    return Sample(
        wave=wave, flux=flux, mask=mask, label_names=split.label_names, labels=split.labels
    )


def run_lora(
    suite: LoraSuite,
    out: Path,
    world: TargetWorld,
    device: str | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> list[dict]:
    """Train every cell that is not done; return what every finished cell holds.

    Parameters
    ----------
    suite : LoraSuite
    out : Path
        Folder of networks and cells; one of another suite is refused.
    world : TargetWorld
    device : str, optional
    tell : callable
        Told what is done next.
    """
    waiting = waiting_cells(suite, out, cell_file, ("arms",))
    if waiting:
        tell(f"stars of {suite.target} at g = {suite.g:g} and their ceiling")
        bench = Bench.open(suite, Makers(suite, out, world, device, tell), world)
        seen = cache(bench.seen)
        for name, seed in waiting:
            arm = ARMS[name]
            base, target = bench.base(arm.sees), seen(arm)
            tell(f"{name}, seed {seed}")
            cell = (suite.g, 0 if arm.strategy == "zero_shot" else suite.n, name, seed)
            place = cell_file(out, (name, seed))
            run_cell(suite.plan(arm, seed), base, target, cell, place, device)
    return finished(suite, out)


def finished(suite: LoraSuite, out: Path) -> list[dict]:
    """What every finished cell of a folder holds."""
    return finished_cells(suite, out, cell_file)


def learned(out: Path) -> dict[str, int]:
    """Numbers that LoRA1 and LoRA3 of a folder learned, 0 where they were not asked for."""
    found = {"LoRA1": 0, "LoRA3": 0}
    for name, folder in (("LoRA1", "masked-lora1"), ("LoRA3", "aligned-lora13")):
        if is_closed(out / "networks" / folder):
            found[name] = read_checkpoint(out / "networks" / folder)[0]["n_parameters"]
    return found
