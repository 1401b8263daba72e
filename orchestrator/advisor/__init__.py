"""Questions before a purchase: which form of a model fits which card, at what price, and what to write."""
