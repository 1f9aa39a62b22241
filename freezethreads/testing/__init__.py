"""What helps to test a program that can be frozen. Importing it imports no test framework."""
