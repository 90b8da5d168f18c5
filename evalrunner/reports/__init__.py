"""What is said: renderings of a run report."""
