"""A Croissant description (JSON-LD) of a HATS catalogue: how any program reads its spectra."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from starsmith.data_contract.files.atomic import write_json
from starsmith.data_contract.quantities import UNITS

if TYPE_CHECKING:
    import pandas
    from mlcroissant import Field

    from starsmith.data_contract.dataset.schema import DatasetHeader

__all__ = ["CROISSANT", "describe_catalog"]

CROISSANT = "croissant.json"
PARTITIONS, STARS = "partitions", "stars"
PLACED = {
    "object_id": "name of the star",
    "ra": "right ascension, ICRS [deg]",
    "dec": "declination, ICRS [deg]",
    "place": "recorded, or synthetic: made up",
    "split": "train, val or test",
}


def describe_catalog(
    folder: Path, name: str, frame: "pandas.DataFrame", pixels: dict[str, str], run: "DatasetHeader"
) -> None:
    """Write ``croissant.json`` into a catalogue, read back with ``mlcroissant.Dataset``.

    Parameters
    ----------
    folder : Path
        Of the catalogue, finished.
    name : str
        Of the catalogue.
    frame : DataFrame
        Its columns but the nested one.
    pixels : dict of str to str
        What the nested column ``spectrum`` has a list of, and what that is.
    run : DatasetHeader
        Of the data set: licence, citation and notice are its grid's.
    """
    import mlcroissant as mlc

    files = mlc.FileSet(
        id=PARTITIONS,
        name=PARTITIONS,
        description="A parquet file a partition of the sky.",
        encoding_formats=["application/x-parquet"],
        includes=[f"{name}/dataset/Norder=*/Dir=*/Npix=*.parquet"],
    )
    fields = [_field(column, frame[column].dtype) for column in frame.columns]
    fields += [_of_pixels(key, meaning) for key, meaning in pixels.items()]
    provenance = run.grid.get("provenance", {})
    described = mlc.Metadata(
        name=name,
        description=f"{len(frame)} stellar spectra, simulated or observed. {run.notice}".strip(),
        version="1.0.0",
        license=[str(provenance.get("licence", "not recorded"))],
        cite_as=str(provenance.get("citation", "not recorded")),
        distribution=[files],
        record_sets=[
            mlc.RecordSet(id=STARS, name=STARS, description="A row a star.", fields=fields)
        ],
    )
    write_json(folder / CROISSANT, described.to_json())


def _field(column: str, dtype: np.dtype) -> "Field":
    """A column of one value a star."""
    import mlcroissant as mlc

    kinds = {"f": mlc.DataType.FLOAT, "i": mlc.DataType.INTEGER, "u": mlc.DataType.INTEGER}
    unit = UNITS.get(column)
    return mlc.Field(
        id=f"{STARS}/{column}",
        name=column,
        description=PLACED.get(column, f"{column} [{unit}]" if unit else column),
        data_types=[kinds.get(dtype.kind, mlc.DataType.TEXT)],
        source=mlc.Source(file_set=PARTITIONS, extract=mlc.Extract(column=column)),
    )


def _of_pixels(key: str, meaning: str) -> "Field":
    """A list of the nested column, a value a pixel."""
    import mlcroissant as mlc

    whole = key == "mask"
    return mlc.Field(
        id=f"{STARS}/{key}",
        name=key,
        description=meaning,
        data_types=[mlc.DataType.INTEGER if whole else mlc.DataType.FLOAT],
        is_array=True,
        array_shape="-1",
        source=mlc.Source(
            file_set=PARTITIONS,
            extract=mlc.Extract(column="spectrum"),
            transforms=[mlc.Transform(json_path=key)],
        ),
    )
