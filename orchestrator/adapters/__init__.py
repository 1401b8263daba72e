"""One door per stranger: NVML, files, the Hugging Face hub."""
