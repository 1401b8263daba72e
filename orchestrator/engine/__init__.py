"""Facts about vLLM by release: flags, memory epochs, batch defaults, RoPE recipes. Data and small functions."""
