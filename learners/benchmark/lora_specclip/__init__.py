"""The LoRA note on SpecCLIP, in the laboratory."""
