"""Give altered files to every reader of files that may come from elsewhere.

``python tests/fuzz.py --count 200000`` prints how many each reader refused and accepted, and how
many failed. The exit status is 1 if one failed:

- the interpreter ended, or an exception came that the reader does not document;
- more than `--seconds` of processor time (1 unless told), or 256 MiB of memory beyond those at the
  start;
- a file was written, removed or renamed where the reader does not write, code was run, a module
  imported, a process started or a connection opened;
- what was accepted is not valid: see the ``check_`` functions in `fuzz_readers.py`;
- the message has control characters, or more than 4,000 characters.

The input with a number is a function of the seed, the reader's name and the number.
"""

import argparse
import encodings
import importlib
import multiprocessing
import os
import pkgutil
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path

import mutations
from fuzz_readers import READERS, make_seeds

MEMORY = 256 * 2**20
PATIENCE = 60.0  # seconds of real time after which a process is ended
CHUNK = 200  # inputs for one process
FIRST = 10  # files of each reader for the first imports


class TooLongError(BaseException):
    """More processor time than an input may take."""


class Watch:
    """What must not happen while a file is read: an audit hook, a clock and the memory."""

    WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    REFUSED = ("exec", "import", "os.", "shutil.", "subprocess.", "socket.", "pickle.", "ctypes.")
    HARMLESS = (
        *("os.listdir", "os.scandir", "os.getxattr", "os.fspath"),
        *("ctypes.cdata", "ctypes.cdata/buffer"),  # arrays of a network, given to BLAS
    )
    OF_WRITERS = ("os.rename", "os.remove", "os.mkdir", "os.link", "os.chmod")

    def __init__(self, limit):
        self.limit = limit
        self.reader, self.folder = None, ""
        self.seen = []
        sys.addaudithook(self.hook)
        signal.signal(signal.SIGPROF, self.end)
        self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))

    def hook(self, event, arguments):
        if self.reader is None:
            return
        if event == "open":
            path, mode, flags = arguments
            wrong = bool(flags & self.WRITING) or (isinstance(mode, str) and mode[:1] in "wax+")
        else:
            path, wrong = arguments and arguments[0], event.startswith(self.REFUSED)
        allowed = event in self.HARMLESS or (
            event == "import" and str(path).startswith(self.reader.imports)
        )
        if self.reader.writes and (event == "open" or event in self.OF_WRITERS):
            allowed = ".." not in str(path) and str(path).startswith(self.folder)
        if wrong and not allowed:
            self.seen.append(f"{event} {str(path)[:100]}")
            raise PermissionError(f"refused: {event}")

    def end(self, *_):
        raise TooLongError

    def run(self, reader, folder, given):
        """Return the outcome for one input, and what failed."""
        self.seen.clear()
        begun, self.folder = time.process_time(), str(folder)
        signal.setitimer(signal.ITIMER_PROF, self.limit)
        outcome, text = "accepted", ""
        try:
            self.reader = reader
            reader.check(reader.read(folder, given), folder, given)
        except reader.errors as error:
            outcome, message = "refused", str(error)
            if len(message) > 4000 or not message.replace("\n", "").isprintable():
                text = f"its message is long or not printable: {message[:200]!r}"
            causes = [error]
            while causes[-1].__context__ is not None:
                causes.append(causes[-1].__context__)
            if any(isinstance(cause, MemoryError) for cause in causes):
                text = "more memory is asked for"
        except BaseException as error:
            signal.setitimer(signal.ITIMER_PROF, 0)
            last = [f for f in traceback.extract_tb(error.__traceback__) if "nnreg" in f.filename]
            place = f"{Path(last[-1].filename).name}:{last[-1].lineno}" if last else ""
            text = f"{type(error).__name__} {place} {str(error)[:200]!r}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.reader = None
        seconds = time.process_time() - begun
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - self.memory
        if self.seen:
            text = f"side effect: {self.seen[0]}"
        elif seconds > self.limit:
            text = f"{seconds:.1f} s of processor time {text}"
        elif memory > MEMORY:
            text = f"{memory / 2**20:.0f} MiB"
        return ("failed" if text else outcome), text


