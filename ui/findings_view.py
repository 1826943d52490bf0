"""What the curves of a run say, and where its values lie when it is healthy, as the page draws both. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.workspace import Finding, HealthyBand


NOTHING_JUDGED: Mapping[str, object] = {"findings": [], "known": "", "bands": {}}
"""What is said of a run whose curves are not looked at."""


def judged(findings: Sequence[Finding], known: str, bands: Mapping[str, HealthyBand] | None) -> dict[str, object]:
    """Return what the curves say as the page takes it.

    Args:
        findings: All that was found.
        known: The name of what the page shows already; the same is not sent again.
        bands: The healthy stretches, for a page that begins anew.
    """
    name = name_of(findings)
    return {
        "findings": None if name == known else findings_shown(findings),
        "known": name,
        "bands": None if bands is None else bands_shown(bands),
    }


def findings_shown(findings: Sequence[Finding]) -> list[dict[str, object]]:
    """Return what was found, in the order of the flags on the charts."""
    return [
        {"chart": one.chart, "step": one.step, "severity": one.severity.value, "sentence": one.sentence, "suggestion": one.suggestion}
        for one in findings
    ]  # fmt: skip


def name_of(findings: Sequence[Finding]) -> str:
    """Return a short name of what was found, by which a page says that it knows all of it."""
    return f"{zlib.crc32(repr(findings_shown(findings)).encode()):08x}"


def bands_shown(bands: Mapping[str, HealthyBand]) -> dict[str, dict[str, object]]:
    """Return the healthy stretch of each chart that has one."""
    return {chart: {"low": band.low, "high": band.high, "sentence": band.why} for chart, band in bands.items()}
