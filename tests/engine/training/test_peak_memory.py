from __future__ import annotations

from engine.training.peak_memory import PeakMemory


def use_for_a_moment(size_bytes: int) -> None:
    block = bytearray(b"\x01" * size_bytes)
    del block


def test_the_peak_remembers_what_was_given_back() -> None:
    peak = PeakMemory()
    before = peak.look()
    use_for_a_moment(200_000_000)
    assert peak.look() >= before + 150_000_000


def test_a_new_run_begins_with_a_new_peak() -> None:
    first = PeakMemory()
    use_for_a_moment(200_000_000)
    peak_of_first = first.look()
    assert PeakMemory().look() < peak_of_first - 150_000_000
