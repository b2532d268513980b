"""Sans-I/O codecs, one package a venue: bytes in, events out; commands in, bytes out."""
