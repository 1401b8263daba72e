"""Introduces everyone to everyone: arguments, views, exit codes."""
