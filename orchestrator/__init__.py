"""orchestrate: several vLLM services on the GPUs of one machine, known to start before anything starts."""

__version__ = "0.1.0"
