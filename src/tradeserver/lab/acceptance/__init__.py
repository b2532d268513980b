"""What must be seen before a release: one check an item, each against real processes, a verdict a line.

A check takes a working folder and the folder of the shared protocol data, answers one line that says what was seen, and
raises `house.CheckFailedError` where that is not what should have been seen. `python -m tradeserver.lab.acceptance`
runs them.
"""
