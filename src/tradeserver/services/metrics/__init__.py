"""Numbers for Prometheus, and two pages for whoever asks whether all is well. The relay serves them, never the daemon.

`catalogue` is every metric there is and how records become it, `sink` drives it, `pages` serves it.
"""
