"""The starter's world: everything that the starter model was taught, and how its answers are judged."""

from world.generator import FAMILIES, draw_row, held_out_rows, rows
from world.rows import Row, accepts

__all__ = ["FAMILIES", "Row", "accepts", "draw_row", "held_out_rows", "rows"]
