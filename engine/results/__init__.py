"""What a tuned model is worth: comparison, measuring and export."""
