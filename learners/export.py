"""A trained model as an ONNX file: observed flux in, labels in their own units out."""

import json
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.errors import ContractError, DataError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.learners.estimators.registry import kind_of
from starsmith.learners.prediction.predict import LEAST_USABLE, Predictor
from starsmith.learners.training.optimise import split_uncertainty

__all__ = ["LabelModel", "export_onnx"]

OPSET = 18
PARITY = 1e-3
"""Largest difference between the file and the model, in spreads of the label."""


class LabelModel(nn.Module):
    """Normalisation, network and label scale in one: what `Predictor.predict` does.

    Parameters
    ----------
    predictor : Predictor
        Of a network or a ridge regression.

    Raises
    ------
    DataError
        For any other model.
    """

    def __init__(self, predictor: Predictor):
        super().__init__()
        estimator, statistics = predictor.estimator, predictor.statistics
        layer = kind_of(predictor.card["model"]).layer
        if layer is None:
            raise DataError(
                f"model {predictor.card['model']!r} cannot be written as ONNX; only networks and "
                "ridge can"
            )
        self.network, self.uncertain = layer(estimator)
        numbers = {
            "mean": statistics.normaliser.mean,
            "std": statistics.normaliser.std,
            "label_mean": statistics.scale.mean,
            "label_std": statistics.scale.std,
        }
        self.floor = statistics.normaliser.floor
        for name, values in numbers.items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)))

    def forward(self, flux: torch.Tensor, bad: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Predict labels, and their 1σ where the network knows it; NaN of too few pixels.

        Parameters
        ----------
        flux : float32 tensor, shape (n_spec, n_wave)
        bad : bool tensor, shape (n_spec, n_wave)
            True where masked.
        """
        good = ~bad
        ordered = torch.sort(torch.where(good, flux, torch.inf), dim=1).values
        count = good.sum(dim=1, keepdim=True)
        last = flux.shape[1] - 1
        lower = torch.gather(ordered, 1, ((count - 1) // 2).clamp(min=0))
        upper = torch.gather(ordered, 1, (count // 2).clamp(max=last))
        level = 0.5 * (lower + upper)
        usable = good & (level > 0) & (count > 0)
        flux = torch.where(usable, flux / level, 0.0)
        if self.floor > -math.inf:
            flux = flux.clamp(min=self.floor)
        scaled = (flux - self.mean) / self.std
        output = self.network(torch.where(usable, scaled, 0.0))
        few = count < LEAST_USABLE * flux.shape[1]
        if not self.uncertain:
            return (torch.where(few, torch.nan, output * self.label_std + self.label_mean),)
        mean, log_variance = split_uncertainty(output)
        value = mean * self.label_std + self.label_mean
        sigma = torch.exp(0.5 * log_variance) * self.label_std
        return torch.where(few, torch.nan, value), torch.where(few, torch.nan, sigma)


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Keep torch's exporter from telling of its own workings."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def export_onnx(predictor: Predictor, path: Path) -> float:
    """Write a model as ONNX and check the file against the model.

    Inputs ``flux`` float32 and ``bad`` bool, (n_spec, n_wave) on the model's own wavelengths;
    outputs ``value`` and, where the network knows it, ``uncertainty``, float32 (n_spec,
    n_label) in label units. Normalisation is inside. The file's metadata holds the card.

    Parameters
    ----------
    predictor : Predictor
        On the CPU.
    path : Path
        Replaced.

    Returns
    -------
    difference : float
        Largest between file and model on test spectra, in spreads of the label.

    Raises
    ------
    DataError
        If the model is no network or ridge.
    ContractError
        If the file does not answer as the model does; it is then removed.
    """
    import onnx

    model = LabelModel(predictor).eval()
    n_wave = predictor.wave.size
    example = torch.ones(2, n_wave), torch.zeros(2, n_wave, dtype=torch.bool)
    rows = torch.export.Dim("n_spec", min=1)
    outputs = ["value", "uncertainty"] if model.uncertain else ["value"]
    with quiet_exporter(), torch.no_grad():
        program = torch.onnx.export(
            model,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["flux", "bad"],
            output_names=outputs,
            dynamic_shapes=({0: rows}, {0: rows}),
            verbose=False,
        )
    proto = program.model_proto
    card = {name: value for name, value in predictor.card.items() if name != "recipe"}
    for key, value in (("card", json.dumps(card)), ("wave", json.dumps(predictor.wave.tolist()))):
        proto.metadata_props.add(key=f"starsmith.{key}", value=value)
    with staged_file(path) as partial:
        onnx.save(proto, partial)
        difference = parity(predictor, partial)
        if not difference < PARITY:
            raise ContractError(
                f"{path}: the ONNX file differs from the model by {difference:.2g} spreads of the "
                f"label (at most {PARITY:g}); nothing was written"
            )
    return difference


def parity(predictor: Predictor, path: Path) -> float:
    """Largest difference of a file's answers from the model's, in spreads of the label."""
    import onnxruntime

    random = np.random.default_rng(0)
    statistics = predictor.statistics
    shape = (5, predictor.wave.size)
    flux = statistics.normaliser.mean + statistics.normaliser.std * random.standard_normal(shape)
    flux = (flux * random.uniform(0.5, 20.0, (5, 1))).astype(np.float32)
    bad = random.uniform(size=shape) < 0.05
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = session.run(None, {"flux": flux, "bad": bad})
    expected = [x for x in predictor.predict(flux, mask=bad.astype(np.uint32)) if x is not None]
    return max(
        float(np.max(np.abs(a - b) / statistics.scale.std))
        for a, b in zip(found, expected, strict=True)
    )
