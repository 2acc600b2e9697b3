"""Predicting without training, and with weights in between."""
