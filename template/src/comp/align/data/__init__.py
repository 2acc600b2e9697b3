"""The captions and images of the competition, the form of its submission, and what a fold trains on."""
