"""How right the memory model is: recorded start-ups priced as if they were still to come, then compared."""
