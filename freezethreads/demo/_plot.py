"""A picture of each freeze: how long until all threads stood, and how long they stood."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from freezethreads.demo._camera import Freeze

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["check_plot", "draw_plot"]

# Two of Okabe and Ito's colours, which everybody can tell apart, and their markers differ too.
_BLUE, _ORANGE = "#0072B2", "#D55E00"


def check_plot(file: Path) -> str:
    """Return why no picture can be drawn into `file`; an empty string if one can."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        return "a picture needs matplotlib: pip install matplotlib"
    if not file.absolute().parent.is_dir():
        return f"{file.absolute().parent} is no directory"
    if file.is_dir():
        return "it is a directory; name a file"
    known = Figure().canvas.get_supported_filetypes()
    if file.suffix.removeprefix(".").lower() not in known:
        return f"the name must end in one of {', '.join(f'.{name}' for name in sorted(known))}"
    return ""


def draw_plot(file: Path, freezes: list[Freeze], threads: int) -> None:
    """Draw `freezes`, of which there is at least one, of `threads` threads into `file`.

    Raises OSError if it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    at = [freeze.at for freeze in freezes]
    waited = [_milliseconds(freeze.waited) for freeze in freezes]
    frozen = [_milliseconds(freeze.frozen) for freeze in freezes]
    axes.vlines(at, waited, frozen, color="0.85", linewidth=1, zorder=1)
    frozen_higher = statistics.median(frozen) > statistics.median(waited)
    _draw(axes, at, waited, (_BLUE, "o"), "time to stop", above=not frozen_higher)
    _draw(axes, at, frozen, (_ORANGE, "s"), "time frozen", above=frozen_higher)
    _frame(axes, waited + frozen)
    axes.set_title(
        f"{len(freezes)} freezes: {threads} threads stopped in {_median(waited)} ms "
        f"and stood for {_median(frozen)} ms (medians)",
        loc="left",
    )
    figure.savefig(file, dpi=150)


def _milliseconds(seconds: float) -> float:
    """A logarithmic scale has no 0, and a microsecond is nothing here."""
    return max(seconds * 1e3, 1e-3)


def _median(values: list[float]) -> str:
    median = statistics.median(values)
    return f"{median:.1f}" if median < 10 else f"{median:.0f}"


def _draw(
    axes: Axes,
    at: list[float],
    values: list[float],
    look: tuple[str, str],
    name: str,
    *,
    above: bool,
) -> None:
    """Draw one series, and write its name beside it, for which a legend takes two looks."""
    colour, marker = look
    axes.scatter(at, values, color=colour, marker=marker, s=28, zorder=2)
    axes.annotate(
        name,
        (1.01, statistics.median(values)),
        xycoords=("axes fraction", "data"),
        color=colour,
        va="bottom" if above else "top",
    )


def _frame(axes: Axes, values: list[float]) -> None:
    """Axes with whole decades, so that there are always two numbers to read off."""
    axes.set_yscale("log")
    lowest, highest = math.log10(min(values)), math.log10(max(values))
    axes.set_ylim(10 ** math.floor(lowest), 10 ** math.ceil(highest + 1e-9))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.grid(axis="y", color="0.92")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("seconds since the start")
    axes.set_ylabel("milliseconds (logarithmic)")
