"""What is known beforehand of the data that are not shipped: MNIST and Fashion-MNIST.

Both are four files of the same names. What a file *is* is told by the SHA-256 of its decompressed
bytes, whoever compressed it.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnreg.datasets.bundled import DIGIT_NAMES

FASHION_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
"""Classes of Fashion-MNIST, 0 to 9."""


@dataclass(frozen=True)
class Published:
    """What is known beforehand of a data set that is not shipped.

    Parameters
    ----------
    digests : dict of str to str
        For each name in `PARTS` the SHA-256 of the decompressed file.
    mirrors : tuple of str
        Addresses that have the files under these names with ``.gz``, tried in this order.
    class_names : tuple of str
        The ten classes.
    licence : str
        The licence, and who states it.

    Examples
    --------
    >>> PUBLISHED["fashion-mnist"].class_names[9]
    'Ankle boot'
    """

    digests: dict[str, str]
    mirrors: tuple[str, ...]
    class_names: tuple[str, ...]
    licence: str


PUBLISHED = {
    "mnist": Published(
        digests={
            "train-images-idx3-ubyte": (
                "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
            ),
            "train-labels-idx1-ubyte": (
                "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
            ),
            "t10k-images-idx3-ubyte": (
                "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
            ),
            "t10k-labels-idx1-ubyte": (
                "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
            ),
        },
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        class_names=DIGIT_NAMES,
        licence="CC BY-SA 3.0 as stated by its distributors",
    ),
    "fashion-mnist": Published(
        digests={
            "train-images-idx3-ubyte": (
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
            ),
            "train-labels-idx1-ubyte": (
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
            ),
            "t10k-images-idx3-ubyte": (
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
            ),
            "t10k-labels-idx1-ubyte": (
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
            ),
        },
        mirrors=(
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        class_names=FASHION_NAMES,
        licence="MIT, Zalando SE",
    ),
}
"""The data sets by name, which is also the name of the folder that holds one."""
