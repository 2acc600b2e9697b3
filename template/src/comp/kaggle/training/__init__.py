"""`comp kaggle train`: the experiment on Kaggle's two T4, its run fetched back as if it was trained here."""
