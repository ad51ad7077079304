"""What went wrong on a host, as one page to read and to keep: a span of snapshots folded into tracks, and drawn."""
