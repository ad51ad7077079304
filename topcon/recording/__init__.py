"""Recordings: what was sampled, kept in a file, and derived anew when somebody looks at it."""
