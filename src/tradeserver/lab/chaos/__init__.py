"""Chaos: the whole product against the simulated venues, with everything going wrong that can.

`harness` joins both sides under simulated time; the fault matrix, the randomised runs and the kills are built on it.
"""
