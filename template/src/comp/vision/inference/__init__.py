"""What trained models predict: rows, views (test-time augmentation), a fold's files, a run's tables."""
