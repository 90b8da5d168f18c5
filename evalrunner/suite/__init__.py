"""What the user wrote: configuration, suites, goldens and templates, read and found good."""
