"""The Prometheus endpoint. A scrape reads no kernel file: it formats the newest snapshot."""
