"""Which rows a model trains on and which it is validated on, and where each fold trains."""
