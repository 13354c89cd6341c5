"""What is shown: words for people, one JSON object for programs; progress goes to stderr and only to a terminal."""

import json
import sys


class Out:
    def __init__(self, as_json=False, quiet=False):
        self.as_json, self.quiet = as_json, quiet
        self._drawn = 0

    def result(self, data, words):
        """The answer, on stdout."""
        self.clear()
        print(json.dumps(data, ensure_ascii=False) if self.as_json else words, flush=True)

    def note(self, words):
        """Something on the way, on stderr."""
        if not self.quiet:
            self.clear()
            print(words, file=sys.stderr, flush=True)

    def progress(self, words):
        """A line that is drawn over; nothing where nobody looks."""
        if self.quiet or not sys.stderr.isatty():
            return
        print("\r" + words.ljust(self._drawn)[:200], end="", file=sys.stderr, flush=True)
        self._drawn = len(words)

    def clear(self):
        if self._drawn:
            print("\r" + " " * self._drawn + "\r", end="", file=sys.stderr, flush=True)
            self._drawn = 0


def size(number):
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            return f"{number:.3g} {unit}"
        number /= 1000
    return ""


def duration(seconds):
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def table(rows, heads):
    """Columns as wide as they need to be."""
    lines = [[str(cell) for cell in row] for row in [heads, *rows]]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
