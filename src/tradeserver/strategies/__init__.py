"""Strategies: market views in, opportunities out. Pure."""
