"""`comp handover`: what Kaggle asks of winners, from what the runs have stored."""
