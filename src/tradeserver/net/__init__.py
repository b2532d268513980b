"""Sockets, HTTP, back-off: knows bytes, not markets."""
