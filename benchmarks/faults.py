"""Do to runs what machines and people do to them, with real processes, and say which survive.

    make faults [ARGS="--only disk --keep /tmp/there"]     all faults, a table into faults.md
    make soak                                              the same with 200 kills at random moments, and Start from two windows 100 times

The engine is not changed: a process that shall die at a certain moment is the engine's own command line, started by
`benchmarks/survival/doomed.py`, which replaces one function by one that ends the process. Small disks are mounted in a namespace of
our own (`unshare -Urm`); where that is not allowed those faults are not tried, and the table says so.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # started as a file, `benchmarks` is not found otherwise

from benchmarks.survival import disks, folders, kills, numbers, processes, repairs, screens  # noqa: E402
from benchmarks.survival.fault import Fault, Laboratory, Seen  # noqa: E402
from benchmarks.survival.launching import Warm  # noqa: E402
from benchmarks.survival.trial import SAVE_STEPS, Tally  # noqa: E402

RESULT = Path(__file__).with_name("faults.md")
INSIDE = "LUTHIER_FAULTS_INSIDE"
SEED = 20261128
PAIRS_OF_PROCESSES, PAIRS_OF_PAGES = 90, 10
"""In which Start is pressed at the same moment."""


@dataclass(frozen=True)
class Tried:
    """A fault and what came of it."""

    fault: Fault
    seen: Seen
    seconds: float


def all_faults(*, is_soak: bool) -> list[Fault]:
    """Return every fault; the long version has more kills at random moments."""
    random_kills, warm_kills = (20, 180) if is_soak else (3, 12)
    return [
        *kills.faults(random_kills, warm_kills, SEED),
        *disks.faults(),
        *repairs.faults(),
        *numbers.faults(),
        *folders.faults(),
        *processes.faults(PAIRS_OF_PROCESSES),
        *screens.faults(PAIRS_OF_PAGES),
    ]


def attempt(fault: Fault, laboratory: Laboratory) -> Tried:
    """Try one; what goes wrong in the trying counts as not survived, and is said."""
    started = time.monotonic()
    try:
        seen = fault.attempt(laboratory)
    except Exception as error:
        traceback.print_exc()
        seen = Seen(f"the trial itself failed: {type(error).__name__}: {error}"[:300], False)
    says = seen.says.replace(str(laboratory.folder), "…")
    return Tried(fault, replace(seen, says=says), time.monotonic() - started)


WORDS = {True: "yes", False: "**NO**", None: "not tried"}


def page(tried: Sequence[Tried], tally: Tally, command: str) -> str:
    """Write the table."""
    survived = sum(one.seen.survived is True for one in tried)
    untried = sum(one.seen.survived is None for one in tried)
    lines = [
        "# What runs survive", "",
        f"Written by `{command}` on {date.today()}: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
        f"{platform.system()}; Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "trl", "gradio")) + ".", "",
        f"{survived} of {len(tried) - untried} faults survived" + (f", {untried} could not be tried here" if untried else "")
        + f". {tally.kills:,} processes killed; {tally.acknowledged:,} acknowledged events looked for, {tally.lost:,} lost; "
        f"{tally.resumes:,} runs gone on with, {tally.failed_resumes:,} of them failed. At most {tally.most_steps_lost} steps were taken "
        f"again, {tally.most_saves_lost:.0%} of the steps between two saves (a save every {SAVE_STEPS} steps, every "
        f"{kills.RANDOM_SAVE_STEPS} in the random kills; where checkpoints themselves were destroyed, not counted).", "",
        "Equal means: losses, gradient norms and held-out losses of every step, watched answers and every saved weight are those of a run "
        "that nobody hurt, to the last bit.", "",
    ]  # fmt: skip
    family = ""
    for one in tried:
        if one.fault.family != family:
            family = one.fault.family
            lines += ["", f"## {family}", "", "| what was done | expected | seen | survived |", "|---|---|---|---|"]
        cells = (one.fault.done, one.fault.expected, one.seen.says, WORDS[one.seen.survived])
        lines.append(f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Try the faults that were asked for, print a line each, and write the table when all were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soak", action="store_true", help="the long version")
    parser.add_argument(
        "--only", metavar="WORDS", help="faults whose family or first column holds these words; writes no table"
    )
    parser.add_argument(
        "--forked", action="store_true", help="fork every process: quicker, and no process is started as a person does"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work there, and leave everything")
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args(argv)
    faults = [
        fault for fault in all_faults(is_soak=arguments.soak)
        if not arguments.only or arguments.only in f"{fault.family}: {fault.done}"
    ]  # fmt: skip
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="luthier-faults-"))
    folder.mkdir(parents=True, exist_ok=True)
    tried: list[Tried] = []
    with Warm() as warm:
        laboratory = Laboratory(folder, warm, _small_disks(folder))
        laboratory.cold = warm if arguments.forked else laboratory.cold
        for number, fault in enumerate(faults, start=1):
            tried.append(attempt(fault, laboratory))
            one = tried[-1]
            says = (
                f"[{number}/{len(faults)}] {WORDS[one.seen.survived]:9} {fault.family}: {fault.done} -> {one.seen.says}"
            )
            print(f"{says} ({one.seconds:.0f} s)", flush=True)
    command = "make soak" if arguments.soak else "make faults"
    text = page(tried, laboratory.tally, command)
    print(text)
    if not arguments.only:
        arguments.result.write_text(text, encoding="utf-8")
    if not arguments.keep:
        shutil.rmtree(folder, ignore_errors=True)
    return int(any(one.seen.survived is False for one in tried))


def _small_disks(folder: Path) -> Path | None:
    """Return where small disks may be mounted, None where the system does not let us."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    allowed = (
        os.environ.get(INSIDE)
        and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place]).returncode == 0
    )
    if allowed:
        subprocess.run(["umount", place], check=True)
    return place if allowed else None


def _go_inside() -> None:
    """Become a process that may mount disks which nobody else sees, where the system has such namespaces."""
    if INSIDE in os.environ or not shutil.which("unshare"):
        return
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True).returncode == 0:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "-Urm", sys.executable, *sys.argv])


if __name__ == "__main__":
    _go_inside()
    sys.exit(main())
