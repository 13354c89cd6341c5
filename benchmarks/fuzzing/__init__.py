"""Valid files of every format and container, ways to break them, and a quick start for the process that reads them."""
