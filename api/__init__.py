"""starsmith: simulated PFS spectra of stars, networks trained on them, and honest ceilings.

A few calls lead from a stellar grid to a score with its ceiling beside it:

>>> import numpy as np
>>> bank = starsmith.cached_bank("demo", "pfs_mr")
>>> prior = starsmith.Prior.default().with_ranges(mag=(20.5, 22.5))
>>> _ = starsmith.write_dataset(bank, prior, 600, "data.zarr", seed=7)
>>> data = starsmith.open_dataset("data.zarr")
>>> _ = starsmith.fit("ridge", data.training(), "logg", out="ridge")
>>> scores = starsmith.evaluate(starsmith.load_checkpoint("ridge"), data.split("test"))
>>> table = starsmith.ceiling(bank, prior, "logg", n_star=50, n_template=500)
>>> sorted(scores.scores)[:2], table.target
(['bias', 'mae'], 'logg')

The examples of every docstring go on from these names. A name is imported on first use, so
``import starsmith`` loads neither numba, torch nor astropy. Types are in ``__init__.pyi``, which
is also the list of names.
"""

import os as _os
import sys as _sys

import lazy_loader as _lazy_loader


def _settle_threads() -> None:
    """Let OpenMP's threads sleep while they wait, and numba have as many, unless told otherwise.

    Read as torch and numba load. Threads that wait busily starve the one they wait for where
    other processes share the cores: training is three times slower then.
    """
    _os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    threads = _os.environ.get("OMP_NUM_THREADS", "")
    if "numba" not in _sys.modules and threads.isdigit() and int(threads):
        _os.environ.setdefault("NUMBA_NUM_THREADS", threads)


_settle_threads()

_named, __dir__, __all__ = _lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name != "__version__":
        return _named(name)
    from importlib.metadata import version

    return version("starsmith")
