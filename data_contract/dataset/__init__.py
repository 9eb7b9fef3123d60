"""Data sets on disk: header and columns, shards and locks, and how they are read."""

from starsmith.data_contract.dataset.reader import Dataset, open_dataset
from starsmith.data_contract.dataset.split import Split, read_draws

__all__ = ["Dataset", "Split", "open_dataset", "read_draws"]
