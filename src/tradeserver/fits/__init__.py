"""Slow statistics, for the worker process and for backtests. The daemon never imports what is in here."""
