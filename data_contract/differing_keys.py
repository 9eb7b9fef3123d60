"""Where two JSON objects differ."""

__all__ = ["differing_keys"]


def differing_keys(first: object, second: object, prefix: str = "") -> list[str]:
    """Dotted names of the entries in which two JSON objects differ."""
    if not (isinstance(first, dict) and isinstance(second, dict)):
        return [] if first == second else [prefix]
    names = []
    for key in sorted(set(first) | set(second)):
        name = f"{prefix}.{key}" if prefix else key
        if key in first and key in second:
            names += differing_keys(first[key], second[key], name)
        else:
            names.append(name)
    return names
