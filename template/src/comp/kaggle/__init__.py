"""Kaggle from the command line: the competition's files, and submissions with their scores."""
