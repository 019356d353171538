"""The world as arrays: files to clips. Imports nothing else of this package, and no neural network library."""
