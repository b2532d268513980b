"""A stand-in exchange: another program, which shares only `wire` with the trader."""
