"""Measures whole processes on the same work and holds the figures against the goals."""
