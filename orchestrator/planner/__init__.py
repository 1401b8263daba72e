"""Decisions: where each service goes and how much memory it is granted."""

from orchestrator.planner.planning import plan

__all__ = ["plan"]
