"""The playground: regularization at work, in a browser, computed by nnreg itself.

One page, in the folder ``page``, and one `Session` behind it: in the local server of `nnreg
playground`, or in Pyodide inside the browser. Both exchange the same messages.
"""

from nnreg.playground.session import Session

__all__ = ["Session"]
