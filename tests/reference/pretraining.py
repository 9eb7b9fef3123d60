"""Slow twins of networks that learn without labels: loops and float64, from the definitions."""

import numpy as np
from scipy.special import erf, log_softmax, softmax


def gelu(x):
    return 0.5 * x * (1.0 + erf(x / np.sqrt(2.0)))


def linear(weights, name, x):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def layer_norm(weights, name, x):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def lrs_tokens(flux, patch=20, stride=10):
    """Tokens of one spectrum: (n_patch + 1, patch + 1), the first of log10 of its std."""
    std = flux.std(ddof=1)
    scaled = (flux - flux.mean()) / std
    starts = range(0, flux.size - patch + 1, stride)
    tokens = np.zeros((len(starts) + 1, patch + 1))
    tokens[0, 0] = np.log10(std)
    for k, start in enumerate(starts):
        tokens[k + 1, 1:] = scaled[start : start + patch]
    return tokens


def chunk_starts(uniform, n_token, width):
    """First tokens of chunks: (i n_token) // n plus a whole number below n_token // n - width."""
    n = len(uniform)
    return [i * n_token // n + int(u * (n_token // n - width)) for i, u in enumerate(uniform)]


def hide(tokens, uniform, width, leaky, patch=20, stride=10):
    """Tokens with the hidden elements at zero; tight hiding asks of every element its pixel."""
    shown, chosen = tokens.copy(), set()
    for start in chunk_starts(uniform, len(tokens), width):
        chosen |= set(range(start, start + width))
    gone = {(k - 1) * stride + j for k in chosen if k for j in range(patch)}
    for k in range(len(tokens)):
        for j in range(patch):
            hidden = k in chosen if leaky else (k - 1) * stride + j in gone
            if k and hidden:
                shown[k, 1 + j] = 0.0
    if 0 in chosen:
        shown[0] = 0.0
    return shown


def attention(weights, name, x, n_head, scale):
    dim = x.shape[1]
    query = linear(weights, f"{name}.q_proj", x)
    key, value = np.split(linear(weights, f"{name}.kv_proj", x), 2, axis=1)
    mixed = np.empty_like(x)
    for head in range(n_head):
        own = slice(head * dim // n_head, (head + 1) * dim // n_head)
        weight = softmax(scale * query[:, own] @ key[:, own].T, axis=1)
        mixed[:, own] = weight @ value[:, own]
    return linear(weights, f"{name}.out_proj", mixed)


def contextual(weights, tokens, depth, n_head, scale):
    x = linear(weights, "data_embed", tokens) + weights["position_embed.weight"][: len(tokens)]
    for k in range(depth):
        block = f"blocks.{k}"
        normed = layer_norm(weights, f"{block}.ln1", x)
        x = x + attention(weights, f"{block}.attention", normed, n_head, scale)
        hidden = gelu(linear(weights, f"{block}.mlp.0", layer_norm(weights, f"{block}.ln2", x)))
        x = x + linear(weights, f"{block}.mlp.2", hidden)
    return layer_norm(weights, "final_layernorm", x)


def masked_loss(guess, target, shown):
    """Published loss: MSE(out m, target m) / mean(m), m where the mask changed a value."""
    m = (shown != target).astype(float)
    return ((guess * m - target * m) ** 2).mean() / m.mean()


def adamw_first(weight, gradient, rate, decay, eps=1e-8):
    """Weights after AdamW's first step: its bias-corrected moments are g and g^2."""
    return weight * (1 - rate * decay) - rate * gradient / (np.abs(gradient) + eps)


def autoencoder(weights, flux, depth):
    """Input with mean and std before it, latent, and what is restored, of one spectrum."""
    std = flux.std(ddof=1)
    inputs = np.concatenate([[flux.mean(), std], (flux - flux.mean()) / std])

    def blocks(name, x):
        for k in range(depth):
            normed = layer_norm(weights, f"{name}.{k}.norm", x)
            hidden = gelu(linear(weights, f"{name}.{k}.mlp.0", normed))
            x = linear(weights, f"{name}.{k}.mlp.3", hidden)
        return x

    hidden = blocks("encoder_blocks", linear(weights, "input_proj", inputs))
    latent = layer_norm(weights, "bottleneck_norm", linear(weights, "bottleneck_down", hidden))
    hidden = blocks("decoder_blocks", linear(weights, "bottleneck_up", latent))
    return inputs, latent, hidden, linear(weights, "output_proj", hidden)


def contrastive(first, second, scale):
    """Loss of pairs, star by star and way by way."""
    units = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second)]
    logits = scale * units[0] @ units[1].T
    n = len(logits)
    ways = [-sum(log_softmax(way[k])[k] for k in range(n)) / n for way in (logits, logits.T)]
    return sum(ways) / 2
