"""The submission, a blend of several runs, and the score where a solution is known."""
