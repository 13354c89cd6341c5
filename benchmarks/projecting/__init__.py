"""Projections held against what runs come to."""
