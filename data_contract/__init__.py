"""What a dataset is: schema, shards, banks, splits, keyed random numbers and the noise view.

Names are imported on first use, so that a module that needs only the errors or the glossary
does not wait for zarr and numba.
"""

from importlib import import_module

_HOME = {
    "bank.bank_file": ("Bank", "load_bank"),
    "exchange.conversion": ("convert_store", "restore_dataset"),
    "dataset.reader": ("Dataset", "Split", "open_dataset"),
    "draws": ("Draws", "SpectrumBatch"),
    "grid.error_map": ("GridErrorMap", "read_error_map", "write_error_map"),
    "errors": (
        "ConfigError",
        "ContractError",
        "DataError",
        "DivergedError",
        "GridError",
        "InputError",
        "LeakError",
        "StarsmithError",
    ),
    "exchange.export_pfs": ("export_pfs",),
    "grid.grid_file": ("GridData", "read_grid", "write_grid"),
    "checks.leakage": ("Shared", "find_shared"),
    "dataset.manifest": ("Manifest", "read_manifest"),
    "quantities": ("CONDITIONS", "FLUX_UNIT", "LABELS", "SNR_EDGES", "SPLITS", "UNITS"),
    "noise.view": (
        "NoiseModel",
        "NoiseTables",
        "Realisation",
        "background",
        "honest_error",
        "median_snr",
        "observe_spectra",
        "sensitivity",
        "true_error",
    ),
    "noise.modes": ("floor_modes", "noise_modes"),
    "exchange.pfs_files": ("PfsObject", "read_pfs_object"),
    "tables.population": ("Population", "read_population"),
    "exchange.published": ("Published", "read_published", "write_published"),
    "random": ("DrawKey", "normals", "uniforms"),
    "checks.repair": ("Repair", "repair_dataset"),
    "dataset.schema": ("DatasetHeader",),
    "dataset.shards": (
        "Shard",
        "create_dataset",
        "finish_dataset",
        "finished_shards",
        "open_run",
        "plan_shards",
        "write_shard",
        "writer_lock",
    ),
    "snr_units": ("snr_factors",),
    "exchange.specutils_view": ("to_specutils",),
    "checks.summary": ("describe", "identify"),
    "dataset.training": ("SpectrumView", "TrainingSplit", "TrainingView"),
    "checks.verify": ("Report", "verify_dataset"),
}

_MODULE = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE)


def __getattr__(name: str) -> object:
    if name not in _MODULE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE})
