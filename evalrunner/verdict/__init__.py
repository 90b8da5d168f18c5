"""What it means: pure arithmetic over results."""
