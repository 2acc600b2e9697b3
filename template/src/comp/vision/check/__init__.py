"""`comp check`: a look at the data before anything is trained on it."""
