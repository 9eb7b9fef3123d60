"""What a network looks at: attention, gradients of its input, and where the information is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.data_contract.dataset.split import SpectrumView
from starsmith.data_contract.draws import Draws
from starsmith.data_contract.errors import ConfigError
from starsmith.data_contract.figure_kit import (
    COLOURS,
    GUIDE,
    INK,
    PAGE,
    WAVE_AXIS,
    add_notice,
    new_figure,
    styled,
    symbol_of,
)
from starsmith.fisher.information.density import FEATURES, information_of_star
from starsmith.learners.estimators.registry import kind_of
from starsmith.learners.networks.blocks import Encoder, EncoderBlock
from starsmith.learners.prediction.predict import Predictor
from starsmith.learners.preprocess import median_normalise

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "Interpretation",
    "attention_to_pixels",
    "explain",
    "information_shares",
    "interpretation_figure",
    "saliency",
]

SMOOTH_PIXELS = 9
LINE_MARKS = {"Ca II": (8500.4, 8544.4, 8664.5), "Mg I": (8809.2,), "Na I": (8185.5, 8197.1)}
"""Vacuum Å: the calcium triplet, Mg I and the sodium doublet of gravity-sensitive red spectra."""


@dataclass(frozen=True, kw_only=True)
class Interpretation:
    """Where along the spectrum a network's answer comes from; every curve adds up to 1.

    Attributes
    ----------
    model, label : str
    wave : float64, shape (n_wave,)
        Vacuum [Å].
    spectrum : float64, shape (n_wave,)
        Mean of the spectra, each over its median.
    attention : float64, shape (n_wave,), or None
        Of the summary token, mean over heads, layers and spectra; of all tokens, where the
        head reads them all. None for networks without attention.
    saliency : float64, shape (n_wave,)
        Mean square of d label / d standardised flux.
    information : float64, shape (n_wave,), or None
        Mean share of the Fisher information on the label, all else unknown.
    """

    model: str
    label: str
    wave: np.ndarray
    spectrum: np.ndarray
    attention: np.ndarray | None
    saliency: np.ndarray
    information: np.ndarray | None

    def shares(self) -> list[dict]:
        """Part of each curve that lies in the index bands of known features."""
        curves = {
            "attention": self.attention,
            "saliency": self.saliency,
            "information": self.information,
        }
        rows, rest = [], np.ones(self.wave.size, dtype=bool)
        for name, bands in FEATURES.items():
            inside = np.zeros(self.wave.size, dtype=bool)
            for low, high in bands:
                inside |= (self.wave >= low) & (self.wave < high)
            rest &= ~inside
            rows.append((name, inside))
        rows.append(("elsewhere", rest))
        return [
            {"feature": name, "pixels": f"{inside.mean():.1%}"}
            | {
                key: "-" if curve is None else f"{curve[inside].sum():.1%}"
                for key, curve in curves.items()
            }
            for name, inside in rows
        ]


def network_of(predictor: Predictor) -> nn.Module:
    """Return the network of a predictor; ConfigError if it is none."""
    if not kind_of(predictor.card["model"]).is_network:
        raise ConfigError(
            f"model {predictor.card['model']!r} is not a network: it has neither attention nor "
            f"gradients; explain a network's checkpoint"
        )
    return predictor.estimator.model.eval()


def saliency(network: nn.Module, scaled: torch.Tensor, column: int) -> np.ndarray:
    """Mean square of d output / d input over some spectra, scaled to add up to 1.

    Parameters
    ----------
    network : nn.Module
    scaled : float32 tensor, shape (n_spec, n_wave)
        Standardised flux.
    column : int
        Which output.
    """
    inputs = scaled.clone().requires_grad_(True)
    # cuDNN differentiates recurrent layers in training mode only
    with torch.backends.cudnn.flags(enabled=False):
        (gradient,) = torch.autograd.grad(network(inputs)[:, column].sum(), inputs)
    squared = gradient.double().square().mean(dim=0).cpu().numpy()
    return squared / squared.sum()


def block_attention(block: EncoderBlock, tokens_BTD: torch.Tensor) -> torch.Tensor:
    """Attention weights of a block, mean over heads and spectra: (T, T), rows add up to 1."""
    batch, n_token, dim = tokens_BTD.shape
    heads = block.query_key_value(block.attention_norm(tokens_BTD))
    query, key, _ = heads.view(batch, n_token, 3, block.n_head, -1).permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-1, -2) / (dim // block.n_head) ** 0.5
    return scores.softmax(dim=-1).mean(dim=(0, 1))


@torch.no_grad()
def attention_to_pixels(network: nn.Module, scaled: torch.Tensor) -> np.ndarray | None:
    """Layer-averaged attention spread over the pixels of each token, adding up to 1.

    Returns
    -------
    attention : float64 array, shape (n_wave,), or None
        None if the network has no encoder.
    """
    encoders = [m for m in network.modules() if isinstance(m, Encoder)]
    if not encoders:
        return None
    encoder, found = encoders[0], []
    hooks = [
        block.register_forward_pre_hook(
            lambda module, inputs: found.append(block_attention(module, inputs[0]))
        )
        for block in encoder.blocks
    ]
    try:
        network(scaled)
    finally:
        for hook in hooks:
            hook.remove()
    weights = torch.stack(found).mean(dim=0).double().cpu().numpy()
    first = 0 if encoder.summary is None else 1  # token 0 is the summary, where there is one
    row = weights[0] if encoder.readout == "summary" else weights[first:].mean(axis=0)
    tokens = row[first:]
    n_wave = scaled.shape[1]
    owner = np.minimum(np.arange(n_wave) * tokens.size // n_wave, tokens.size - 1)
    spread = tokens[owner] / np.bincount(owner, minlength=tokens.size)[owner]
    return spread / spread.sum()


def information_shares(bank: Bank, draws: Draws, label: str) -> np.ndarray | None:
    """Mean over stars of each pixel's share of the information on a label, float64 (n_wave,).

    None where no star's spectrum tells anything, or nothing but the label varies.
    """
    names = tuple(n for n in draws.label_names if np.ptp(draws.label(n)) > 0.0)
    if label not in names:
        return None
    shares = []
    for k in range(len(draws)):
        try:
            star = information_of_star(bank, draws.take(slice(k, k + 1)), label, names)
        except ConfigError:
            continue  # a star whose label other labels imitate has no density
        shares.append(star.density / star.density.sum())
    return np.mean(shares, axis=0) if shares else None


def explain(
    predictor: Predictor,
    seen: SpectrumView,
    label: str | None = None,
    bank: Bank | None = None,
    draws: Draws | None = None,
) -> Interpretation:
    """Find out which pixels a network's answer rests on.

    Parameters
    ----------
    predictor : Predictor
        Of a network.
    seen : SpectrumView
        Some hundred observed spectra on its wavelengths.
    label : str, optional
        By default the first.
    bank : Bank, optional
    draws : Draws, optional
        Stars to average the Fisher information over; with ``bank``.

    Raises
    ------
    ConfigError
        If the model is no network.
    """
    network = network_of(predictor)
    label = label or predictor.labels[0]
    if label not in predictor.labels:
        raise ConfigError(f"--target {label}: the model predicts {', '.join(predictor.labels)}")
    device = next(network.parameters()).device
    scaled = torch.from_numpy(predictor.statistics.normaliser.apply(seen.flux, seen.mask))
    scaled = scaled.to(device)
    level, good = median_normalise(seen.flux, seen.mask)
    shown = good.all(axis=1)
    return Interpretation(
        model=predictor.card["model"],
        label=label,
        wave=predictor.wave,
        spectrum=level[shown].mean(axis=0, dtype=np.float64),
        attention=attention_to_pixels(network, scaled),
        saliency=saliency(network, scaled, predictor.labels.index(label)),
        information=information_shares(bank, draws, label) if bank and draws else None,
    )


def _smooth(values: np.ndarray) -> np.ndarray:
    return np.convolve(values, np.full(SMOOTH_PIXELS, 1.0 / SMOOTH_PIXELS), mode="same")


@styled
def interpretation_figure(found: Interpretation, notice: str = "") -> "Figure":
    """Draw the mean spectrum with line marks, attention, saliency and information.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    curves = [
        ("attention", found.attention, 1.0),
        ("saliency", found.saliency, -1.0),
        ("information", found.information, -1.0),
    ]
    curves = [curve for curve in curves if curve[1] is not None]
    figure = new_figure(PAGE, 1.2 * (len(curves) + 1) + 0.3)
    panels = figure.subplots(len(curves) + 1, 1, sharex=True)
    panels[0].plot(found.wave, found.spectrum, color=INK, lw=0.5)
    panels[0].set(ylabel="mean flux / median")
    panels[0].set_title(f"{found.model}: what tells {symbol_of(found.label)}", pad=12)
    for axes, (name, curve, smooth), colour in zip(panels[1:], curves, COLOURS, strict=False):
        shown = curve if smooth > 0 else _smooth(curve)
        axes.fill_between(found.wave, shown * found.wave.size, color=colour, lw=0, alpha=0.85)
        axes.set(ylabel=f"{name}\n/ uniform", ylim=(0.0, None))
    for axes in panels:
        for lines in LINE_MARKS.values():
            for line in lines:
                if found.wave[0] < line < found.wave[-1]:
                    axes.axvline(line, color=GUIDE, lw=0.6, ls=":", zorder=0)
    for name, lines in LINE_MARKS.items():
        inside = [line for line in lines if found.wave[0] < line < found.wave[-1]]
        if inside:
            left = inside[0] > found.wave[-1] - 0.1 * np.ptp(found.wave)
            panels[0].annotate(
                name, (inside[0], 1.0), xycoords=("data", "axes fraction"), fontsize="small",
                color="0.4", va="bottom", ha="right" if left else "left",
                xytext=(0, 2), textcoords="offset points",
            )  # fmt: skip
    panels[-1].set(xlabel=WAVE_AXIS, xlim=(found.wave[0], found.wave[-1]))
    add_notice(figure, notice)
    return figure
