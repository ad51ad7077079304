"""topcon: the containers of a Linux host, read from the kernel and named by their runtimes."""

__version__ = "0.1.0"
