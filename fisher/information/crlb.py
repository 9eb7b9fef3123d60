"""Fisher information of one label beside nuisances, by projection: nothing is inverted.

Whiten the Jacobian, A = J / sqrt(v); split the target's column a into its projection on
the other columns and the remainder r. Then the Cramér-Rao bound is 1 / |r|², the bound with
all else known 1 / |a|², and rho = |r|² / |a|² is what the nuisances leave of the information.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from starsmith.fisher.kernels.schur import schur_last

__all__ = [
    "CrlbBatch",
    "CrlbResult",
    "crlb",
    "crlb_batch",
    "crlb_from_gram",
    "crlb_with_priors",
    "information_density",
    "optimal_filter",
    "whitened_gram",
]

RHO_RECHECK = 1e-6  # below this the Gram matrix has lost its digits: repeat by QR


@dataclass(frozen=True)
class CrlbResult:
    """Bound on one label of one star.

    Attributes
    ----------
    sigma2 : float
        Least variance of an unbiased estimator; inf if the label cannot be told [label²].
    fixed : float
        The same with every nuisance known [label²].
    rho : float
        fixed / sigma2, 0..1.
    cond : float
        Condition number of the unit-diagonal information matrix; free of units.
    remainder : float64, shape (n_row,)
        Whitened target column less its projection on the nuisances [1/label].
    """

    sigma2: float
    fixed: float
    rho: float
    cond: float
    remainder: np.ndarray

    @property
    def sigma(self) -> float:
        """Bound on the standard deviation [label]."""
        return float(np.sqrt(self.sigma2))


@dataclass(frozen=True)
class CrlbBatch:
    """Bounds on one label of many stars: ``sigma2``, ``fixed``, ``rho`` of shape (n_spec,)."""

    sigma2: np.ndarray
    fixed: np.ndarray
    rho: np.ndarray


def _prior_rows(priors: Mapping[int, float], n_column: int) -> np.ndarray:
    # a prior of width σ is one more measurement
    rows = [np.eye(n_column)[k] / sigma for k, sigma in priors.items() if np.isfinite(sigma)]
    return np.array(rows).reshape(-1, n_column)


def _inverse(information: float) -> float:
    return 1.0 / information if information > 0.0 else np.inf


def crlb(
    jacobian: np.ndarray,
    variance: np.ndarray,
    target: int,
    nuisances: Sequence[int] | None = None,
    priors: Mapping[int, float] | None = None,
    log_variance_jacobian: np.ndarray | None = None,
) -> CrlbResult:
    """Cramér-Rao bound on one column of a Jacobian, by QR with the target last.

    Parameters
    ----------
    jacobian : float64 array, shape (n_wave, n_column)
        Derivative of the mean flux [flux/label].
    variance : float64 array, shape (n_wave,)
        Noise variance [flux²].
    target : int
        Column the bound is for.
    nuisances : sequence of int, optional
        Columns that must be fitted too; by default all others. The rest are known.
    priors : mapping of int to float, optional
        Gaussian prior σ of a column; 0 means known, inf means none.
    log_variance_jacobian : float64 array, shape (n_wave, n_column), optional
        d ln(variance) / d column: counts what the noise itself tells (Slepian-Bangs term
        of Gaussian noise); left out by default.

    Returns
    -------
    result : CrlbResult
        ``sigma2`` is inf where the nuisances can imitate the target exactly.
    """
    whitened = np.asarray(jacobian, dtype=np.float64) / np.sqrt(variance)[:, None]
    n_column = whitened.shape[1]
    priors = dict(priors or {})
    if log_variance_jacobian is not None:
        # a variance that depends on labels: ½ (∂ ln v)²
        whitened = np.vstack([whitened, np.asarray(log_variance_jacobian) / np.sqrt(2.0)])
    known = {k for k, sigma in priors.items() if sigma == 0.0}  # σ = 0: no nuisance at all
    wanted = range(n_column) if nuisances is None else nuisances
    others = [k for k in wanted if k != target and k not in known]
    free = {k: sigma for k, sigma in priors.items() if k not in known}
    free = {k: sigma for k, sigma in free.items() if k in others or k == target}
    whitened = np.vstack([whitened, _prior_rows(free, n_column)])
    column, rest = whitened[:, target], whitened[:, others]
    if target in known:
        return CrlbResult(0.0, 0.0, 1.0, 1.0, column)
    return _project(column, rest)


def _project(column: np.ndarray, rest: np.ndarray) -> CrlbResult:
    """Bound on ``column`` (n_row,) beside the columns of ``rest`` (n_row, n_nuisance)."""
    total = float(np.linalg.norm(column))  # information if all else were known
    lengths = np.linalg.norm(rest, axis=0)
    # unit length: ranks do not depend on units
    unit = rest[:, lengths > 0.0] / lengths[lengths > 0.0]
    tiny = max(unit.shape) * np.finfo(np.float64).eps  # numerical rank, as in matrix_rank
    remainder = column.copy()
    if unit.shape[1]:
        basis, upper, _ = qr(unit, mode="economic", pivoting=True)  # pivoting reveals the rank
        basis = basis[:, : int(np.sum(np.abs(np.diag(upper)) > tiny))]
        for _ in range(2):  # the second pass restores orthogonality to rounding
            remainder -= basis @ (basis.T @ remainder)
    left = float(np.linalg.norm(remainder))  # what of the target no nuisance can imitate
    if left <= tiny * total:  # nothing but rounding
        remainder = np.zeros_like(remainder)
        left = 0.0
    cond = np.inf
    if left > 0.0:
        singular = np.linalg.svd(np.column_stack([unit, column / total]), compute_uv=False)
        # of the Gram matrix
        cond = (singular[0] / singular[-1]) ** 2 if singular[-1] > 0.0 else np.inf
    rho = (left / total) ** 2 if total > 0.0 else 0.0  # share of information that survives
    return CrlbResult(_inverse(left**2), _inverse(total**2), rho, float(cond), remainder)


def information_density(result: CrlbResult, n_wave: int) -> np.ndarray:
    """Information each pixel adds on the target, float64 (n_wave,) [1/label²].

    Sums to 1 / sigma2, less what priors add.
    """
    return result.remainder[:n_wave] ** 2  # rows beyond are priors


def optimal_filter(result: CrlbResult, variance: np.ndarray) -> np.ndarray:
    """Linear weights, unbiased and blind to the nuisances, that reach the bound.

    Returns
    -------
    weights : float64 array, shape (n_wave,) [label/flux]
        label - label_0 = weights · (flux - flux_0), to first order and without priors.
    """
    return result.remainder[: variance.size] * result.sigma2 / np.sqrt(variance)


def whitened_gram(jacobian: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Information matrices of many stars.

    Parameters
    ----------
    jacobian : float array, shape (n_spec, n_column, n_wave)
        [flux/label]; pixels run fastest.
    variance : float array, shape (n_spec, n_wave)
        [flux²].

    Returns
    -------
    gram : float64 array, shape (n_spec, n_column, n_column)
    """
    whitened = jacobian / np.sqrt(np.asarray(variance, dtype=np.float64))[:, None, :]
    return whitened @ whitened.transpose(0, 2, 1)


