"""Backtests: the engine on data sets, from one TOML file to one folder that every reading verb understands."""
