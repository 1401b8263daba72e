"""YAML text in, profiles and findings out."""
