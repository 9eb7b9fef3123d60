"""Noisy spectra per second beside the simulators of our neighbours, on this machine.

desihub's ``specsim`` (`pip install specsim desimodel desiutil`, in any environment this one can
import from) convolves and observes given source spectra; our time includes interpolating the
star from its labels and the honest error. Its instrument is its own test configuration (4000 to
9000 Å in samples of 0.1 Å, one camera) with output pixels of 0.4 Å, as many as ours.

    python -m benchmarks.peers [-n 256]
"""

import argparse
import importlib.util
from importlib.metadata import version

import numba
import numpy as np

from benchmarks.timing import machine, seconds
from starsmith.data_contract.bank.bank_file import Bank, load_bank
from starsmith.simulator.cache.cached_bank import cached_bank
from starsmith.simulator.observe import draw_stars, observe
from starsmith.simulator.prior import Prior
from tests.reference.simulate import observe_plainly

PEERS = ("specsim", "desimodel", "desiutil")
N_PLAIN = 20

Row = tuple[str, float, str]


def our_rows(bank: Bank, n: int) -> list[Row]:
    """Ours on one thread, and the plain twin: (name, seconds per spectrum, what it does)."""
    draws = draw_stars(bank, Prior.default(), 1, "train", np.arange(n))
    few = draws.take(slice(0, N_PLAIN))
    rng = np.random.default_rng(0)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        fast = seconds(observe, bank, draws) / n
    finally:
        numba.set_num_threads(threads)
    plain = seconds(observe_plainly, bank, few, rng, repeat=3) / N_PLAIN
    pixels = f"{bank.wave.size} pixels"
    return [
        ("starsmith `observe`", fast, f"interpolation, noise, honest error; {pixels}"),
        ("plain numpy/scipy", plain, f"the same, one star at a time; {pixels}"),
    ]


def specsim_row(n: int) -> Row:
    """Desihub's specsim: ``n`` fibres of one exposure."""
    import specsim.config
    import specsim.simulator

    config = specsim.config.load_config("test")
    config.instrument.cameras.r.constants.output_pixel_size = "0.4 Angstrom"
    simulator = specsim.simulator.Simulator(config, num_fibers=n)
    source = np.full((n, config.wavelength.size), 1e-17)
    unit = simulator.simulated["source_flux"].unit

    legacy_generator = np.random.RandomState(1)

    def run() -> None:
        simulator.simulate(source_fluxes=source * unit)
        simulator.generate_random_noise(legacy_generator)

    cost = seconds(run) / n
    n_wave = len(simulator.camera_output[0])
    return f"specsim {version('specsim')}", cost, f"line profile, noise; {n_wave} pixels"


def report(bank: Bank, n: int) -> str:
    """Table in markdown."""
    rows = our_rows(bank, n)
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    if not missing:
        rows.append(specsim_row(n))
    fastest = rows[0][1]
    lines = [
        f"{machine()}; one process; starsmith on one thread",
        "",
        "| simulator | spectra/s | ours is faster by | what it does |",
        "|---|---:|---:|---|",
        *(
            f"| {name} | {1 / cost:,.0f} | {cost / fastest:.0f} | {what} |"
            for name, cost, what in rows
        ),
    ]
    if missing:
        lines += ["", f"specsim not timed: {', '.join(missing)} not installed."]
    return "\n".join(lines)


def main() -> None:
    """Print the report for the demo bank."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=256, help="spectra, or fibres")
    parser.add_argument("--bank", help="bank file; the demo grid at PFS MR pixels by default")
    options = parser.parse_args()
    bank = load_bank(options.bank) if options.bank else cached_bank("demo", "pfs_mr")
    print(report(bank, options.n))


if __name__ == "__main__":
    main()
