"""How fast the lineage of a large project answers."""
