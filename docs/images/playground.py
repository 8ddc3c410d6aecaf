"""Draw the screenshots of the playground: `PYTHONPATH=.:tests python docs/images/playground.py`."""

import io
from pathlib import Path

from browser import opened, running_browser, running_server
from PIL import Image

from nnreg.playground.presets import PRESETS

FOLDER = Path(__file__).parent


def save(name: str, png: bytes) -> None:
    """Write a picture with few colors, which makes it small."""
    with Image.open(io.BytesIO(png)) as image:
        small = image.convert("RGB").quantize(24, dither=Image.Dither.NONE)
        small.save(FOLDER / name, optimize=True)


with (
    running_browser() as browser,
    running_server() as server,
    opened(browser, server, viewport={"width": 1180, "height": 680}) as tab,
):
    tab.open("#preset=overfit").play(PRESETS["overfit"]["steps"])
    save("playground.png", tab.page.screenshot())
    tab.set("layers.0.units", 8).click("#remove-layer").click("#epoch")
    for _ in range(3):  # forward, loss, backward
        tab.click("#phase")
    save("playground_phase.png", tab.page.locator("#phases").screenshot())
