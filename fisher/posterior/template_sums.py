"""Weighing: running sums of templates by how well each of them fits every star."""

from dataclasses import dataclass, field, replace

import numba
import numpy as np

from starsmith.data_contract.in_threads import in_threads
from starsmith.fisher.kernels.posterior import accumulate
from starsmith.fisher.posterior.basis import Basis, Stars
from starsmith.fisher.posterior.templates import Templates

__all__ = ["Moments", "StarSums", "Weighing", "add_to", "shortened", "weigh"]

STAR_BLOCK = 512
TEMPLATE_BLOCK = 1024  # of which one star's sums stay in the first-level cache
N_SAMPLE = 1024  # of stars and of templates, that coordinates are shortened by
SHORT_LOSS = 1e-6  # of ln L, root mean square over stars and templates: no printed digit moves
WORST_LOSS = 1e-4  # of one star's, over templates
NOBODY = -1


@dataclass(frozen=True)
class Moments:
    """``mean``, ``var`` (n_spec, n_label); ``amplitude``, ``ess`` (n_spec,)."""

    mean: np.ndarray
    var: np.ndarray
    amplitude: np.ndarray
    ess: np.ndarray


@dataclass(frozen=True)
class StarSums:
    """Star halves of S1 and S2, computed once for any number of templates.

    Attributes
    ----------
    cross : float64, shape (n_spec, n_mode)
    square : float64, shape (n_spec, n_square)
    shared : float64, shape (n_spec, n_shared, n_mode)
    limits : float64, shape (n_spec, 3)
        As in `starsmith.fisher.posterior.basis.Stars`.
    """

    cross: np.ndarray
    square: np.ndarray
    shared: np.ndarray
    limits: np.ndarray

    @classmethod
    def of(cls, basis: Basis, stars: Stars) -> "StarSums":
        """Sum observed stars over the modes of a basis, a block at a time."""
        starts = range(0, len(stars), STAR_BLOCK)
        blocks = in_threads(
            lambda start: basis.star_sums(stars.take(slice(start, start + STAR_BLOCK))),
            starts,
            numba.get_num_threads(),
        )
        return cls(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)), stars.limits)

    def __len__(self) -> int:
        return len(self.cross)

    def products(
        self, rows: slice | np.ndarray, templates: Templates
    ) -> tuple[np.ndarray, np.ndarray]:
        """S1 and S2 of some stars with templates, float64 (n_rows, n_template) each."""
        cross = self.cross[rows] @ templates.short.T
        square = self.square[rows] @ templates.square.T
        shared = self.shared[rows]
        for k in range(shared.shape[1]):
            square -= (shared[:, k] @ templates.short.T) ** 2
        return cross, square


def shortened(stars: StarSums, templates: Templates) -> tuple[StarSums, Templates]:
    """The same halves of S2 in fewer coordinates: those that some star and some template share.

    Balanced truncation (Moore 1981) of p · q, p of stars and q of templates: with factors
    L L' of the sums of p p' and of q q', and the singular values L_p' L_q = U s V', coordinates
    U' L_p' q / √s and V' L_q' p / √s beyond the first few carry next to nothing. Where a star is
    so unlike the others that its sums would err, as of other pixels masked, all are kept.
    """
    few = templates.take(slice(0, N_SAMPLE))
    halves = 0.5 * _likeliest_amplitude(stars, few)[:, None] ** 2 * stars.square  # as ln L has S2
    if not halves.any():
        return stars, templates
    some = np.unique(np.linspace(0, len(stars) - 1, N_SAMPLE).astype(int))
    of_stars, of_templates = _factor(halves[some]), _factor(few.square)
    left, values, right = np.linalg.svd(of_stars.T @ of_templates)
    beyond = np.sqrt(np.cumsum(values[::-1] ** 2)[::-1] / (len(some) * len(few)))
    n_kept = max(int(np.searchsorted(-beyond, -SHORT_LOSS)), 1)
    n_kept = min(n_kept, np.count_nonzero(values))
    root = np.sqrt(values[:n_kept])
    own = of_templates @ right[:n_kept].T / root
    theirs = of_stars @ left[:, :n_kept] / root
    lost = (halves - halves @ own @ theirs.T) @ of_templates  # each star's errors, rotated
    if np.max(np.sum(lost**2, axis=1)) > WORST_LOSS**2 * len(few):
        return stars, templates
    shorter = replace(templates, square=templates.square @ theirs)
    return replace(stars, square=stars.square @ own), shorter


