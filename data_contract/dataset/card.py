"""The dataset card: what a dataset holds, where it comes from and how it may be used, in a page."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starsmith.data_contract.dataset.precision import STEPS_PER_SIGMA
from starsmith.data_contract.dataset.schema import MEANINGS, STORES, DatasetHeader
from starsmith.data_contract.dataset.split_columns import open_column, read_blocks
from starsmith.data_contract.quality_map import map_shares, recorded_maps, trust_lines
from starsmith.data_contract.quantities import SNR_EDGES, SNR_STATISTICS, UNITS
from starsmith.data_contract.structure_validity import star_shares

__all__ = ["card_contents", "card_text"]

NAMES = ("index", "source_id", "targetid")
N_BIN = 16
SAMPLED_ROWS = 2**24  # that quartiles and histograms are made of
BLOCKS = "▁▂▃▄▅▆▇█"
BAR_WIDTH = 24
STORE_TEXTS = {
    "noiseless": "noiseless flux; noisy flux and errors are computed from it when read",
    "frozen": "one noise draw of the flux, and its honest error",
    "keys": "no spectra: they are computed again from the bank when read",
}


def card_contents(path: Path, header: DatasetHeader) -> dict:
    """Statistics of a dataset whose shards are all there.

    Returns
    -------
    contents : dict
        JSON-able. ``structures``: share of stars by how far their model atmospheres are to be
        trusted, where the grid tells. ``trust``: figures over stars of each map of the grid.
        ``quantities``: name -> unit, declared range, range found,
        quartiles and a histogram of 16 bins over the range found, of all splits together (of every
        k-th row where there are more than 16.8 million). ``snr``: split ->
        number of spectra in each bin of `SNR_EDGES`; ``snr_quartiles``: split -> quartiles, and
        ``snr_p95_quartiles`` where the dataset has that column.
    """
    quantities = {}
    for name in header.columns:
        if len(header.columns[name].dims) > 1 or name in (*NAMES, *SNR_STATISTICS):
            continue
        parts = [_Sample.of(path, split, name, header) for split in header.counts]
        quantities[name] = _quantity(name, parts, header)
    snr = {split: _Sample.of(path, split, "snr", header) for split in header.counts}
    quartiles = {
        f"{name}_quartiles": {
            split: _quartiles(_Sample.of(path, split, name, header).values)
            for split in header.counts
        }
        for name in SNR_STATISTICS
        if name in header.columns
    }
    validity = header.grid.get("provenance", {}).get("validity")
    maps = recorded_maps(header.grid)
    trust = {}
    if validity or maps:
        stars = {
            name: np.concatenate(
                [_Sample.of(path, split, name, header).values for split in header.counts]
            )
            for name in header.label_names
        }
        trust = {"structures": star_shares(validity, stars)} if validity else {}
        trust |= {"trust": map_shares(maps, stars)} if maps else {}
    histogram = {split: _snr_histogram(sample.in_bins) for split, sample in snr.items()}
    return {"quantities": quantities, "snr": histogram, **quartiles, **trust}


@dataclass(frozen=True)
class _Sample:
    """A column of a split: its range, and of large ones every so many rows.

    Attributes
    ----------
    low, high : float
        Of all rows.
    in_bins : int array
        Rows in each bin of `SNR_EDGES`, all of them.
    values : float64 array
        Every k-th row; all of them up to `SAMPLED_ROWS`.
    """

    low: float
    high: float
    in_bins: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, path: Path, split: str, name: str, header: DatasetHeader) -> "_Sample":
        """Read a column a block at a time."""
        step = -(-sum(header.counts.values()) // SAMPLED_ROWS)
        low, high, in_bins, kept = np.inf, -np.inf, 0, []
        for values in read_blocks(open_column(path, split, name), header.shard_rows):
            values = values[np.isfinite(values)]
            if values.size:
                low, high = min(low, float(values.min())), max(high, float(values.max()))
            in_bins = in_bins + np.histogram(values, bins=SNR_EDGES)[0]
            kept.append(values[::step].copy())
        return cls(low, high, in_bins, np.concatenate(kept))


def _quantity(name: str, parts: list[_Sample], header: DatasetHeader) -> dict:
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    values = np.concatenate([part.values for part in parts])
    if not values.size:  # nobody knows it of any star
        low = high = np.nan
    counts, _ = np.histogram(values, bins=N_BIN, range=(low, high) if high > low else None)
    return {
        "unit": UNITS[name],
        "declared": header.prior.get(name),
        "range": [low, high],
        "quartiles": _quartiles(values),
        "histogram": counts.tolist(),
    }


def _quartiles(values: np.ndarray) -> list[float]:
    if not values.size:
        return [float("nan")] * 3
    return [float(value) for value in np.percentile(values, [25, 50, 75])]


def _snr_histogram(counts: np.ndarray) -> dict[str, int]:
    """Number of spectra in each bin of `SNR_EDGES`, by the bin's name."""
    edges = zip(SNR_EDGES[:-1], SNR_EDGES[1:], counts, strict=True)
    return {f"{low:g}..{high:g}": int(n) for low, high, n in edges}