def make_input(seed, name, number, folder):
    """Write an input, and return what its reader needs besides."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return READERS[name].make(random.Random(f"{seed} {name} {number}"), folder)


def work(seed, name, numbers, limit, pipe):
    """Send the outcome for each number; end after one that failed by time or memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        folder = Path(place, "input")
        watch = Watch(limit)
        for number in numbers:
            given = make_input(seed, name, number, folder)
            outcome, text = watch.run(READERS[name], folder, given)
            pipe.send((number, outcome, text))
            if outcome == "failed":
                break


def warm_up():
    """Read a few inputs of each reader, so that modules that it needs are imported."""
    for module in pkgutil.iter_modules(encodings.__path__, "encodings."):
        with suppress(ImportError):  # those of other systems
            importlib.import_module(module.name)
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, reader in READERS.items():
            for number in range(FIRST):
                folder = Path(place, "input")
                given = make_input("first", name, number, folder)
                with suppress(Exception):
                    reader.check(reader.read(folder, given), folder, given)


def fuzz(count, seed, processes, names, limit):
    """Yield a reader's name, the number of an input, the outcome and what failed."""
    fork = multiprocessing.get_context("fork")
    shares = sum(READERS[name].share for name in names)
    tasks = [
        (name, range(start, min(start + CHUNK, each)))
        for name in names
        for each in [count * READERS[name].share // shares]
        for start in range(0, each, CHUNK)
    ]
    tasks.sort(key=lambda task: task[1].start)  # if it is interrupted, all readers had some
    live = {}
    try:
        while tasks or live:
            while tasks and len(live) < processes:
                name, numbers = tasks.pop(0)
                pipe, other = fork.Pipe(duplex=False)
                process = fork.Process(target=work, args=(seed, name, numbers, limit, other))
                process.start()
                other.close()
                live[pipe] = [process, name, numbers, time.monotonic()]
            for pipe in wait(live, timeout=1):
                process, name, numbers, _ = live[pipe]
                with suppress(EOFError):
                    number, outcome, text = pipe.recv()
                    yield name, number, outcome, text
                    live[pipe][2:] = range(number + 1, numbers.stop), time.monotonic()
                    continue
                del live[pipe]
                process.join()
                if process.exitcode:
                    text = f"the process ended with {process.exitcode}"
                    yield name, numbers.start, "failed", text
                    numbers = numbers[1:]
                if numbers:
                    tasks.insert(0, (name, numbers))
            for process, *_, begun in live.values():
                if time.monotonic() - begun > PATIENCE:
                    process.kill()
    finally:
        for process, *_ in live.values():
            process.kill()


def main():
    """Print a table, also after Ctrl-C; exit with 1 if an input failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=2000, help="inputs for all readers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--reader", choices=READERS, action="append", help="default: all")
    parser.add_argument("--seconds", type=float, default=1.0, help="what an input may take")
    parser.add_argument("--keep", type=Path, help="a new folder for the inputs that failed")
    options = parser.parse_args()
    names = options.reader or list(READERS)
    if options.keep:
        options.keep.mkdir()
    mutations.make_bombs(320 * 2**20 if options.count >= 10_000 else 2**20)
    make_seeds()
    warm_up()
    counts = Counter()
    kinds = set()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for name, number, outcome, text in fuzz(
            options.count, options.seed, options.processes, names, options.seconds
        ):
            counts[name, outcome] += 1
            if outcome == "failed" and (kind := (name, text[:40])) not in kinds:
                kinds.add(kind)
                print(f"{name} {number}: {text}", file=sys.stderr, flush=True)
                if options.keep:
                    folder = options.keep / f"{names.index(name)}-{number}"
                    given = make_input(options.seed, name, number, folder)
                    (folder / "about.txt").write_text(
                        f"{name}\n{text}\n{str(given)[:1000]}\n", "utf-8"
                    )
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    outcomes = ("refused", "accepted", "failed")
    rows = [
        (name, sum(counts[name, o] for o in outcomes), *(counts[name, o] for o in outcomes))
        for name in names
    ]
    rows.append(("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])))
    print(f"{'reader':20}{'tried':>9}{'refused':>9}{'accepted':>9}{'failed':>9}")
    for name, *numbers in rows:
        print(f"{name:20}" + "".join(f"{number:>9,}" for number in numbers))
    sys.exit(bool(rows[-1][-1]))


if __name__ == "__main__":
    main()
