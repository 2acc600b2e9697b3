"""What the competition gave: its tables, each row's image and metadata, the sample submission."""
