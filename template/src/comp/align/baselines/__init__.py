"""Closed forms that a network has to beat: ridge, Procrustes, CCA, neighbors, kernel ridge."""
