"""Combines runs: means and weights (`blend`), learned combiners (`stack`), averaged weights of networks (`soup`)."""
