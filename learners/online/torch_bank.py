"""A bank inside the training loop: stars drawn by key, interpolated and observed on a device.

The one second implementation of the bank's arithmetic; ``simulator.observe`` is its twin (1e-5).
A batch holds observed flux: a feed writes it over the noiseless one before any is handed out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from starsmith.data_contract.bank.splines import spline_degree, spline_knots
from starsmith.data_contract.errors import ConfigError, GridError
from starsmith.data_contract.quantities import CONDITIONS, LABELS, SOMETIMES, STAR, named
from starsmith.learners.online.keyed import keyed_attempts, keyed_normals, keyed_uniforms
from starsmith.learners.online.torch_holes import Holes, attempts_for
from starsmith.learners.online.torch_noise import DeviceNoise

if TYPE_CHECKING:
    from starsmith.data_contract.bank.bank_file import Bank

__all__ = ["OF_RECORD", "TRAINING", "BankOnDevice", "Stars", "Streams"]

N_TRIED = 4096  # draws that the share of holes is estimated from
TABULATED = {"seeing": "seeing", "zenith_angle": "zenith_angle", "field_angle": "field_angle"}


@dataclass(frozen=True)
class Streams:
    """Names of the random streams that labels, conditions and noise are drawn from."""

    labels: str
    conditions: str
    noise: str


OF_RECORD = Streams("labels", "conditions", "noise")
"""What a data set of the same seed holds."""

TRAINING = Streams("training_labels", "training_conditions", "training_noise")
"""Shared with no data set, so that no spectrum of one is ever trained on."""


@dataclass(frozen=True, eq=False)
class Stars:
    """Keyed draws, and the bank rows they lean on.

    Attributes
    ----------
    index : int64 tensor, shape (n_spec,)
    labels : float64 tensor, shape (n_spec, n_label)
        In the bank's order.
    mag : float64 tensor, shape (n_spec,)
    conditions : float64 tensor, shape (n_spec, 8)
    rows : int64 tensor, shape (n_spec, n_support)
    weights : float64 tensor, shape (n_spec, n_support)
    """

    index: torch.Tensor
    labels: torch.Tensor
    mag: torch.Tensor
    conditions: torch.Tensor
    rows: torch.Tensor
    weights: torch.Tensor

    def take(self, some: torch.Tensor | slice) -> "Stars":
        """Return some of the stars, by number."""
        return Stars(*(getattr(self, field.name)[some] for field in fields(self)))


class Axis:
    """Not-a-knot B-splines along one label of a bank."""

    def __init__(self, nodes: np.ndarray, most: int, device: torch.device):
        self.n_node = nodes.size
        self.degree = spline_degree(nodes.size, most)
        self.knots = torch.from_numpy(spline_knots(nodes, most)).to(device)

    def weights(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Non-zero basis functions at float64 (n_spec,), by the Cox-de Boor recursion.

        Returns
        -------
        first : int64 tensor, shape (n_spec,)
        weights : float64 tensor, shape (n_spec, degree + 1)
        """
        first = self.first(values)
        span = first + self.degree
        basis = [torch.ones_like(values)]  # de Boor's triangle, as in the kernel of the simulator
        for p in range(1, self.degree + 1):
            raised = [torch.zeros_like(values) for _ in range(p + 1)]
            for r, lower in enumerate(basis):
                left, right = self.knots[span + 1 + r - p], self.knots[span + 1 + r]
                share = lower / (right - left)  # (n_spec,)
                raised[r] += (right - values) * share
                raised[r + 1] += (values - left) * share
            basis = raised
        return first, torch.stack(basis, dim=1)

    def first(self, values: torch.Tensor) -> torch.Tensor:
        """First node that each value leans on, int64 of its shape."""
        last = len(self.knots) - self.degree - 2  # last knot interval that is inside
        span = torch.searchsorted(self.knots, values.contiguous(), right=True) - 1
        return span.clamp(self.degree, max(last, self.degree)) - self.degree


