"""The torture runner: ``python -m stress``, from a checkout."""