def _target_last(n_column: int, target: int) -> np.ndarray:
    target = target % n_column
    return np.array([*(k for k in range(n_column) if k != target), target])


def crlb_from_gram(gram: np.ndarray, target: int) -> CrlbBatch:
    """Cramér-Rao bounds from information matrices; NaN rho marks lost digits.

    Parameters
    ----------
    gram : float64 array, shape (n_spec, n_column, n_column)
        May include the precision of a prior.
    target : int

    Returns
    -------
    bounds : CrlbBatch
        ``sigma2`` is inf where the factorisation breaks down.
    """
    # the last Cholesky pivot is the target's Schur complement
    order = _target_last(gram.shape[1], target)
    arranged = np.ascontiguousarray(gram[:, order][:, :, order], dtype=np.float64)
    fixed, rho = np.empty(len(gram)), np.empty(len(gram))
    schur_last(arranged, fixed, rho)
    information = np.nan_to_num(fixed * rho)  # singular: no information
    with np.errstate(divide="ignore"):
        return CrlbBatch(1.0 / information, 1.0 / fixed, rho)


def crlb_with_priors(
    jacobian: np.ndarray, variance: np.ndarray, target: int, precision: np.ndarray
) -> CrlbBatch:
    """Cramér-Rao bounds of many stars: Cholesky in float64, doubtful stars again by QR.

    Parameters
    ----------
    jacobian : float array, shape (n_spec, n_column, n_wave)
        [flux/label].
    variance : float array, shape (n_spec, n_wave)
        [flux²].
    target : int
    precision : float64 array, shape (n_column,)
        Of independent Gaussian priors; 0 for none [1/label²].

    Returns
    -------
    bounds : CrlbBatch
        Agrees with `crlb` star by star; inf where a label cannot be told.
    """
    bounds = crlb_from_gram(whitened_gram(jacobian, variance) + np.diag(precision), target)
    priors = {int(k): precision[k] ** -0.5 for k in np.flatnonzero(precision)}
    # squaring lost the digits: project instead
    for i in np.flatnonzero(~(bounds.rho > RHO_RECHECK)):
        single = crlb(jacobian[i].T, variance[i], target % jacobian.shape[1], priors=priors)
        bounds.sigma2[i], bounds.fixed[i], bounds.rho[i] = single.sigma2, single.fixed, single.rho
    return bounds


def crlb_batch(jacobian: np.ndarray, variance: np.ndarray, target: int) -> CrlbBatch:
    """`crlb_with_priors` without any."""
    return crlb_with_priors(jacobian, variance, target, np.zeros(jacobian.shape[1]))
