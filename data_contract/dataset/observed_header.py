"""What a header says of observed spectra, checked: a file of others may say anything."""

from collections.abc import Iterator, Mapping

__all__ = ["observed_problems"]

KINDS = {
    **dict.fromkeys(("survey", "kind", "unit", "splits", "files_sha256"), str),
    **dict.fromkeys(("n_files", "n_refused"), int),
    "has_error": bool,
    "arms": list,
    "frames": list,
    "steps": list,
    "label_sources": dict,
    "standardise": dict,
}
"""Entry -> its type in JSON."""

MAY_LACK = ("standardise",)


def observed_problems(observed: Mapping, n_wave: int) -> Iterator[str]:
    """What is wrong with the entry ``observed`` of a header; nothing if all is well.

    Parameters
    ----------
    observed : mapping
    n_wave : int
        Pixels of the data set.
    """
    wrong = [
        name
        for name, kind in KINDS.items()
        if not (isinstance(observed.get(name), kind) or (name in MAY_LACK and name not in observed))
    ]
    if wrong:
        yield f"entries {wrong} of observed are missing or of another type"
        return
    texts = [*observed["frames"], *observed["steps"], *observed["label_sources"]]
    lists = [by for by in observed["label_sources"].values() if isinstance(by, list)]
    texts += [text for by in lists for text in by]
    if len(lists) < len(observed["label_sources"]) or not all(isinstance(t, str) for t in texts):
        yield "frames, steps and label_sources of observed are no texts"
    if not all(map(_is_arm, observed["arms"])):
        yield "arms of observed are no arms, each with name and start"
        return
    starts = [arm["start"] for arm in observed["arms"]]
    if starts[:1] != [0] or starts != sorted(set(starts)) or starts[-1] >= n_wave:
        yield f"arms of observed begin at pixels {starts[:8]} of {n_wave}"


def _is_arm(arm: object) -> bool:
    """Whether it has a name, a first pixel and, where lines have a width, widths at wavelengths."""
    if not isinstance(arm, dict):
        return False
    widths = [arm.get(name, []) for name in ("lsf_wave", "lsf_fwhm")]
    return (
        isinstance(arm.get("name"), str)
        and type(arm.get("start")) is int
        and all(isinstance(values, list) for values in widths)
        and len(widths[0]) == len(widths[1])
        and all(isinstance(v, int | float) for values in widths for v in values)
    )
