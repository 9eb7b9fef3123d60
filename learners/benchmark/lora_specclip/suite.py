"""What the LoRA note on SpecCLIP compares, as a suite of the laboratory."""

import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from starsmith.data_contract.errors import ConfigError
from starsmith.learners.benchmark.embeddings.suite import NetworksSuite
from starsmith.learners.benchmark.lab import LabSuite
from starsmith.learners.benchmark.suite_tables import list_tables, load_table
from starsmith.learners.transfer.finetune import Plan
from starsmith.learners.transfer.strategies import Strategy

__all__ = ["ARMS", "Arm", "Cell", "LoraSuite", "cell_file", "list_loras", "load_lora"]

SUITES = "starsmith.learners.benchmark.lora_specclip.suites"
LABEL = "m_h"
RANK1, RANK2, RANK3 = 4, 8, 16  # of LoRA1, LoRA2 and LoRA4, LoRA3; alpha is twice the rank
Cell = tuple[str, int]
"""Arm and seed."""


@dataclass(frozen=True)
class Arm:
    """One way to bring the networks to the target.

    Attributes
    ----------
    sees : str
        ``MLP1``: mean over tokens of the masked network; ``MLP2``: what an aligned pair is
        compared by; ``pixels``: spectra.
    strategy : str
        Of the MLP behind it.
    changes : tuple of int
        1: the masked network has low-rank changes (LoRA1); 3: the pair's first head too (LoRA3).
        Both are learned from stars without labels.
    """

    sees: str
    strategy: str
    changes: tuple[int, ...] = ()


ARMS: dict[str, Arm] = {
    "MLP1, zero-shot": Arm("MLP1", "zero_shot"),
    "LoRA2": Arm("MLP1", "lora"),
    "LoRA1+2": Arm("MLP1", "lora", (1,)),
    "MLP1, full": Arm("MLP1", "full"),
    "MLP1, scratch": Arm("MLP1", "scratch"),
    "MLP2, zero-shot": Arm("MLP2", "zero_shot"),
    "LoRA4": Arm("MLP2", "lora"),
    "LoRA1+3+4": Arm("MLP2", "lora", (1, 3)),
    "MLP2, full": Arm("MLP2", "full"),
    "MLP2, scratch": Arm("MLP2", "scratch"),
    "pixels, zero-shot": Arm("pixels", "zero_shot"),
    "pixels, LoRA": Arm("pixels", "lora"),
    "pixels, scratch": Arm("pixels", "scratch"),
}
"""The note's six, and what they should be held against."""


@dataclass(frozen=True, kw_only=True)
class LoraSuite(NetworksSuite):
    """What is compared; further keys as of `NetworksSuite`.

    Attributes
    ----------
    target : str
        Survey that the networks are brought to.
    g : float
        Dial of the target's physics.
    arms : tuple of str
        Some of `ARMS`.
    n, n_val, n_unlabelled : int
        Stars of the target: with labels to learn from and to choose by, and without.
    seeds : int
    widths : tuple of int
        Of the MLPs.
    mlp_epochs : int
        Of the MLPs on the source.
    change_epochs : int
        Of LoRA1 and LoRA3.
    tune_epochs : int
        On the target's labelled stars.
    rates : tuple of float
        That each arm chooses from, on the val stars.
    """

    variant: str = "base"
    n_test: int = 396
    target: str = "desi"
    g: float = 0.5
    arms: tuple[str, ...] = tuple(ARMS)
    n: int = 89
    n_val: int = 9
    n_unlabelled: int = 164
    seeds: int = 3
    widths: tuple[int, ...] = (256, 64)
    mlp_epochs: int = 60
    change_epochs: int = 30
    tune_epochs: int = 100
    rates: tuple[float, ...] = (1e-2, 1e-3, 1e-4)

    def __post_init__(self):
        if unknown := [name for name in self.arms if name not in ARMS]:
            raise ConfigError(f"suite {self.name}: arms {unknown}; known are {', '.join(ARMS)}")
        if not (self.arms and self.seeds > 0 and min(self.n, self.n_val, self.n_unlabelled) > 0):
            raise ConfigError(
                f"suite {self.name}: arms, seeds, n, n_val and n_unlabelled must not be empty"
            )

    @property
    def cells(self) -> list[Cell]:
        """Every cell; what learns nothing has one seed."""
        every = product(self.arms, range(self.seeds))
        return [(a, seed) for a, seed in every if not seed or ARMS[a].strategy != "zero_shot"]

    @property
    def lab(self) -> LabSuite:
        """The stars, as the laboratory makes them."""
        return LabSuite(
            name=self.name,
            source=self.survey,
            target=self.target,
            n=(self.n,),
            g=(self.g,),
            n_source=self.n_source,
            n_val=self.n_val,
            n_test=self.n_test,
            box=self.box,
        )

    def plan(self, arm: Arm, seed: int) -> Plan:
        """How the MLP of an arm learns from labelled stars."""
        name = arm.strategy
        lora = {"rank": RANK2, "alpha": 2.0 * RANK2, "targets": "all"} if name == "lora" else {}
        return Plan(
            strategy=Strategy(name=name, **lora),
            labels=(LABEL,),
            n=self.n,
            seed=seed,
            rates=self.rates,
            epochs=self.tune_epochs,
            patience=0,
            noise="fixed",
        )


def list_loras() -> list[str]:
    """Names of the packaged suites."""
    return list_tables(SUITES)


def load_lora(name: str) -> LoraSuite:
    """Packaged suite of a name, or one of a TOML file; ConfigError for unknown keys or values."""
    return load_table(LoraSuite, SUITES, name)


def cell_file(out: Path, cell: Cell) -> Path:
    """Where a cell is kept."""
    plain = re.sub(r"[^\w+]+", "-", cell[0])
    return out / "cells" / f"{plain}-seed{cell[1]}.json"
