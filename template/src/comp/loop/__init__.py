"""What any training loop needs: its state, when that is saved, epochs, the learning rate, seeds, trackers."""
