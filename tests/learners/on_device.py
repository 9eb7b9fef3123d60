"""Operations of a block of stars and of a step, counted on tensors that hold nothing."""

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from starsmith.data_contract.bank.bank_file import Bank
from starsmith.learners.online.torch_bank import BankOnDevice
from starsmith.learners.preprocess import LabelScale, Normaliser, Statistics
from starsmith.learners.training.batch_order import Order, Share
from starsmith.learners.training.feeds import OnlineFeed
from starsmith.simulator.prior import Prior

PRIOR = Prior.default().with_ranges(mag=(18.0, 21.0))
N_STAR = 2048  # of a block
WHOLE = Order(N_STAR, 512, N_STAR, 0)

VIEWS = {
    "view", "_unsafe_view", "reshape", "expand", "permute", "transpose", "t", "slice", "select",
    "unsqueeze", "squeeze", "split", "split_with_sizes", "unbind", "detach", "alias", "as_strided",
    "empty", "empty_like", "unfold", "_reshape_alias", "chunk", "diagonal",
}  # fmt: skip
ASKING = {
    "nonzero",
    "_local_scalar_dense",
    "masked_select",
    "item",
    "unique",
    "is_nonzero",
    "equal",
}


class Counted(TorchDispatchMode):
    """Counts kernels and the bytes they read and write; notes other devices and questions.

    Attributes
    ----------
    n, n_bytes : int
    asked : set of str
        Operations that a host has to wait for.
    devices : set of str
        Of all tensors that are not single numbers.
    """

    def __init__(self):
        super().__init__()
        self.n = self.n_bytes = 0
        self.asked, self.devices = set(), set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        tensors = [x for x in tree_leaves((args, kwargs, out)) if isinstance(x, torch.Tensor)]
        self.devices |= {x.device.type for x in tensors if x.ndim}
        if name in ASKING or (name == "_to_copy" and len({x.device for x in tensors}) > 1):
            self.asked.add(name)
        if name.rstrip("_") not in VIEWS:
            self.n += 1
            self.n_bytes += sum(x.numel() * x.element_size() for x in tensors)
        return out


def feed_on(
    bank: Bank, device: torch.device, order: Order = WHOLE, compiled: bool = False
) -> OnlineFeed:
    """Stars of a bank on a device, one label, nothing to standardise by."""
    n_wave = bank.wave.size
    statistics = Statistics(
        bank.wave,
        Normaliser(np.ones(n_wave), np.ones(n_wave)),
        LabelScale(np.zeros(1), np.ones(1)),
    )
    source = BankOnDevice(bank, PRIOR.ranges, 0, device)
    return OnlineFeed(source, ("logg",), statistics, order, Share(), 1, compiled)
