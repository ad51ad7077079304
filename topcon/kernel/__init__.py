"""Readers of the kernel's files. Each takes its root as an argument and knows nothing of containers' names."""
