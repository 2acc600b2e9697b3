"""The network of two towers: its prompts, its image tower, its heads."""
