"""The report of `benchmarks.gpu_learners`: its numbers as tables."""

__all__ = ["report"]

PUBLISHED = {"training": 1766.0, "inference": 897.0}
"""Spectra per second of SpecViT on a V100 (its public notes, and the paper's Table 6)."""


def report(numbers: dict) -> str:
    """Tables in markdown."""
    lines = [f"# Networks on {numbers['device']}", "", numbers["machine"], "", "## Correctness", ""]
    bank = ", ".join(f"{name} {value:.1e}" for name, value in numbers["bank"].items())
    lines += [f"Bank on the device against the CPU, largest difference: {bank}.", ""]
    for name, found in numbers["precision"].items():
        curves = ", ".join(f"{key} {value:.4f}" for key, value in found.items())
        lines.append(f"Loss curve of {name} against float32, mean relative difference: {curves}.")
    lines += ["", "## Speed", ""]
    lines.append(
        f"Input alone (draw, interpolate, noise, normalise): {numbers['input']:,.0f} spectra/s. "
        f"Matrix products: {numbers['peak'] / 1e12:.3g} TFLOP/s. Batch {numbers['batch_size']} "
        f"in training, {numbers['inference_batch']} in inference. Rates are per second"
        f"{'' if numbers['cuda'] else ' of processor time'}, drawing included in training."
    )
    lines += [
        "",
        "| network | GFLOP | training/s | way | bound | of it | over V100 "
        "| inference/s | bound | of it |",
        "|---|---:|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in numbers["networks"]:
        if not row["training"] or not row["inference"]:
            continue
        way, rate = max(row["training"].items(), key=lambda item: item[1])
        best = max(row["inference"].values())
        tiny = row["network"].endswith("_tiny")
        over = "" if tiny else f"{rate / PUBLISHED['training']:.1f}x"
        lines.append(
            f"| {row['network']} | {row['gflop']:.2f} | {rate:,.0f} | {way} "
            f"| {row['training_bound']:,.0f} | {rate / row['training_bound']:.0%} "
            f"| {over} | {best:,.0f} "
            f"| {row['inference_bound']:,.0f} | {best / row['inference_bound']:.0%} |"
        )
    fastest = max(max(r["training"].values(), default=0.0) for r in numbers["networks"])
    lines += ["", f"Input over the fastest network: {numbers['input'] / fastest:.1f}."]
    lines += [
        "",
        "Bound: the rate of matrix products over a network's operations, thrice in training. It is "
        "what the library's largest products reach, which smaller kernels of another may pass.",
        "",
    ]
    for row in numbers["networks"]:
        lines += [f"{row['network']}, {way}: {why}" for way, why in row["failed"].items()]
    for name, kernels in numbers["profile"].items():
        lines += ["", f"## Where {name} spends a training step", ""]
        lines += [f"- {share:.0%} `{kernel[:90]}`" for kernel, share in kernels]
    return "\n".join(lines) + "\n"
