"""Figure of the tables `python -m benchmarks.honest_noise` printed: what each input adds to R2.

python -m benchmarks.honest_plot benchmarks/results/honest_noise.md docs/figures/honest_noise.png
"""

import argparse
import re
from pathlib import Path

LIMIT = 0.01  # what an honest error may add
NUMBER = re.compile(r"([+-]\d\.\d+) ± (\d\.\d+) \(")
TABLES = {
    "| gain of R2 beside flux": "beside flux",
    "| gain of R2 from what": "beyond the flux's ideal reading",
}
SERVED = "#0072b2"
OTHER = "#555555"
NEVER = "#d55e00"


def gains(text: str) -> dict[str, list[tuple[str, list[tuple[float, float]]]]]:
    """Rows of the first table of each kind: label, and (gain, standard error) per learner."""
    found: dict[str, list] = {}
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        title = next((t for head, t in TABLES.items() if lines and lines[0].startswith(head)), None)
        if title is None or title in found:
            continue
        found[title] = []
        for line in lines[2:]:
            label = line.split("|")[1].strip()
            cells = [(float(a), float(b)) for a, b in NUMBER.findall(line)]
            if cells and not label.startswith("("):
                found[title].append((label, cells))
    return found


def colour_of(label: str) -> str:
    """Blue what is served, red what never is, grey the controls."""
    if "never served" in label or "noiseless" in label or label.startswith("the same"):
        return NEVER
    return SERVED if "**" in label or label.startswith("observed error") else OTHER


def draw(tables: dict, path: Path) -> None:
    """One row of panels per table, one column per learner."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    sizes = [len(rows) for rows in tables.values()]
    figure, axes = plt.subplots(
        len(tables), 2, figsize=(10, 1.2 + 0.3 * sum(sizes)), sharex=True, squeeze=False,
        height_ratios=sizes, layout="constrained",
    )  # fmt: skip
    for row, (title, entries) in zip(axes, tables.items(), strict=True):
        for k, (axis, learner) in enumerate(zip(row, ("ridge", "LightGBM"), strict=True)):
            axis.axvspan(-LIMIT, LIMIT, color="#e8e8e8", zorder=0)
            axis.axvline(0.0, color="black", lw=0.6)
            for place, (label, cells) in enumerate(entries):
                gain, error = cells[k]
                axis.errorbar(gain, place, xerr=error, fmt="o", ms=5, color=colour_of(label))
            axis.set_xscale("symlog", linthresh=0.02, linscale=1.5)
            axis.set_xlim(-0.1, 0.9)
            ticks = [-0.05, -0.01, 0.01, 0.1, 0.5]
            axis.set_xticks(ticks, [f"{tick:+g}" for tick in ticks])
            axis.minorticks_off()
            axis.set_ylim(len(entries) - 0.5, -0.5)
            names = [label.replace("**", "") for label, _ in entries]
            axis.set_yticks(range(len(names)), names if k == 0 else [], fontsize=9)
            axis.tick_params(axis="y", length=0)
            axis.set_title(f"{learner}, {title}", fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("gain in R² of log g")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", type=Path)
    parser.add_argument("figure", type=Path)
    options = parser.parse_args()
    draw(gains(options.tables.read_text()), options.figure)


if __name__ == "__main__":
    main()
