"""`fit` trains one fold, `train` all of them and predicts again; `projector` is the model."""
