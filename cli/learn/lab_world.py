"""What the laboratory's suites are run on: simulated surveys with ceilings, or a user's data."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from starsmith.cli.shared.progress import progress_bar
from starsmith.data_contract.errors import ConfigError, DataError

if TYPE_CHECKING:
    from starsmith.data_contract.dataset.training import TrainingSplit
    from starsmith.learners.benchmark.flags import FlagSet
    from starsmith.learners.benchmark.lab import LabSuite
    from starsmith.learners.benchmark.lab_cells import LabTarget
    from starsmith.learners.transfer.base import Base
    from starsmith.learners.transfer.samples import Sample
    from starsmith.simulator.domains.domain import Domain, Stars

__all__ = ["DataWorld", "SimulatedWorld", "World"]

N_ALIKE, N_FLAG = 2000, 500  # spectra whose flags are counted: of the source's kind, of others
MOST_CEILINGS = 2**28  # bytes: a million stars of fifteen labels
FEWEST = 32  # stars of a target, whatever is learned from them: its statistics are told


class World(Protocol):
    """A network to begin with, and stars of a target."""

    def base(self, folder: Path) -> "Base":
        """The network to begin with."""
        ...

    def target(self, g: float) -> "LabTarget":
        """Stars of the target at some g."""
        ...


class SimulatedWorld:
    """Stars and ceilings of a suite's surveys; ceilings are kept in a folder.

    Parameters
    ----------
    suite : LabSuite
    folder : Path
    grid, grid_b : Path, optional
        Grids A and B of the user's own.
    device : str, optional
    """

    def __init__(
        self,
        suite: "LabSuite",
        folder: Path,
        grid: Path | None = None,
        grid_b: Path | None = None,
        device: str | None = None,
    ):
        self.suite, self.folder, self.device = suite, folder, device
        self.grid, self.grid_b = grid, grid_b

    def domain(self, survey: str, g: float, seed: int, of_target: bool) -> "Domain":
        """A survey at some g; of the target with the suite's knobs."""
        from starsmith.simulator.domains.domain import Knobs, build_domain
        from starsmith.simulator.domains.request import lab_grids

        suite = self.suite
        knobs = Knobs(g=g, seed=seed)
        if of_target:
            knobs = Knobs(
                g=g,
                seed=seed,
                flux_calibration=suite.flux_calibration,
                sky=suite.sky,
                lsf=suite.lsf,
                label_offset=suite.label_offset,
                label_scale=suite.label_scale,
                population=suite.population,
            )
        with progress_bar("grid", "models") as report:
            grids = lab_grids(g, suite.box, self.grid, self.grid_b, report)
        return build_domain(survey, knobs, grids[0], grids[1])

    def source(self, survey: str | None = None) -> "tuple[Sample, Sample]":
        """Stars of the source to learn from and to choose by; the same ones through any survey."""
        domain = self.domain(survey or self.suite.source, 0.0, 1, of_target=False)
        n_val = max(self.suite.n_source // 10, 100)
        return sample_of(domain, "source", self.suite.n_source), sample_of(
            domain, "source_val", n_val
        )

    def nameless(self, survey: str, g: float, n: int, n_val: int) -> "tuple[Sample, Sample]":
        """Stars like the target's, without labels to learn from; the same through any survey."""
        domain = self.domain(survey, g, 3, of_target=survey == self.suite.target)
        return sample_of(domain, "source", n), sample_of(domain, "source_val", n_val)

    def base(self, folder: Path) -> "Base":
        """The base, trained on the source or found trained."""
        from starsmith.learners.benchmark.lab import train_source

        stars, val = self.source()
        return train_source(self.suite, stars, val, folder, self.device)

    def flag_sets(self, tell: Callable[[str], None]) -> "Iterator[FlagSet]":
        """Stars of other seeds seen by the source at each g, then contaminants at g = 0."""
        from starsmith.learners.benchmark.flags import FlagSet
        from starsmith.simulator.domains.contaminants import CONTAMINANTS, contaminants

        suite = self.suite
        for g in suite.g:
            tell(f"g = {g:g}: flags of stars")
            domain = self.domain(suite.source, g, 2, of_target=False)
            yield FlagSet(f"stars, g = {g:g}", sample_of(domain, "test", N_FLAG if g else N_ALIKE))
        domain = self.domain(suite.source, 0.0, 2, of_target=False)
        for kind in CONTAMINANTS:
            yield FlagSet(kind, as_sample(domain, contaminants(domain, kind, N_FLAG)))

    def target(self, g: float) -> "LabTarget":
        """Stars of the target, and the exact posterior means of those it is judged on."""
        from starsmith.learners.benchmark.lab_cells import LabTarget

        suite = self.suite
        domain = self.domain(suite.target, g, 2, of_target=True)
        stars = domain.draw(suite.n_test, "test")
        known, free, n_few = self._ceilings(domain, stars, g)
        samples = (
            sample_of(domain, "train", max(*suite.n, FEWEST)),
            sample_of(domain, "val", suite.n_val),
            as_sample(domain, stars),
        )
        card = domain.card() | {"ceiling_few_draws": n_few}
        return LabTarget.of_samples(samples, stars.pipeline, (known, free), stars.snr, card)

    def _ceilings(
        self, domain: "Domain", stars: "Stars", g: float
    ) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """Both posterior means, and how many stars rest on few draws; computed once."""
        from starsmith.data_contract.files.atomic import staged_file
        from starsmith.data_contract.files.outside import read_npz
        from starsmith.fisher.domain_ceiling import domain_ceiling

        place = self.folder / "ceilings" / f"g{g:g}.npz"
        if not place.is_file():
            found = [domain_ceiling(domain, stars, continuum_free=free) for free in (False, True)]
            place.parent.mkdir(parents=True, exist_ok=True)
            arrays = {"known": found[0].mean, "free": found[1].mean}
            with staged_file(place) as partial, open(partial, "wb") as file:
                np.savez(file, **arrays, few=[each.n_few for each in found])
        kept = read_npz(place, ("known", "free", "few"), MOST_CEILINGS)
        return kept["known"], kept["free"], kept["few"].tolist()


class DataWorld:
    """A data set of the user's, and a trained network that is brought to it.

    Parameters
    ----------
    data : Path
        Data set with train, val and test stars.
    run : Path, optional
        Checkpoint.

    Raises
    ------
    DataError
        If the data set has no test stars.
    """

    def __init__(self, data: Path, run: Path | None = None):
        from starsmith.simulator.generation.recorded import open_recorded

        self.run, self.data = run, data
        self.dataset = open_recorded(data)
        if "test" not in self.dataset.splits:
            raise DataError(
                f"{data}: has no test stars, only {', '.join(self.dataset.splits)}; make the data "
                "set with a test split"
            )

    def base(self, folder: Path) -> "Base":
        """The user's checkpoint."""
        from starsmith.learners.transfer.base import open_base

        assert self.run is not None  # the command has refused the rest
        return open_base(self.run)

    def source(self, survey: str | None = None) -> "tuple[Sample, Sample]":
        """The user's stars to learn from without labels, under their noise of record.

        Raises
        ------
        ConfigError
            If another survey of the same stars is asked for.
        """
        if survey is not None:
            raise ConfigError(f"{self.data}: no second survey shows the same stars")
        view = self.dataset.training()
        return of_record(view.train), of_record(view.val)

    def target(self, g: float) -> "LabTarget":
        """The user's stars; what the best possible is, nobody knows."""
        from starsmith.learners.benchmark.lab_cells import LabTarget
        from starsmith.learners.transfer.groups import refuse_shared, view_of_test

        splits = self.dataset.splits
        learned = [(str(self.data), splits[name]) for name in ("train", "val")]
        refuse_shared(learned, splits["test"], str(self.data))
        view = self.dataset.training()
        test = view_of_test(view, splits["test"]).val
        wave = {"wave": view.train.wave[[0, -1]].tolist(), "n_wave": view.train.wave.size}
        return LabTarget(
            view=view,
            test=test,
            snr=test.snr,
            pipeline=test.labels,
            ceiling=None,
            free=None,
            card={"data": str(self.data), "survey": wave, "notice": view.notice},
        )


def of_record(split: "TrainingSplit") -> "Sample":
    """A split's spectra under their noise of record."""
    from starsmith.learners.transfer.samples import Sample

    seen = split.observe()
    return Sample(
        wave=split.wave,
        flux=seen.flux,
        error=seen.error,
        mask=seen.mask,
        label_names=split.label_names,
        labels=split.labels,
    )


def sample_of(domain: "Domain", split: str, n: int) -> "Sample":
    """Stars of a domain as training data, whose noise is another in every epoch."""
    return as_sample(domain, domain.draw(n, split))


def as_sample(domain: "Domain", stars: "Stars") -> "Sample":
    """Spectra of a domain with their noise; test stars have true labels, others the pipeline's."""
    from starsmith.learners.transfer.samples import Sample

    def noise(flux: np.ndarray, index: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Observed flux and its error."""
        return stars.observe(index, epoch), stars.sigma[index].astype(np.float32)

    return Sample(
        wave=domain.survey.wave,
        flux=stars.model.astype(np.float32),
        label_names=domain.label_names,
        labels=stars.pipeline if stars.split in ("train", "val") else stars.labels,
        noise=noise,
    )
