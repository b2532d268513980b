"""The decisions: pure, synchronous, deterministic. No clock, no dice, no sockets."""
