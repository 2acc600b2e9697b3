"""Facial expressions: a task of images, with pictures of a generator as a second source."""
