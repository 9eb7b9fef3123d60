"""Workers share one copy of the bank and get every bit of it."""

import numpy as np

from starsmith.simulator.generation.job import Job
from starsmith.simulator.generation.pool import ALIGNMENT, MappedJob
from starsmith.simulator.prior import Prior


def test_workers_map_the_arrays_of_a_job(toy_bank, tmp_path):
    """The bank's arrays travel through one file, aligned, and none through the message."""
    job = Job(toy_bank, Prior.default(), None, tmp_path)
    mapped = MappedJob.of(job, tmp_path / "arrays")
    again = mapped.job()
    assert len(mapped.body) < toy_bank.coef.nbytes / 2
    assert all(start % ALIGNMENT == 0 for start, _ in mapped.spans)
    assert again.bank.digest == toy_bank.digest
    assert again.prior == job.prior
    np.testing.assert_array_equal(again.bank.noise.sky_rate, toy_bank.noise.sky_rate)


def test_a_worker_changes_only_its_own_copy(toy_bank, tmp_path):
    """Writing into a mapped array leaves the file, and so the other workers, alone."""
    mapped = MappedJob.of(Job(toy_bank, Prior.default(), None, tmp_path), tmp_path / "arrays")
    mapped.job().bank.coef[:] = 0.0
    assert mapped.job().bank.digest == toy_bank.digest
