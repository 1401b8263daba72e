"""Decisions: where each service goes and how much memory it is granted."""
