"""Sweeps: what is tried, which runs are stopped early, and which one is proposed."""
