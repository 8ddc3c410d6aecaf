"""The archive that Gradescope takes as an autograder: scripts, nnreg, and the exercise.

``setup.sh`` installs the Python version and the package versions with which the archive was
written, so that a submission gets the same score on both machines.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import nnreg
from nnreg._support.files import check_target, write_whole
from nnreg.course.grading.exercises import Exercise, exercise

SETUP = """\
#!/usr/bin/env bash
# Gradescope runs this once, as root, when it builds the image.
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends ca-certificates python3-pip
# The image's Python may be too old for nnreg. uv, which pip installs, uses it if its version is
# the required one, and downloads that version otherwise.
python3 -m pip install --target /opt/uv uv
/opt/uv/bin/uv venv --clear --python {python} /opt/nnreg
/opt/uv/bin/uv pip install --python /opt/nnreg/bin/python {packages}
# An image in which the exercise cannot be read is not built.
PYTHONPATH=/autograder/source /opt/nnreg/bin/python -c \\
    "import sys; from nnreg.course import exercise; print(exercise(sys.argv[1]).title)" {exercise}
"""

RUN = """\
#!/usr/bin/env bash
# Gradescope runs this for each submission. There is a results.json in every case: this one, until
# nnreg replaces it by the grade, or by the reason why the submission cannot be graded.
results=/autograder/results/results.json
mkdir -p /autograder/results
cat > "$results" <<'END'
{{"score": 0, "output": "The autograder failed or took more than 9 minutes. Ask your instructor."}}
END
cd /autograder
PYTHONPATH=/autograder/source timeout 540 /opt/nnreg/bin/python -P -c \\
    "import sys; from nnreg.commands.main import main; sys.exit(main())" \\
    grade submission --exercise {exercise} --json "$results" --force
exit 0
"""


def write_archive(
    source: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write the autograder of an exercise for Gradescope.

    It contains this installation of nnreg. It grades a file of any name, notebook or Python; of
    several files the one with the most points counts. It writes a ``results.json`` in every case.

    Parameters
    ----------
    source : str or path
        The exercise, as for :func:`~nnreg.course.exercise`.
    path : path
        The archive.
    overwrite : bool, default False
        Whether a file that exists is replaced.

    Raises
    ------
    OSError
        If the file exists, or cannot be written.
    ValueError
        If there is no such exercise.

    Examples
    --------
    >>> import pathlib, tempfile, zipfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "autograder.zip")
    >>> write_archive("exercise_1", path)
    >>> zipfile.ZipFile(path).namelist()[:2]
    ['setup.sh', 'run_autograder']
    """
    check_target(path, overwrite=overwrite)
    exercise_ = exercise(source)
    files = [Path(file) for file in exercise_.files]
    name = f"/autograder/source/exercise/{files[0].name}" if files else exercise_.source
    words = {
        "exercise": shlex.quote(name),
        "python": "{}.{}".format(*sys.version_info),
        "packages": " ".join(_requirements(exercise_)),
    }
    content = {
        "setup.sh": SETUP.format(**words).encode(),
        "run_autograder": RUN.format(**words).encode(),
        **{f"exercise/{file.name}": file.read_bytes() for file in files},
    }
    package = Path(nnreg.__file__).parent
    for file in sorted(package.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            content[f"nnreg/{file.relative_to(package).as_posix()}"] = file.read_bytes()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for entry, data in content.items():
            info = zipfile.ZipInfo(entry)  # with a fixed date: equal content is an equal file
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o644 if "/" in entry else 0o755) << 16
            target.writestr(info, data)
    write_whole(path, archive.getvalue(), overwrite=overwrite)


def _requirements(exercise_: Exercise) -> list[str]:
    """Return the installed versions of what nnreg needs and of what a submission may import."""
    distributions = metadata.packages_distributions()
    modules = {"numpy", "scipy", "threadpoolctl", *exercise_.modules} - {"nnreg"}
    names = {distributions[module][0] for module in modules if module in distributions}
    return [f"{name}=={metadata.version(name)}" for name in sorted(names)]
