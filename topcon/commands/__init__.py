"""The commands: what each takes from the command line, and what it does. Each imports what it needs when it is run."""
