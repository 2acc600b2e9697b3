"""The submission, as the sample submission shows it, and its score where a solution is known."""
