"""Configuration becomes adapters: the one place where names become objects."""