def card_text(header: DatasetHeader, contents: dict) -> str:
    """The card as Markdown that also reads well in a terminal.

    Parameters
    ----------
    header : DatasetHeader
    contents : dict
        From `card_contents`.
    """
    total = sum(header.counts.values())
    splits = ", ".join(f"{count} {split}" for split, count in header.counts.items())
    wave = header.wave
    parts = [
        f"# {total} {_kind(header)}",
        *([f"**{header.notice}**"] if header.notice else []),
        f"{splits}; {wave.size} pixels, {wave.min():.1f}-{wave.max():.1f} Å in vacuum. Stored: "
        f"{_stored(header)}.",
        "## Labels and conditions",
        _quantity_table(contents["quantities"]),
        "## Signal-to-noise per pixel",
        _snr_table(contents),
        "## Origin",
        _origin(header) + _structures(contents),
        "## Use",
        _use(header),
    ]
    return "\n\n".join(parts) + "\n"


def _kind(header: DatasetHeader) -> str:
    """What the spectra are."""
    if header.store == "observed":
        return f"observed spectra: {header.observed['survey']}"
    return f"synthetic spectra: {_name(header.grid)} stars, {_name(header.instrument)}"


def _stored(header: DatasetHeader) -> str:
    """The spectra of a store and how they are rounded.

    The card is hashed: of version 2 it keeps its bytes, where a sentence stood for the columns.
    """
    if header.store == "observed":
        flux = f"flux [{header.observed['unit']}]"
        return f"{flux}, its error and mask" if header.has_error else f"{flux} and mask, no error"
    text = STORE_TEXTS[header.store]
    names = STORES[header.store] if header.schema_version > 2 else text
    rounded = " and ".join(
        f"{name} with {bits} mantissa bits (relative rounding 2^-{bits + 1})"
        for name, bits in ((name, header.kept_bits(name)) for name in names)
    )
    if header.schema_version < 3:
        return f"{rounded}, in {UNITS['flux']}"
    if header.precision == "noise":
        part = STEPS_PER_SIGMA[header.store]
        rounded += f", flux in steps of 1/{part} of the pixel's sigma without a star, or finer"
    return f"{text} ({rounded}, in {UNITS['flux']})" if rounded else text


def _name(entry: dict) -> str:
    return str(entry.get("name", "unnamed"))


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(line[k]) for line in (head, *rows)) for k in range(len(head))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) + " |"
        for line in (head, rule, *rows)
    )


def _quantity_table(quantities: dict) -> str:
    head = ["name", "meaning", "unit", "declared", "found", "median", "distribution"]
    rows = []
    for name, entry in quantities.items():
        constant = not entry["range"][0] < entry["range"][1]
        rows.append(
            [
                name,
                MEANINGS[name],
                entry["unit"],
                _span(entry["declared"]),
                _span(entry["range"]),
                f"{entry['quartiles'][1]:.4g}",
                ("constant" if np.isfinite(entry["range"][0]) else "unknown")
                if constant
                else _sparkline(entry["histogram"]),
            ]
        )
    return _table(head, rows)


def _span(bounds: list[float] | None) -> str:
    if bounds is None:
        return "-"
    low, high = (f"{value:.5g}" for value in bounds)
    return low if low == high else f"{low}..{high}"


def _sparkline(counts: list[int]) -> str:
    most = max(counts)
    return "".join(BLOCKS[round(count / most * (len(BLOCKS) - 1))] for count in counts)


