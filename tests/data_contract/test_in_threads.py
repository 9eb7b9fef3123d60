"""Threads give results in order, and the first error, as a loop does."""

import pytest

from starsmith.data_contract.files import zarr_check
from starsmith.data_contract.in_threads import in_threads


@pytest.mark.parametrize("most", [1, 8])
def test_results_come_in_order_and_errors_through(most):
    assert list(in_threads(lambda n: n * n, range(100), most)) == [n * n for n in range(100)]
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda n: 1 // (n - 50), range(100), most))


def test_what_is_allowed_of_one_array_is_not_kept_for_another(pristine):
    """Threads read descriptions of arrays of several types at once."""
    zarr_check.array_layout(pristine / "test/snr", codecs=tuple(zarr_check.CODECS))
    assert set(zarr_check.OPTIONS["blosc"]) == {"clevel", "shuffle"}