def _likeliest_amplitude(stars: StarSums, templates: Templates) -> np.ndarray:
    """Amplitude of the template that fits each star best, (n_spec,); 0 where no pixel tells."""
    found = np.zeros(len(stars))
    for start in range(0, len(stars), STAR_BLOCK):
        rows = slice(start, start + STAR_BLOCK)
        cross, square = stars.products(rows, templates)
        amplitude = np.divide(cross, square, out=np.zeros_like(cross), where=square > 0.0)
        best = np.argmax(cross * amplitude, axis=1)
        found[rows] = np.take_along_axis(amplitude, best[:, None], axis=1)[:, 0]
    return found


def _factor(rows: np.ndarray) -> np.ndarray:
    """L of rows' summed outer products L L', float64 (n_column, n_column)."""
    values, vectors = np.linalg.eigh(rows.T @ rows)
    return vectors * np.sqrt(np.maximum(values, 0.0))


@dataclass
class Weighing:
    """Sums over templates that come a batch at a time.

    Attributes
    ----------
    stars : StarSums
    centre, spread : float64, shape (n_label,)
        Labels are centred and scaled by these, so that squares lose no digits.
    own : int64, shape (n_spec,), optional
        Group that does not count for a star; see `starsmith.fisher.posterior.templates.Templates`.
    temper : float
        Power that likelihoods are raised to.
    """

    stars: StarSums
    centre: np.ndarray
    spread: np.ndarray
    own: np.ndarray | None = None
    temper: float = 1.0
    best_labels: np.ndarray = field(init=False)
    _sums: np.ndarray = field(init=False)
    _peak: np.ndarray = field(init=False)
    _count: int = field(default=0, init=False)

    def __post_init__(self):
        n_spec, n_label = len(self.stars), self.centre.size
        self.spread = np.where(self.spread > 0.0, self.spread, 1.0)
        self._sums = np.zeros((n_spec, 3 + 2 * n_label, 2))
        self._peak = np.full(n_spec, -np.inf)
        self.best_labels = np.tile(self.centre, (n_spec, 1))

    def add(self, templates: Templates) -> "Weighing":
        """Weigh more templates against every star, in blocks of both."""
        return add_to((self,), templates)[0]

    def _take(
        self, rows: slice, templates: Templates, products: tuple[np.ndarray, np.ndarray]
    ) -> None:
        """Add one block, from its ``products`` S1 and S2."""
        cross, square = products
        if self.temper != 1.0:
            cross, square = self.temper * cross, self.temper * square
        if self.own is not None:
            same = self.own[rows, None] == templates.group[None, :]
            cross = np.where(same, -np.inf, cross)
        centred = (templates.labels - self.centre) / self.spread
        standard = np.ascontiguousarray(np.column_stack([templates.log_weight, centred]).T)
        best = np.full(len(cross), NOBODY, dtype=np.int64)
        first = self._count % 2
        sums, peak, limits = self._sums[rows], self._peak[rows], self.stars.limits[rows]
        accumulate(sums, peak, best, cross, square, standard, limits, first)
        better = best != NOBODY
        self.best_labels[rows][better] = templates.labels[best[better] - first]

    def moments(self, half: int | None = None) -> Moments:
        """Moments from all templates, or from every other one; NaN where none fits."""
        total = self._sums.sum(axis=2) if half is None else self._sums[:, :, half]
        n_label = self.centre.size
        weight = np.where(total[:, 0] > 0.0, total[:, 0], np.nan)
        mean = total[:, 3 : 3 + n_label] / weight[:, None]
        var = total[:, 3 + n_label :] / weight[:, None] - mean**2
        return Moments(
            mean=self.centre + self.spread * mean,
            var=self.spread**2 * np.maximum(var, 0.0),
            amplitude=total[:, 2] / weight,
            ess=np.nan_to_num(weight**2 / np.maximum(total[:, 1], 1e-300)),
        )


def add_to(weighings: tuple[Weighing, ...], templates: Templates) -> tuple[Weighing, ...]:
    """Add templates to several weighings of the same stars, whose products are formed once."""
    stars = weighings[0].stars
    blocks = [
        templates.take(slice(first, first + TEMPLATE_BLOCK))
        for first in range(0, len(templates), TEMPLATE_BLOCK)
    ]

    def weigh_all(start: int) -> None:
        rows = slice(start, start + STAR_BLOCK)
        for some in blocks:
            products = stars.products(rows, some)
            for weighing in weighings:
                weighing._take(rows, some, products)

    for _ in in_threads(weigh_all, range(0, len(stars), STAR_BLOCK), numba.get_num_threads()):
        pass
    for weighing in weighings:
        weighing._count += len(templates)
    return weighings


def weigh(stars: StarSums, templates: Templates) -> Weighing:
    """Weigh a sample of templates, all at once."""
    stars, templates = shortened(stars, templates)
    labels = templates.labels
    return Weighing(stars, labels.mean(axis=0), labels.std(axis=0)).add(templates)
