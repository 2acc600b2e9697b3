"""One page about a run, and how its predictions compare with the truth, with chance and with baselines."""
