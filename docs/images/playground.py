"""Draw the pictures of the playground: `PYTHONPATH=.:tests python docs/images/playground.py`."""

import io
from pathlib import Path

from browser import Opened, opened, running_browser, running_server
from PIL import Image

from nnreg.playground.presets import PRESETS

FOLDER = Path(__file__).parent
PHASES = ("forward", "loss", "backward", "penalty", "update")


def save(name: str, png: bytes) -> None:
    """Write a picture with few colors, which makes it small."""
    with Image.open(io.BytesIO(png)) as image:
        small = image.convert("RGB").quantize(24, dither=Image.Dither.NONE)
        small.save(FOLDER / f"playground_{name}.png", optimize=True)


def cut(tab: Opened, name: str, first: str, last: str) -> None:
    """Save the part of the page from the top left of an element to the bottom right of another."""
    start, end = (tab.page.locator(each).bounding_box() for each in (first, last))
    clip = {"x": start["x"] - 8, "y": start["y"] - 8}
    clip["width"] = end["x"] + end["width"] + 8 - clip["x"]
    clip["height"] = end["y"] + end["height"] - clip["y"]
    save(name, tab.page.screenshot(clip=clip))


with (
    running_browser() as browser,
    running_server() as server,
    opened(browser, server, viewport={"width": 1180, "height": 2000}) as tab,
):
    for preset, lesson in PRESETS.items():
        tab.open(f"#preset={preset}").play(lesson["steps"])
        if preset == "dropout":
            tab.click("#spread")
        cut(tab, preset, "#alarm" if preset == "divergence" else "#middle", "#curves")
    tab.open("#preset=l2").set("optimizer", "sgd").set("learning_rate", 0.1).play(600)
    cut(tab, "optimizer", "#middle", "#curves")
    tab.open("#preset=l1").click("#export summary").click("[data-what=keras]")
    save("export", tab.page.locator("#export").screenshot())
    tab.open("#preset=overfit").set("layers.0.units", 8).click("#remove-layer").click("#epoch")
    for phase in PHASES:
        tab.click("#phase")
        save(phase, tab.page.locator("#phases").screenshot())
    tab.page.set_viewport_size({"width": 1180, "height": 680})
    tab.open("#preset=overfit").play(PRESETS["overfit"]["steps"])
    save("page", tab.page.screenshot())
