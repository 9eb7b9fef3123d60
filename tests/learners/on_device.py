"""Operations of a block of stars and of a step, counted on tensors that hold nothing."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

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
