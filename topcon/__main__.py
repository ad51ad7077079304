"""``python -m topcon``."""

import sys

from topcon.cli import main

if __name__ == "__main__":
    sys.exit(main())
