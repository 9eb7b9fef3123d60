"""Finished runs of other folders of the same suite brought into one."""

import shutil
from pathlib import Path

from starsmith.data_contract.errors import DataError
from starsmith.data_contract.files.atomic import staged_file
from starsmith.data_contract.files.outside import read_json
from starsmith.learners.benchmark.run_suite import MARK, PREDICTIONS, RESULTS, RUNS, SuiteFolder

__all__ = ["merge_folder"]


def merge_folder(into: SuiteFolder, other: Path) -> list[str]:
    """Copy the runs that are finished elsewhere and missing here; return their ids.

    Raises
    ------
    DataError
        If the other folder is of another suite or other data.
    """
    mark = other / MARK
    if not mark.exists() or read_json(mark) != read_json(into.out / MARK):
        raise DataError(
            f"{other}: no benchmark of the same suite and data as {into.out}; --merge takes "
            "folders that the same `speclearn bench --suite` wrote"
        )
    copied = []
    for run in into.runs:
        record, table = other / RESULTS / f"{run.id}.json", other / PREDICTIONS / f"{run.id}.ecsv"
        if into.outcome(run) is not None or not (record.exists() and table.exists()):
            continue
        folder = into.folder(run.id)
        if folder.exists():
            shutil.rmtree(folder)
        shutil.copytree(other / RUNS / run.id, folder)
        for source in (table, record):
            target = into.out / source.relative_to(other)
            target.parent.mkdir(parents=True, exist_ok=True)
            with staged_file(target) as partial:
                shutil.copyfile(source, partial)
        if into.outcome(run) is None:
            raise DataError(
                f"{other}: run {run.id} is of other spectra than {into.out}; make both folders "
                "with one bank: --bank"
            )
        copied.append(run.id)
    return copied
