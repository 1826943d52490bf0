"""What is known about tuning, as tables: techniques, their settings, and which combinations make sense. Pure; no torch."""
