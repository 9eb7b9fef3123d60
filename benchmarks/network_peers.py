"""A training step of SpecViT at its full size beside transformers of other libraries, on a CPU.

    pip install timm transformers torchvision      # in any environment this one can import from
    python -m benchmarks.network_peers [--rounds 8]

Same tokens, width, depth, heads and pixels, no dropout; forward and backward pass on one thread.
The networks take turns; told is the processor time, which others on the machine cannot spend.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from benchmarks.timing import machine
from starsmith.learners.networks import create_model
from starsmith.learners.networks.blocks import ConvTokenizer

__all__ = ["main"]

N_WAVE, PATCH, DIM, DEPTH, N_HEAD = 4096, 16, 256, 6, 8
Network = tuple[nn.Module, Callable[[torch.Tensor], torch.Tensor]]


class TorchEncoder(nn.Module):
    """Torch's own encoder between our tokenizer and head."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = ConvTokenizer(N_WAVE, DIM, PATCH, PATCH)
        self.summary = nn.Parameter(torch.zeros(1, 1, DIM))
        self.positions = nn.Parameter(torch.zeros(1, N_WAVE // PATCH + 1, DIM))
        layer = nn.TransformerEncoderLayer(
            DIM, N_HEAD, 4 * DIM, 0.0, "gelu", batch_first=True, norm_first=True
        )
        norm = nn.LayerNorm(DIM)
        self.encoder = nn.TransformerEncoder(layer, DEPTH, norm, enable_nested_tensor=False)
        self.head = nn.Linear(DIM, 1)

    def forward(self, flux: torch.Tensor) -> torch.Tensor:
        """Predict one label."""
        summary = self.summary.expand(len(flux), -1, -1)
        tokens = torch.cat([summary, self.tokenizer(flux)], dim=1) + self.positions
        return self.head(self.encoder(tokens)[:, 0])


def huggingface() -> Network:
    """ViT of transformers, with torch's attention."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        image_size=(1, N_WAVE),
        patch_size=(1, PATCH),
        num_channels=1,
        hidden_size=DIM,
        num_hidden_layers=DEPTH,
        num_attention_heads=N_HEAD,
        intermediate_size=4 * DIM,
        num_labels=1,
        attn_implementation="sdpa",
    )
    network = ViTForImageClassification(config)
    return network, lambda flux: network(flux[:, None, None]).logits


def timm_vit() -> Network:
    """VisionTransformer of timm."""
    from timm.models.vision_transformer import VisionTransformer

    network = VisionTransformer(
        img_size=(1, N_WAVE),
        patch_size=(1, PATCH),
        in_chans=1,
        num_classes=1,
        embed_dim=DIM,
        depth=DEPTH,
        num_heads=N_HEAD,
    )
    return network, lambda flux: network(flux[:, None, None])


def networks() -> dict[str, Network]:
    """Ours first; peers that are installed."""
    ours, encoder = create_model("specvit", ["logg"], n_wave=N_WAVE, dropout=0.0), TorchEncoder()
    found: dict[str, Network] = {
        "starsmith `specvit`": (ours, ours),
        f"torch {torch.__version__} `TransformerEncoder`": (encoder, encoder),
    }
    for package, make in (("transformers", huggingface), ("timm", timm_vit)):
        if importlib.util.find_spec(package) is not None:
            found[f"{package} {version(package)}"] = make()
    return found


def report(size: int, rounds: int) -> str:
    """Table in markdown: median and quartiles of processor time, and of the ratio to ours."""
    torch.set_num_threads(1)
    flux, found = torch.randn(size, N_WAVE), networks()
    spent: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(rounds + 1):  # the first warms up
        for name, (network, call) in found.items():
            network.train()
            network.zero_grad(set_to_none=True)
            start = time.process_time()
            call(flux).square().mean().backward()
            spent[name].append((time.process_time() - start) / size)
    costs = {name: np.array(times[1:]) for name, times in spent.items()}
    ours = next(iter(costs.values()))
    lines = [
        f"{machine()}; one thread, batches of {size}, {rounds} rounds in turn",
        "",
        "| network | parameters | ms a spectrum: median (quartiles) | times ours |",
        "|---|---:|---|---|",
    ]
    for name, times in costs.items():
        low, middle, high = 1e3 * np.quantile(times, [0.25, 0.5, 0.75])
        few, ratio, many = np.quantile(times / ours, [0.25, 0.5, 0.75])
        number = sum(p.numel() for p in found[name][0].parameters())
        lines.append(
            f"| {name} | {number:,} | {middle:.0f} ({low:.0f}-{high:.0f}) "
            f"| {ratio:.2f} ({few:.2f}-{many:.2f}) |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4, help="spectra in a batch")
    parser.add_argument("--rounds", type=int, default=8)
    given = parser.parse_args()
    print(report(given.size, given.rounds))


if __name__ == "__main__":
    main()
