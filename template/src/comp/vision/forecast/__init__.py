"""What a training will take of time and memory, before it is started."""
