"""Limits: how much somebody may do in a time, decided from what was taken before and the time that passed."""
