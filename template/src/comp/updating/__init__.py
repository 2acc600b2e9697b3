"""`comp update`: brings the template's newest code without losing a line of the user's."""
