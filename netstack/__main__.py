"""`python -m netstack` is the `netstack` command."""

import sys

from netstack.cli import main

if __name__ == "__main__":
    sys.exit(main())
