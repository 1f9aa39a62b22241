"""One module for each foreign library; none is imported by anybody but its user."""
