"""The terminal UI: messages in, widgets out. It sees snapshots, never sources."""
