"""Known GPUs and models, with provenance."""
