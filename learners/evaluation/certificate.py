"""Certificates: a checkpoint beside the exact ceiling, so that anyone can make it again."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.split import Split
from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.files.atomic import write_json
from starsmith.data_contract.files.outside import read_json
from starsmith.fisher.ceilings.ceiling_table import StarCeiling
from starsmith.learners.evaluation.leak import hold_against
from starsmith.learners.prediction.predict import Predictor, predict
from starsmith.learners.run_folder import CERTIFICATE

__all__ = ["Certificate", "certify", "check_stars", "keep_certificate"]

SCHEMA = "starsmith.certificate"
TOLERANCE = 2e-3  # of an R²: what another machine's last bits may move


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What a checkpoint was found to do.

    Attributes
    ----------
    model, weights_sha256 : str
    dataset, bank : str
        Digests of the test stars and of the bank they were made with.
    split : str
    seed, n_spec, n_template : int
        Keys of the stars, their number, and the templates behind the ceiling.
    rows : tuple of dict
        Per label, pooled and per bin of S/N: ``label``, ``snr``, ``n``, ``r2``, ``r2_best``,
        ``efficiency`` and ``verdict``.
    """

    model: str
    weights_sha256: str
    dataset: str
    bank: str
    split: str
    seed: int
    n_spec: int
    n_template: int
    rows: tuple[dict, ...]

    def to_dict(self) -> dict:
        """Content of the file."""
        return {"schema": SCHEMA, **asdict(self), "rows": list(self.rows)}


def check_stars(predictor: Predictor, split: Split) -> None:
    """Refuse stars of another bank than the model's; DataError saying which."""
    card, header = predictor.card, split.header
    own = card.get("bank")
    if own is not None and own != header.bank_digest:
        raise DataError(
            f"the stars were made with bank {header.bank_digest[:12]}, model "
            f"{card['model']!r} with {own[:12]}; certify it on stars of its own bank"
        )
    if own is None and card["dataset"]["digest"] != split.digest:
        raise DataError(
            f"data set {split.digest[:12]} is not the one that model {card['model']!r} was "
            f"trained on, {card['dataset']['digest'][:12]}; certify it on that"
        )


def certify(
    predictor: Predictor,
    split: Split,
    ceiling: Callable[[str], StarCeiling],
    n_template: int,
) -> Certificate:
    """Score a model beside the exact posterior mean of the same stars.

    Parameters
    ----------
    predictor : Predictor
    split : Split
        Test stars.
    ceiling : callable
        ``ceiling(label)``: of all of them.
    n_template : int
        Behind it.

    Raises
    ------
    DataError
        If the stars are of another bank, or data set, than the model's.
    """
    check_stars(predictor, split)
    predictions = predict(predictor, split)
    rows = []
    for label in predictor.labels:
        verdict = hold_against(predictions, ceiling(label), label)
        rows += [
            {
                "label": label,
                "snr": row.name,
                "n": row.n,
                "r2": row.r2_model,
                "r2_best": row.r2_best,
                "efficiency": row.efficiency,
                "verdict": row.verdict,
            }
            for row in verdict.comparison.rows
            if not row.name.startswith("mag")
        ]
    return Certificate(
        model=predictor.card["model"],
        weights_sha256=predictor.card["weights_sha256"],
        dataset=split.digest,
        bank=split.header.bank_digest,
        split=split.name,
        seed=int(split.draws.seed),
        n_spec=len(split),
        n_template=n_template,
        rows=tuple(rows),
    )


def keep_certificate(folder: Path, certificate: Certificate, replace: bool = False) -> Path:
    """Write the certificate beside its checkpoint, or hold it against the one that is there.

    Raises
    ------
    ContractError
        If the one that is there says something else.
    """
    path, new = Path(folder) / CERTIFICATE, certificate.to_dict()
    if path.exists() and not replace:
        old = read_json(path)
        keys = [k for k in new if k != "rows"]
        differing = [k for k in keys if old.get(k) != new[k]] or _moved(old["rows"], new["rows"])
        if differing:
            raise ContractError(
                f"{path}: its {', '.join(differing)} could not be made again; --overwrite it if "
                "the model or the stars have changed"
            )
        return path
    write_json(path, new)
    return path


def _moved(old: list[dict], new: list[dict]) -> list[str]:
    """Bins whose scores differ."""
    if [(r["label"], r["snr"], r["n"]) for r in old] != [
        (r["label"], r["snr"], r["n"]) for r in new
    ]:
        return ["rows"]
    return [
        f"{before['label']} at S/N {before['snr']}"
        for before, after in zip(old, new, strict=True)
        if not np.allclose(
            [before["r2"], before["r2_best"]], [after["r2"], after["r2_best"]], atol=TOLERANCE
        )
    ]
