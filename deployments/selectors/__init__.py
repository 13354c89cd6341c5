"""Reads of the deployments app: evidence, and what its pages show."""
