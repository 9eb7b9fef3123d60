"""Training a network: batches, steps, state, and what stops or breaks a run."""
