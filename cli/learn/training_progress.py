"""What a fit tells, as progress on stderr."""

from collections.abc import Callable

__all__ = ["training_progress"]

PROGRESS_KEYS = (("epoch", "epochs"), ("n_tree", "rounds"))


def training_progress(report: Callable[..., None]) -> Callable[[dict], None]:
    """Turn what a fit tells into progress: epochs, trees or rows, and the steps in between."""
    n_row, best = 0, ""

    def progress(row: dict) -> None:
        nonlocal n_row, best
        if "steps" in row:
            report(row["step"], row["steps"], _step_note(row, best))
            return
        n_row += 1
        done, total = n_row, n_row
        for key, whole in PROGRESS_KEYS:
            if key in row and whole in row:
                done, total = row[key], row[whole]
        scores = [f"{k} {row[k]:.4g}" for k in ("train_loss", "val_error") if k in row]
        scored = row.get("val_r2", {})
        names = [f"({name})" if len(scored) > 1 else "" for name in scored]
        best = "  ".join(f"R2{n} {v:.3f}" for n, v in zip(names, scored.values(), strict=True))
        report(done, total, "  ".join([*scores, best]))

    return progress


def _step_note(row: dict, best: str) -> str:
    """Loss, latest R2, speed and time left."""
    minutes, seconds = divmod(round(row["seconds_left"]), 60)
    notes = [
        f"loss {row['train_loss']:.3g}",
        best,
        f"{row['spectra_per_second']:,.0f} spectra/s  {minutes}:{seconds:02d} left",
    ]
    return "  ".join(filter(None, notes))
