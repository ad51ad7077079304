"""Widgets that draw lines of spans; none knows what a container is."""
