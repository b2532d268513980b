"""Market data on disk: other people's formats in, Parquet out, checked on the way."""
