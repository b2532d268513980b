"""Telling people: what of the log is worth a message, how ten thousand of them become a few, and who carries them.

`notices` says what is told, `pile` collapses it, `discord` and `apprise` carry it, `summary` and `picture` make the
day's report, `sink` is all of it as the relay drives it. Nothing of this runs in the trading process.
"""
