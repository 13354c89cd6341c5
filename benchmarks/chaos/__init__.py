"""make chaos: an installation under a thousand faults, and an oracle that looks for anything lost or done twice."""
