"""What `tools/bench` measures: each row is a ratio of two things measured in turns, in one run."""
