"""How much GPU memory a vLLM worker takes, term by term, with an interval."""
