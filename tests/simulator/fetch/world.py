"""What the download tests share: a small box of models and a look into the folder."""

import bz2
import json

import numpy as np

from starsmith.simulator.grids.download.fetch_record import RECORD_FILE

BOX = {"teff": (5000, 5250), "logg": (4, 4.5), "m_h": (0, 0)}


def text_body(name, n_bytes=20_000):
    """Compressed text that differs from file to file; noise, so that it stays long."""
    seed = [ord(letter) for letter in name]
    return bz2.compress(np.random.default_rng(seed).bytes(n_bytes))


def contents(folder):
    """File name -> bytes of a folder without its record."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != RECORD_FILE}


def record_of(folder):
    return json.loads((folder / RECORD_FILE).read_text())
