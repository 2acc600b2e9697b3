"""Which images a vector finds, and how good that ranking is."""
