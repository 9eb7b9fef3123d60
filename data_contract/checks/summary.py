"""What a file is and holds, in a few numbers."""

from pathlib import Path

import numpy as np

from starsmith.data_contract.bank.bank_file import BANK_SCHEMA, BANK_VERSION, axis_sizes
from starsmith.data_contract.dataset.card import card_contents, card_text
from starsmith.data_contract.dataset.manifest import read_manifest
from starsmith.data_contract.dataset.schema import DATASET_SCHEMA
from starsmith.data_contract.dataset.shards import finished_shards, open_run, plan_shards
from starsmith.data_contract.errors import DataError
from starsmith.data_contract.exchange.published import describe_published
from starsmith.data_contract.files.zarr_groups import (
    StoredGroup,
    check_arrays,
    open_group,
    read_arrays,
    schema_of,
)
from starsmith.data_contract.grid.grid_file import GRID_SCHEMA, GRID_VERSION, axis_kinds
from starsmith.data_contract.quantities import LABELS
from starsmith.data_contract.snr_units import snr_factors

__all__ = ["describe", "identify"]

KINDS = {GRID_SCHEMA: "grid", BANK_SCHEMA: "bank", DATASET_SCHEMA: "dataset"}


def identify(path: Path | str) -> str:
    """Kind of a file: ``grid``, ``bank``, ``dataset``, ``published`` or ``spectra`` of a survey.

    Raises
    ------
    DataError
        If it is none of them.
    """
    from starsmith.data_contract.surveys.describe import is_spectra  # astropy.io.fits, 0.5 s
    from starsmith.data_contract.surveys.registry import list_surveys

    path = Path(path)
    if path.is_file() and (survey := is_spectra(path)):
        return "published" if survey == "published" else "spectra"
    if path.suffix in {".h5", ".hdf5"}:
        return "published"
    if not path.exists():
        raise DataError(f"{path}: nothing is there")
    try:
        return KINDS[schema_of(path)]
    except KeyError:
        raise DataError(
            f"{path}: not a starsmith grid, bank or dataset, nor spectra of a survey that is "
            f"read ({', '.join(list_surveys())})"
        ) from None


def describe(path: Path | str) -> dict:
    """Summarise a grid, bank, dataset or published file.

    Returns
    -------
    summary : dict
        JSON-able; ``kind`` says which of the five it is.

    Raises
    ------
    DataError
        If the file is none of them, or damaged.
    """
    from starsmith.data_contract.surveys.describe import describe_spectra

    path = Path(path)
    kind = identify(path)
    summary = {"kind": kind, "path": str(path), "bytes": _bytes(path)}
    return summary | {
        "grid": _grid,
        "bank": _bank,
        "dataset": _dataset,
        "published": describe_published,
        "spectra": describe_spectra,
    }[kind](path)


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _range(values: np.ndarray) -> list[float]:
    return [float(values.min()), float(values.max())]


def _axes(group: StoredGroup, names: tuple[str, ...]) -> dict:
    axes = read_arrays(group, {name: ("float64", (name,)) for name in names})
    return {name: {"n": nodes.size, "range": _range(nodes)} for name, nodes in axes.items()}


def _grid(path: Path) -> dict:
    group = open_group(path, GRID_SCHEMA, GRID_VERSION)
    names = group.names("label_names", LABELS)
    arrays = read_arrays(group, axis_kinds(names), needed=axis_kinds(names))
    return {
        "name": group.attribute("name", str),
        "axes": _axes(group, names),
        "wave": _wave(arrays["wave"]),
        "resolution": group.attribute("resolution", (int, float)),
        "nodes": int(arrays["valid"].size),
        "holes": int((~arrays["valid"]).sum()),
        "continuum": "continuum" in group,
        "provenance": group.attribute("provenance", dict),
        "notice": group.attribute("notice", str),
    }


def _bank(path: Path) -> dict:
    group = open_group(path, BANK_SCHEMA, BANK_VERSION)
    names = group.names("label_names", LABELS)
    kinds = {"wave": ("float64", ("wavelength",)), "filled": ("bool", ("node",))}
    arrays = read_arrays(group, kinds, axis_sizes(group, names), needed=kinds)
    basis = check_arrays(group, {"basis": ("float32", ("component", "wavelength"))})
    return {
        "grid": group.attribute("grid", dict),
        "instrument": group.attribute("instrument", dict),
        "axes": _axes(group, names),
        "wave": _wave(arrays["wave"]),
        "nodes": int(arrays["filled"].size),
        "filled": int(arrays["filled"].sum()),
        "info": group.attribute("info", dict, {}),
        "velocity": "velocity" in group,
        "interpolation": group.attribute("interpolation", str, "cubic"),
        "components": basis["basis"].shape[0] if basis else None,
        "mag_band": group.attribute("mag_band", str),
        "digest": group.attribute("digest", str),
        "notice": group.attribute("notice", str),
    }


def _dataset(path: Path) -> dict:
    header = open_run(path)
    plan = plan_shards(header.counts, header.shard_rows)
    done = finished_shards(path)
    n_written = sum(shard.stop - shard.start for shard in done)
    summary = {
        "store": header.store,
        "counts": header.counts,
        "shards": {"written": len(done), "planned": len(plan), "rows": header.shard_rows},
        "bytes_per_spectrum": _bytes(path) / n_written if n_written else None,
        "wave": _wave(header.wave),
        "seed": header.seed,
        "precision": header.precision,
        "kept_bits": {
            column.name: header.kept_bits(column.name)
            for column in header.columns.values()
            if len(column.dims) == 2
        },
        "mag_band": header.mag_band,
        "grid": header.grid,
        "instrument": header.instrument,
        "prior": header.prior,
        "noise_model": header.noise_model,
        "population": header.population,
        **({"observed": header.observed} if header.observed else {}),
        "bank_digest": header.bank_digest,
        "versions": header.versions,
        "notice": header.notice,
        "finished": False,
    }
    try:
        manifest = read_manifest(path)
    except FileNotFoundError:
        return summary
    contents = card_contents(path, header)
    return summary | {
        "finished": True,
        "digest": manifest.digest,
        "ranges": {name: entry["range"] for name, entry in contents["quantities"].items()},
        "snr": contents["snr"],
        "snr_factors": snr_factors(header.instrument, header.wave, header.arms),
        "card": contents | {"text": card_text(header, contents)},
    }


def _wave(wave: np.ndarray) -> dict:
    return {"n": wave.size, "range": _range(wave), "medium": "vacuum", "unit": "Angstrom"}
