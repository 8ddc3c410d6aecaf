"""`python -m nnreg` is the command `nnreg`."""

import sys

from nnreg.cli import main

sys.exit(main())
