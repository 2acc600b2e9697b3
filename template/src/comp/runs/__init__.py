"""`runs/<name>/`: what an experiment leaves behind, the leaderboard, and runs as members of a combination."""
