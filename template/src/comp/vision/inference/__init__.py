"""What trained models predict: rows, views (test-time augmentation), a fold's files, a run's tables."""

WITHOUT_METADATA = "without_metadata.parquet"  # of a fold: its validated rows, predicted by their images alone
