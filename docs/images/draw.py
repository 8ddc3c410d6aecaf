"""Draw the picture of README.md and of the start page again: the curves of `nnreg compare`.

The command's report contains the picture for each background and width of screen. Run this from the
root of the repository: ``python docs/images/draw.py``.
"""

import base64
import re
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("", "curves_narrow.svg", "curves_dark.svg", "curves.svg")

with tempfile.TemporaryDirectory() as folder:
    report = Path(folder, "report", "report.html")
    command = [sys.executable, "-m", "nnreg", "compare", "--out", str(report.parent)]
    subprocess.run(command, check=True)
    curves = report.read_text().partition("<picture>")[2].partition("</picture>")[0]

for name, data in zip(NAMES, re.findall(r"base64,([^\"]*)", curves), strict=True):
    if name:  # coordinates with two decimals are enough
        svg = re.sub(rb"(\d\d\.\d\d)\d+", rb"\1", base64.b64decode(data))
        Path(__file__).with_name(name).write_bytes(svg)
