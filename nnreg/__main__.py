"""`python -m nnreg` is the command `nnreg`."""

import sys

from nnreg_command import main

sys.exit(main())
