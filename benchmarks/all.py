"""One table of all works: ours beside somebody else's code, in turn, on one thread.

Peers that are no dependency of ours are named where they are missing. To have them:

    pip install --target peers --no-deps specsim desimodel desiutil spectres
    pip install --target peers transformers
    python -m benchmarks.all --peers peers [--tiny] [--bank BANK] [-n 512]

Times are CPU seconds of runs in turn, ratios medians of pairs, the spread their least and largest.
It ends with 1 where README states a ratio that does not hold; of ``--tiny`` that is not asked.
"""

import argparse
import re
import sys
from pathlib import Path
from statistics import median

import numba
from threadpoolctl import threadpool_limits

from benchmarks.timing import machine, turns
from benchmarks.works import WORKS, Bench, Pair, Work
from starsmith.data_contract.bank.bank_file import load_bank
from starsmith.simulator.cache.cached_bank import cached_bank

README = Path(__file__).resolve().parents[1] / "README.md"
STATED = re.compile(r"^\| ([^|]+) \| ([^|]+) \| at least ([\d.]+) \|$", re.MULTILINE)
HEAD = (
    "| work | peer | ours [µs a spectrum] | peer [µs] | peer / ours | spread | bound [µs] "
    "| ours / bound | bounded by | alike |\n|---|---|---:|---:|---:|---|---:|---:|---|---|"
)


def stated(text: str) -> dict[tuple[str, str], float]:
    """Least ratios that a page states, by work and peer."""
    return {(work, peer): float(ratio) for work, peer, ratio in STATED.findall(text)}


def measured(work: Work, pair: Pair, repeat: int) -> tuple[str, float]:
    """Row of a work, and the median of its ratios."""
    times = turns(pair.ours, pair.peer, repeat)
    ours = [1e6 * mine / pair.n_ours for mine, _ in times]
    theirs = [1e6 * other / pair.n_peer for _, other in times]
    ratios = [other / mine for mine, other in zip(ours, theirs, strict=True)]
    least = over = ""
    if pair.bound is not None:
        bound = min(1e6 * mine / pair.n_ours for mine, _ in turns(pair.bound, pair.bound, repeat))
        least, over = f"{bound:.2f}", f"{median(ours) / bound:.1f}"
    ratio = median(ratios)
    return (
        f"| {work.name} | {work.peer} | {median(ours):.1f} | {median(theirs):.1f} | {ratio:.2f} "
        f"| {min(ratios):.2f} to {max(ratios):.2f} | {least} | {over} | {work.bounded_by} "
        f"| {work.alike} |",
        ratio,
    )


def broken(
    ratios: dict[tuple[str, str], float], promised: dict[tuple[str, str], float]
) -> list[str]:
    """Sentences about ratios that are stated and were not met."""
    return [
        f"README: {work} against {peer} at least {least:g}, measured {ratios[work, peer]:.2f}"
        for (work, peer), least in promised.items()
        if ratios.get((work, peer), least) < least
    ]


def table(bench: Bench, repeat: int) -> tuple[list[str], dict[tuple[str, str], float]]:
    """Print rows as they are measured; names of works left out, and the ratios."""
    left_out, ratios = [], {}
    for work in WORKS:
        if work.missing:
            left_out.append(f"{work.peer}: {', '.join(work.missing)} not installed")
            continue
        try:
            pair = work.make(bench)
        except (ImportError, OSError, RuntimeError) as problem:  # installed, and does not start
            left_out.append(f"{work.peer}: {str(problem).splitlines()[0]}")
            continue
        row, ratios[work.name, work.peer] = measured(work, pair, repeat)
        print(row, flush=True)
    return left_out, ratios


def main() -> None:
    """Print the table; exit with 1 where README's ratios do not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, help="folder that peers were installed to")
    parser.add_argument("--bank", type=Path, help="bank file; the demo grid at PFS MR by default")
    parser.add_argument("-n", type=int, default=512, help="spectra")
    parser.add_argument("--tiny", action="store_true", help="few spectra, README not asked")
    given = parser.parse_args()
    if given.peers:
        sys.path.append(str(given.peers))
    n_spec, repeat = (64, 1) if given.tiny else (given.n, 5)
    bank = load_bank(given.bank) if given.bank else cached_bank("demo", "pfs_mr")
    print(f"{machine()}; one thread, CPU time, {n_spec} spectra, {repeat} pairs\n\n{HEAD}")
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            left_out, ratios = table(Bench(bank, n_spec), repeat)
    finally:
        numba.set_num_threads(threads)
    for sentence in left_out:
        print(f"\nnot measured: {sentence}")
    if not given.tiny and (wrong := broken(ratios, stated(README.read_text(encoding="utf-8")))):
        print("\n" + "\n".join(wrong))
        sys.exit(1)


if __name__ == "__main__":
    main()
