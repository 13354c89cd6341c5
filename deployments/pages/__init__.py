"""What pages and files of this app show, put together from reads and drawings."""
