"""The page of a trained model: what it is, what it knows, and how it is used."""

from collections.abc import Mapping
from pathlib import Path

from starsmith.data_contract.text_tables import text_table

__all__ = ["model_page"]


def model_page(card: Mapping, digest: str, place: Path | str) -> str:
    """The card of a checkpoint as Markdown that also reads well in a terminal.

    Parameters
    ----------
    card : mapping
        From `read_checkpoint`.
    digest : str
        SHA-256 of the stored card, which lists those of all other files.
    place : path
        Folder of the checkpoint, as commands name it.
    """
    data = card["dataset"]
    gives = ", ".join(card["labels"]) or f"{card['dim']} numbers"
    parts = [
        f"# {card['model']}: {gives} from a spectrum",
        *([f"**{data['notice']}**"] if data.get("notice") else []),
        _what(card),
        "## Trained on",
        _trained(card),
        *(_predicts(card) if card["labels"] else _gives(card)),
        "## Knows",
        _knows(card),
        "## Origin",
        _origin(card, digest),
        "## Use",
        _use(card, place),
    ]
    return "\n\n".join(parts) + "\n"


def _predicts(card: Mapping) -> list[str]:
    return [
        "## Predicts",
        text_table(_label_rows(card)),
        "Scores are those of the validation spectra the model was chosen by; "
        "`speclearn evaluate` gives\nthose of spectra it has not seen.",
    ]


def _gives(card: Mapping) -> list[str]:
    loss = card["metrics"].get("val_loss", float("nan"))
    return [
        "## Gives",
        f"Vectors of {card['dim']} numbers; it was taught without labels. Its loss on validation "
        f"spectra is {loss:.4g}.",
    ]


def _what(card: Mapping) -> str:
    wave, n = card["wave"], card.get("n_parameters")
    size = f", {n:,} parameters" if n else ""
    return (
        f"Kind: {card['kind']}{size}. It takes {wave['n_wave']} pixels, {wave['min']:.1f}-"
        f"{wave['max']:.1f} Å in vacuum, as the data set has them.\nInput: {card['normalisation']}."
    )


def _trained(card: Mapping) -> str:
    data, finished = card["dataset"], card.get("finished") or {}
    lines = [
        f"{data['n_train']} spectra; {data['n_val']} to choose by",
        f"Data set {data['digest']}",
        f"Ended: {finished.get('reason', 'not yet')}",
    ]
    if "seconds" in finished:
        lines.append(f"Time: {finished['seconds']:.3g} s")
    if options := _options(card):
        lines.append(f"Recipe: {options}")
    return _list(lines)


def _options(card: Mapping) -> str:
    """Numbers and words of the recipe in its own order; options of the model as they are."""
    table = {k: v for k, v in card["recipe"].items() if k not in ("kind", "options")}
    table |= card.get("options") or {}
    return ", ".join(f"{name} = {value}" for name, value in table.items() if value != "")


def _label_rows(card: Mapping) -> list[dict]:
    scores, spans = card.get("metrics") or {}, card["limits"]["labels"]
    rows = []
    for name, unit in zip(card["labels"], card["units"], strict=True):
        row = {"label": name, "unit": unit, "trained range": _span(spans[name])}
        for key, title in (("val_r2", "R²"), ("val_rmse", "RMSE"), ("val_mae", "MAE")):
            if name in scores.get(key, {}):
                row[title] = f"{scores[key][name]:.4g}"
        rows.append(row)
    return rows


def _knows(card: Mapping) -> str:
    """Ranges outside which its predictions carry a quality bit, or stand for nothing."""
    limits = card["limits"]
    others = {k: v for k, v in limits["labels"].items() if k not in card["labels"]}
    lines = [f"{name} from {_span(bounds)}" for name, bounds in others.items()]
    lines.append(f"S/N per pixel from {_span(limits['snr'])}")
    if "velocity" in limits:
        low, high = limits["velocity"]
        lines.append(
            "Stars at rest: shift others with `speclearn predict --rv`"
            if low == high == 0.0
            else f"Radial velocities of {_span((low, high))} km/s"
        )
    return _list(lines)


def _origin(card: Mapping, digest: str) -> str:
    versions = ", ".join(f"{name} {v}" for name, v in card.get("versions", {}).items())
    return _list(
        [
            f"Card: SHA-256 {digest}",
            f"Weights: SHA-256 {card.get('weights_sha256', 'not recorded')}",
            f"Made with: {versions or 'not recorded'}",
        ]
    )


def _use(card: Mapping, place: Path | str) -> str:
    if not card["labels"]:
        return f"    starsmith.learners.open_encoder({str(place)!r}).encode(flux, error)"
    return (
        f"    speclearn predict {place} spectra.fits --out predictions.ecsv\n\n"
        "`quality` of a prediction names what the model does not know: labels outside or at the "
        "edge of\nthe trained range, too few good pixels, flux unlike the training set. "
        f"`specdata verify {place}`\nchecks every byte."
    )


def _span(bounds: list[float] | tuple[float, float]) -> str:
    return f"{bounds[0]:.4g} to {bounds[1]:.4g}"


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
