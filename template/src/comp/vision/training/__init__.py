"""`fit` trains one fold, `train` all of them; what they need before the first step is in `setup`."""
