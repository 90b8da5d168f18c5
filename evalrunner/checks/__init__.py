"""What is good: pure checks, which ask for model calls and never make them."""
