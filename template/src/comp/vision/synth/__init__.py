"""Generated images: how many are wanted, which are let in, and what is trained with them."""
