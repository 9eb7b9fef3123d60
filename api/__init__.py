"""starsmith: simulated PFS spectra of stars, networks trained on them, and honest ceilings.

A few calls lead from a stellar grid to a score with its ceiling beside it:

>>> bank = starsmith.cached_bank("demo", "pfs_mr")  # doctest: +SKIP
>>> prior = starsmith.Prior.default().with_ranges(mag=(20.5, 22.5))
>>> _ = starsmith.write_dataset(bank, prior, 600, "data.zarr", seed=7)
>>> data = starsmith.open_dataset("data.zarr")
>>> _ = starsmith.fit("ridge", data.training(), "logg", out="ridge")
>>> scores = starsmith.evaluate(starsmith.load_checkpoint("ridge"), data.split("test"))
>>> table = starsmith.ceiling(bank, prior, "logg", n_star=50, n_template=500)
>>> scores.scores["r2"].value < table.row("all").r2["posterior_mean"][0] + 0.5
True

The examples of all docstrings go on from these names. A name is imported on first use, so
``import starsmith`` loads neither numba, torch nor astropy; types are in ``__init__.pyi``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
