"""Invented training data of any size, with everything that is planted in it written down beside it."""
