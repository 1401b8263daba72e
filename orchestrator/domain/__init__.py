"""The words of the trade: values that every other room speaks in. Standard library only."""
