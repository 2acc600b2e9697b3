"""A competition repository's code: data in, cross-validated training, a checked submission out."""
