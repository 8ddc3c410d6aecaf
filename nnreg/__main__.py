"""`python -m nnreg` is the command `nnreg`."""

import sys

from nnreg.commands.main import main

sys.exit(main())
