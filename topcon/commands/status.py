"""The exit statuses of topcon, as the README tells them."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_WARNINGS = 1
EXIT_CRITICAL = 2
EXIT_USAGE = 64
EXIT_UNAVAILABLE = 69
EXIT_INTERRUPTED = 130
