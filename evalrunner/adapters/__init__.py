"""The outside: one file per outside thing."""
