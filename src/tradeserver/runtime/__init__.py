"""The shell: reactor, write-ahead log, journal, supervisor, replay."""