def _snr_table(contents: dict) -> str:
    splits = list(contents["snr"])
    totals = {
        bin_: sum(contents["snr"][split][bin_] for split in splits)
        for bin_ in contents["snr"][splits[0]]
    }
    most = max(totals.values()) or 1
    rows = [
        [
            bin_,
            *(str(contents["snr"][split][bin_]) for split in splits),
            "█" * round(BAR_WIDTH * total / most),
        ]
        for bin_, total in totals.items()
    ]
    texts = {"snr_quartiles": "median", "snr_p95_quartiles": "p95, median"}
    for key, text in texts.items():
        if key in contents:
            rows.append([text, *(f"{contents[key][s][1]:.2f}" for s in splits), ""])
    return _table(["S/N", *splits, "all"], rows)


def _origin(header: DatasetHeader) -> str:
    if header.store == "observed":
        return _origin_of_observed(header)
    provenance = header.grid.get("provenance", {})
    software = ", ".join(f"{name} {version}" for name, version in header.versions.items())
    lines = [
        ("Grid", f"{_name(header.grid)}, {provenance.get('release', 'release not recorded')}"),
        ("Grid source", str(provenance.get("source", "not recorded"))),
        ("Citation", str(provenance.get("citation", "not recorded"))),
        ("Licence", str(provenance.get("licence", "not recorded"))),
        ("Instrument", header.instrument.get("description", _name(header.instrument))),
        ("Noise", _noise(header)),
        ("Magnitudes", f"AB in {header.mag_band or 'a band not recorded'}"),
        ("Random numbers", f"Philox4x32-10, seed {header.seed}; key (seed, split, index)"),
        ("Bank", header.bank_digest or "not recorded"),
        ("Made with", software or "not recorded"),
    ]
    if header.population:
        lines.append(("Stars", "rows of {path} (SHA-256 {sha256})".format(**header.population)))
    return "\n".join(f"- {name}: {text}" for name, text in lines)


def _structures(contents: dict) -> str:
    """Lines on how far model atmospheres and interpolation are to be trusted, where told."""
    lines = []
    if "structures" in contents:
        shares = ", ".join(f"{share:.1%} {word}" for word, share in contents["structures"].items())
        lines.append(f"Model atmospheres of the stars: {shares}")
    lines += trust_lines(contents.get("trust", {}))
    return "".join(f"\n- {line}" for line in lines)


def _origin_of_observed(header: DatasetHeader) -> str:
    """Where observed spectra and their labels come from, and what was done to them."""
    said = header.observed
    sources = ", ".join(f"{name}: {'; '.join(by)}" for name, by in said["label_sources"].items())
    frames = ", ".join(frame or "not told" for frame in said["frames"])
    arms = ", ".join(f"{arm['name'] or 'one'} from pixel {arm['start']}" for arm in said["arms"])
    lines = [
        ("Files", f"{said['n_files']} ({said['kind']})"),
        ("Arms", arms),
        ("Wavelengths", f"frame {frames}"),
        ("Labels", sources or "none"),
        ("Done to them", "; ".join(said["steps"]) or "nothing: native pixels"),
        ("Splits", said["splits"]),
        ("Refused", f"{said['n_refused']} spectra"),
        ("Made with", ", ".join(f"{name} {v}" for name, v in header.versions.items())),
    ]
    return "\n".join(f"- {name}: {text}" for name, text in lines)


def _noise(header: DatasetHeader) -> str:
    """What the noise is, and the terms chosen for it."""
    text = "closed form of the PFS exposure-time calculator; tables under noise/"
    chosen = ", ".join(f"{name} {value}" for name, value in header.noise_model.items())
    return f"{text}; {chosen}" if chosen else text


def _use(header: DatasetHeader) -> str:
    if header.store == "observed":
        return (
            "Splits are by star: none is in two. No ceiling is known for real spectra. Cite the\n"
            "survey and the sources of the labels.\n\n`specdata verify` checks every byte."
        )
    return (
        "Train on `train`, choose on `val`, report once on `test`: the splits are fixed by key.\n"
        "`error` as served is an observer's estimate from the noisy flux; the true noise is not\n"
        "served. Cite the grid above, the instrument's papers and starsmith.\n\n"
        "```python\n"
        "from starsmith.data_contract import open_dataset\n"
        'view = open_dataset("data.zarr").training()  # view.train.observe(rows, epoch)\n'
        "```\n\n"
        "`specdata verify` checks every byte, `specdata repair` makes damaged shards again."
    )
