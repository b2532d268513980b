"""The run's clock and the back-off: arithmetic, checked by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tradeserver.net.backoff import Backoff, BackoffSettings
from tradeserver.net.clock import RunClock


def test_the_clock_reads_wall_time_once() -> None:
    wall, monotonic = [1_700_000_000_000_000_000], [50]
    clock = RunClock(0, lambda: wall[0], lambda: monotonic[0])
    wall[0] -= 3_600_000_000_000  # somebody sets the machine's clock back
    monotonic[0] = 75
    assert clock() == 1_700_000_000_000_000_025
    assert clock.behind_ns == 0


def test_the_clock_starts_at_the_last_stamp_of_the_log_when_wall_time_is_behind_it() -> None:
    clock = RunClock(2_000, lambda: 500, lambda: 10)
    assert clock() == 2_000
    assert clock.started == 2_000
    assert clock.behind_ns == 1_500


def test_the_real_clock_never_goes_back() -> None:
    clock = RunClock()
    stamps = [clock() for _ in range(1000)]
    assert stamps == sorted(stamps)


def test_waits_double_up_to_the_cap_and_begin_again_after_a_success() -> None:
    backoff = Backoff(BackoffSettings(first_s=0.5, factor=2, cap_s=3, jitter=0.5), lambda: 0.0)
    assert [backoff.next_s() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.reset()
    assert backoff.next_s() == 0.5


def test_jitter_takes_away_at_most_its_share() -> None:
    backoff = Backoff(BackoffSettings(first_s=1, factor=1, cap_s=1, jitter=0.25), iter([0.0, 0.5, 1.0]).__next__)
    assert [backoff.next_s() for _ in range(3)] == [1.0, 0.875, 0.75]


@given(st.integers(0, 3000), st.floats(0, 1, exclude_max=True))
def test_no_wait_exceeds_the_cap_however_often_it_failed(failures: int, die: float) -> None:
    backoff = Backoff(BackoffSettings(), lambda: die)
    backoff.failures = failures
    assert 0 < backoff.next_s() <= 30.0
