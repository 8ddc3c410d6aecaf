"""The command `nnreg playground`: a page on which regularization is seen at work."""

from __future__ import annotations

import argparse
import threading
import webbrowser
from pathlib import Path

from nnreg._support.blas import blas_threads
from nnreg._support.validation import one_of
from nnreg._support.validation import whole as check_whole
from nnreg.commands.shared import Commands, Options, add_command, whole
from nnreg.playground.presets import PRESETS
from nnreg.playground.server import MAX_SESSIONS, Server
from nnreg.playground.single_file import export_page

DESCRIPTION = (
    "Open a page in the browser on which networks are trained while their settings are changed: "
    "L2, L1, dropout, max-norm, early stopping, learning rate. The numbers are computed by nnreg "
    "in this process; the page loads nothing from the network. Ctrl-C ends it."
)

OPTIONS: Options = {
    "port": {"type": whole, "metavar": "N", "help": "port of the server (default: a free one)"},
    "no-browser": {"action": "store_true", "help": "print the address only"},
    "preset": {"metavar": "NAME", "help": f"the lesson to begin with: {', '.join(PRESETS)}"},
}

EXPORT: Options = {
    "export": {
        "type": Path,
        "metavar": "FILE.html",
        "help": "write the page as one file that runs nnreg in the browser, and end",
    },
    "pyodide": {
        "type": Path,
        "metavar": "FOLDER",
        "help": "for --export: the files of a Pyodide release, with the wheel of NumPy; the wheel "
        "is checked against pyodide-lock.json",
    },
    "force": {"action": "store_true", "help": "for --export: replace the file if it exists"},
}

RULES = {
    "security": "The server listens on this machine only (127.0.0.1), and answers only if the "
    "address has the random part that is printed. Data that are dropped on the page stay in this "
    f"process, and no file is read or written. The {MAX_SESSIONS} tabs used last are kept.",
}


def add(commands: Commands) -> None:
    """Add the command to the parser."""
    parts = {
        "run": run,
        "help": "train networks in the browser, with every setting changeable during training",
        "description": DESCRIPTION,
        "options": {"page": OPTIONS, "one file": EXPORT},
        "rules": RULES,
    }
    add_command(commands, "playground", parts)


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, and return the exit status."""
    path, folder = getattr(args, "export", None), getattr(args, "pyodide", None)
    if bool(path) != bool(folder):
        raise ValueError("export and pyodide belong together: --export FILE.html --pyodide FOLDER")
    if path and folder:
        size = export_page(path, folder, overwrite=getattr(args, "force", False))
        print(f"wrote {path}: {size / 1e6:.1f} MB")
        return 0
    preset = getattr(args, "preset", None)
    part = "" if preset is None else f"#preset={one_of('preset', preset, PRESETS)}"
    with Server(check_whole("port", getattr(args, "port", 0), 0, 65535)) as server:
        print(f"{server.address}{part}\nCtrl-C ends the playground", flush=True)
        if not getattr(args, "no_browser", False):
            # in a thread, since the call of a browser in a terminal ends with the browser
            open_page = threading.Thread(
                target=webbrowser.open, args=(server.address + part,), daemon=True
            )
            open_page.start()
        try:
            with blas_threads(1):
                server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0
