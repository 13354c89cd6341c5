"""What is made of an adapter, merged and quantised, proven equal to it, and its faults named."""
