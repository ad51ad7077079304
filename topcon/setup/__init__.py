"""Files that are ready to use, for ``topcon setup``: a service, a scrape config, alert rules, dashboards, settings."""

DASHBOARD_NAMES = ("host", "pod", "container", "findings")
"""Here, so that the command line can name them without making them."""