class BankOnDevice:
    """A bank, its noise and a uniform prior on a torch device.

    Parameters
    ----------
    bank : Bank
    ranges : mapping of str to (min, max)
        Uniform prior of labels, ``mag`` and conditions, in glossary units.
    seed : int
    device : torch.device

    Raises
    ------
    ConfigError
        If a range asks for what cannot be drawn on a device, or for a label the bank lacks.
    GridError
        If a range leaves the bank or its noise tables.
    """

    def __init__(
        self,
        bank: "Bank",
        ranges: Mapping[str, tuple[float, float]],
        seed: int,
        device: torch.device,
    ):
        check_ranges(bank, ranges)
        self.seed, self.device, self.wave = seed, device, bank.wave
        self.label_names = bank.label_names
        self.axes = [Axis(nodes, bank.degree, device) for nodes in bank.axes]
        self.coef = torch.from_numpy(bank.coef).to(device)
        self.basis = None if bank.basis is None else torch.from_numpy(bank.basis).to(device)
        self.band_coef = torch.from_numpy(bank.band_coef).to(device)
        self.holes = self._holes(bank.filled, device)
        self.lost = torch.zeros((), dtype=torch.int64, device=device)  # draws that met holes only
        self.noise = DeviceNoise(bank.noise, device, moonlit=any(ranges["moon_phase"]))
        words = [STAR.index(name) for name in (*bank.label_names, "mag")]
        self.words = torch.tensor(words, device=device)
        self.star_span = self._span(ranges, (*bank.label_names, "mag"))
        self.condition_span = self._span(ranges, CONDITIONS)
        self.n_attempt = self._count_attempts(bank, ranges)

    def _span(self, ranges: Mapping, names: tuple[str, ...]) -> torch.Tensor:
        """Low end and width of ranges, float64 (2, n); a count's width is one more."""
        pairs = torch.tensor([ranges[name] for name in names], dtype=torch.float64)
        width = pairs[:, 1] - pairs[:, 0]
        # whole numbers: both ends of the range count
        width += torch.tensor([float(name == "exp_count") for name in names])
        return torch.stack([pairs[:, 0], width]).to(self.device)

    def draw(self, index: torch.Tensor, split: str, streams: Streams) -> Stars:
        """Draw the stars of some keys.

        A draw that leans on a hole of the grid takes its key's next attempt.

        Parameters
        ----------
        index : int64 tensor, shape (n_spec,), on the device
        split : str
            train, val or test.
        streams : Streams

        Raises
        ------
        GridError
            If some keys find no star in 64 attempts; of a GPU where `check` asks.
        """
        labels = self._draw_labels(index, split, streams)
        rows, weights = self.support(labels[:, :-1])  # (n_spec, n_support) each
        words = keyed_uniforms(self.seed, streams.conditions, split, index, len(CONDITIONS))
        conditions = self.condition_span[0] + words * self.condition_span[1]  # (n_spec, 8)
        count = CONDITIONS.index("exp_count")
        conditions[:, count] = conditions[:, count].floor()
        return Stars(index, labels[:, :-1], labels[:, -1], conditions, rows, weights)

    def _draw_labels(self, index: torch.Tensor, split: str, streams: Streams) -> torch.Tensor:
        """Labels and magnitude of the first attempt that meets no hole, (n_spec, n_label + 1)."""
        if self.holes is None:
            words = keyed_uniforms(self.seed, streams.labels, split, index, len(STAR))
            return self.star_span[0] + words.index_select(1, self.words) * self.star_span[1]
        words = keyed_attempts(
            self.seed, streams.labels, split, index, len(STAR), self.n_attempt
        ).index_select(2, self.words)
        tried = self.star_span[0] + words * self.star_span[1]  # (n_attempt, n_spec, n_label + 1)
        first = [axis.first(tried[..., k]) for k, axis in enumerate(self.axes)]
        bad = self.holes.met(first)
        self.lost += bad.all(0).sum()
        if self.device.type == "cpu":
            self.check()
        chosen = bad.to(torch.uint8).argmin(0)  # the first of them
        return tried.gather(0, chosen[None, :, None].expand(1, -1, tried.shape[2]))[0]

    def check(self) -> None:
        """Raise GridError if draws so far met nothing but holes; a GPU is waited for."""
        if self.holes is None:
            return
        if self.device.type == "meta" or not (lost := int(self.lost)):
            return
        self.lost.zero_()
        raise GridError(
            f"{lost} draws met only holes of the grid in {self.n_attempt} attempts; "
            "narrow the label ranges"
        )

    def _holes(self, filled: np.ndarray, device: torch.device) -> Holes | None:
        """Cells that draws must step over, None where there are none."""
        if not filled.any():
            return None
        n_nodes = tuple(axis.n_node for axis in self.axes)
        return Holes(filled, n_nodes, tuple(axis.degree for axis in self.axes), device)

    def _count_attempts(self, bank: "Bank", ranges: Mapping) -> int:
        """Attempts that leave no draw of a run in a hole, from the share of some draws."""
        if self.holes is None:
            return 1
        some = np.random.default_rng(0).random((N_TRIED, len(bank.axes)))
        cell, spans = [], [ranges[name] for name in bank.label_names]
        for k, (low, high) in enumerate(spans):
            axis = Axis(bank.axes[k], bank.degree, torch.device("cpu"))
            cell.append(axis.first(torch.from_numpy(low + some[:, k] * (high - low))))
        degrees = tuple(axis.degree for axis in self.axes)
        n_nodes = tuple(axis.n_node for axis in self.axes)
        holes = Holes(bank.filled, n_nodes, degrees, torch.device("cpu"))
        return attempts_for(holes.met(cell).double().mean().item())

    def support(self, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Bank rows a draw touches and their weights, (n_spec, n_support) each."""
        rows = torch.zeros(len(labels), 1, dtype=torch.int64, device=self.device)
        weights = torch.ones(len(labels), 1, dtype=torch.float64, device=self.device)
        for k, axis in enumerate(self.axes):
            first, along = axis.weights(labels[:, k].contiguous())
            step = first[:, None] + torch.arange(axis.degree + 1, device=self.device)
            # flat index of nodes, last label fastest
            rows = (rows[:, :, None] * axis.n_node + step[:, None, :]).flatten(1)
            weights = (weights[:, :, None] * along[:, None, :]).flatten(1)
        return rows, weights

    def weights(self, stars: Stars) -> torch.Tensor:
        """Weights of the rows of each star, its magnitude in them: float32 (n_spec, n_support)."""
        # of the star as the bank holds it
        maggies = (stars.weights * self.band_coef[stars.rows]).sum(1)
        scale = 10.0 ** (-0.4 * stars.mag) / maggies
        return (stars.weights * scale[:, None]).float()  # magnitude and spline in one weight

    def noiseless(self, stars: Stars) -> torch.Tensor:
        """Noiseless flux, float32 (n_spec, n_wave); no batch holds it."""
        order = torch.argsort(stars.rows[:, 0])  # neighbours in the grid share rows in the cache
        sums = functional.embedding_bag(  # weighted sum of rows, none of them copied
            stars.rows[order],
            self.coef,
            per_sample_weights=self.weights(stars)[order],
            mode="sum",
        )
        sums = sums[torch.argsort(order)]
        return sums if self.basis is None else sums @ self.basis

    def observe(
        self,
        stars: Stars,
        split: str,
        streams: Streams,
        sub: int = 0,
        error: str | None = None,
        noiseless: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Observed flux and, where a kind is named, its honest error.

        Parameters
        ----------
        stars : Stars
        split : str
        streams : Streams
        sub : int
            Realisation of the noise.
        error : str, optional
            ``observed`` or ``smooth``.
        noiseless : float32 tensor, shape (n_spec, n_wave), optional
            Of these stars, where it is at hand.

        Returns
        -------
        flux : float32 tensor, shape (n_spec, n_wave) [1e-17 erg/s/cm²/Å]
        error : float32 tensor of that shape, or None
        """
        noiseless = self.noiseless(stars) if noiseless is None else noiseless
        response = self.noise.response(stars.conditions)
        n_wave = self.wave.size
        normals = keyed_normals(self.seed, streams.noise, split, stars.index, n_wave, sub)
        # in place: (n_spec, n_wave) twice is half the memory
        flux = normals.mul_(response.error(noiseless)).add_(noiseless)
        return flux, None if error is None else response.honest_error(flux, error)

    def signal_to_noise(self, stars: Stars) -> torch.Tensor:
        """Median over pixels of noiseless flux over its σ, float64 (n_spec,)."""
        noiseless = self.noiseless(stars)
        sigma = self.noise.response(stars.conditions).error(noiseless)
        return (noiseless / sigma).double().quantile(0.5, dim=1)


def check_ranges(bank: "Bank", ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse a prior that a bank on a device cannot draw; see `BankOnDevice`."""
    if moving := [name for name in SOMETIMES if any(ranges.get(name, (0.0, 0.0)))]:
        raise ConfigError(
            f"{', '.join(f'--{name}' for name in moving)}: --online and --device draw stars at "
            "rest and without dust; drop it, or make a data set with it, without --device"
        )
    labels = zip(bank.label_names, bank.axes, strict=True)
    spans = {name: (nodes[0], nodes[-1]) for name, nodes in labels}
    for name in LABELS:
        low, high = asked = tuple(ranges.get(name, (0.0, 0.0)))
        if name not in spans and any(asked) and asked != named(name).default:
            raise ConfigError(
                f"--{name.replace('_', '-')} {low:g}..{high:g} asked for, "
                f"but the bank has only {', '.join(bank.label_names)}; drop it, or render a bank "
                "from a grid with that axis"
            )
    for name, table in TABULATED.items():
        nodes = getattr(bank.noise, table)
        spans[name] = (nodes[0], nodes[-1])
    for name, (low, high) in spans.items():
        if not low <= ranges[name][0] <= ranges[name][1] <= high:
            raise GridError(
                f"--{name.replace('_', '-')} {ranges[name][0]:g}..{ranges[name][1]:g} leaves the "
                f"bank, which spans {low:g}..{high:g}; narrow it or render another bank"
            )
    if any(ranges["moon_phase"]) and bank.noise.moon_rate is None:
        raise ConfigError(
            "--moon-phase: this bank's noise tables hold a dark sky only; set it to 0, or render "
            "the bank again"
        )
