"""Makes the assets' own scripts importable: they are run as scripts and are no part of the installed package."""

import sys
from pathlib import Path

ASSETS = Path(__file__).parents[2] / "assets"
for folder in (ASSETS / "starter", ASSETS / "examples"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
