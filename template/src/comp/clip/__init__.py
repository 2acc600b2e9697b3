"""CLIP: fine-tuned from its own words."""
