"""What a run is worth and what can be taken away from it: comparisons, exports."""
