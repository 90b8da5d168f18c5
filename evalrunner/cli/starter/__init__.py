"""Files that `evalrunner init` writes."""
