"""A few values of a few keys, tried on validated rows, and what of the best one's score is luck."""
