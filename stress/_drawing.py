"""A picture of lanes with its places in percent, as the page's template draws it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from freezethreads.testing import Event
from stress._lanes import Lane, Picture, Stretch, clipped
from stress._rows import short

KINDS = {
    "running": "running",
    "blocking": "in a blocking region, which counts as stopped",
    "waiting": "in a wait of freezethreads.sync, which counts as stopped",
    "parked": "at a safepoint or the end of a region: stopped",
    "todo": "making a todo",
    "hook": "calling a hook, while all stand",
    "several": "many short stretches",
}
"""What there is in lanes, and what it means."""

FINEST = 1500
"""Stretches that are shorter than such a part of the picture are drawn as one, if they adjoin."""
NEAREST = 250
"""Moments that are nearer to each other than such a part share a mark."""
LISTED = 8
"""Moments of one mark that are named."""

MINUS = "\N{MINUS SIGN}"

ZOOMS = (1, 4, 16)
"""How wide a picture can be, in widths of the page."""
TICKS = 7
"""The most times that are written below a picture that is as wide as the page."""
FINER = {1: 10, 4: 5, 16: 1}
"""At each zoom, of how many of the finest ticks one is written."""


@dataclass(frozen=True)
class Bar:
    """A stretch: where it begins, how wide it is, and what to say of it."""

    x: float
    width: float
    kind: str
    text: str


@dataclass(frozen=True)
class Mark:
    """A moment, or several: where, and what to say."""

    x: float
    text: str


@dataclass(frozen=True)
class Tick:
    """A time on the axis, written from the zoom `zoom` on."""

    x: float
    text: str
    zoom: int


class Drawing:
    """One picture, drawn. Durations of ticks are in ``unit``."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._span = picture.end - picture.begin
        self._scale, self.unit = _scale_of(self._span)
        self.lines = [Mark(self._percent(at), text) for at, text in picture.lines]
        self.ticks = list(self._ticks())
        lanes = [(lane.name, list(self._bars(lane)), self._marks(lane)) for lane in picture.lanes]
        self.lanes = [lane for lane in lanes if lane[1] or lane[2]]

    @property
    def kinds(self) -> dict[str, str]:
        """Those of `KINDS` that it has."""
        there = {bar.kind for _, bars, _ in self.lanes for bar in bars}
        return {kind: meaning for kind, meaning in KINDS.items() if kind in there}

    def _percent(self, at: float) -> float:
        return 100 * (at - self._picture.begin) / self._span

    def _since_zero(self, at: float) -> str:
        seconds = at - self._picture.zero
        return f"{MINUS if seconds < 0 else '+'}{duration(abs(seconds))}"

    def _bars(self, lane: Lane) -> Iterator[Bar]:
        inside = clipped(lane.stretches, self._picture.begin, self._picture.end)
        for each in coarsened(inside, self._span / FINEST):
            x = self._percent(each.begin)
            times = f"{self._since_zero(each.begin)} to {self._since_zero(each.end)}"
            took = duration(each.end - each.begin)
            what = f"{each.kind} {each.detail}".strip()
            text = f"{lane.name}: {what}\n{times} ({took})"
            yield Bar(x, self._percent(each.end) - x, each.kind, text)

    def _marks(self, lane: Lane) -> list[Mark]:
        groups: list[list[Event]] = []
        for event in lane.moments:
            if not self._picture.begin <= event[0] <= self._picture.end:
                continue
            if groups and event[0] - groups[-1][0][0] < self._span / NEAREST:
                groups[-1].append(event)
            else:
                groups.append([event])
        return [Mark(self._percent(group[0][0]), self._say(lane, group)) for group in groups]

    def _say(self, lane: Lane, events: list[Event]) -> str:
        lines = [f"{self._since_zero(at)} {kind} {detail}".rstrip() for at, kind, detail in events]
        if len(lines) > LISTED:
            lines[LISTED - 1 :] = [f"and {len(lines) - LISTED + 1} more"]
        return "\n".join([f"{lane.name}:", *lines])

    def _ticks(self) -> Iterator[Tick]:
        picture = self._picture
        finest = _nice(self._span / TICKS) / FINER[1]
        first = ceil((picture.begin - picture.zero) / finest)
        last = floor((picture.end - picture.zero) / finest)
        for number in range(first, last + 1):
            zoom = next(zoom for zoom in ZOOMS if number % FINER[zoom] == 0)
            text = f"{number * finest / self._scale:g}".replace("-", MINUS)
            yield Tick(self._percent(picture.zero + number * finest), text, zoom)


def coarsened(stretches: Sequence[Stretch], least: float) -> list[Stretch]:
    """Make one of each run of adjoining stretches which are shorter than `least` seconds."""
    runs: list[list[Stretch]] = []
    for each in stretches:
        is_short = each.end - each.begin < least
        before = runs[-1][-1] if runs else None
        if is_short and before and before.end == each.begin and before.end - before.begin < least:
            runs[-1].append(each)
        else:
            runs.append([each])
    return [run[0] if len(run) == 1 else _several(run) for run in runs]


def _several(run: list[Stretch]) -> Stretch:
    begin, end = run[0].begin, run[-1].end
    seconds: defaultdict[str, float] = defaultdict(float)
    for each in run:
        seconds[each.kind] += each.end - each.begin
    of_each = ", ".join(f"{part / (end - begin):.0%} {kind}" for kind, part in seconds.items())
    return Stretch(begin, end, "several", f"({len(run)} stretches: {of_each})")


def _nice(seconds: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not below."""
    power = 10.0 ** floor(log10(seconds))
    return next(each * power for each in (1, 2, 5, 10) if each * power >= seconds)


def _scale_of(span: float) -> tuple[float, str]:
    for scale, unit in ((1.0, "s"), (1e-3, "ms")):
        if span >= scale:
            return scale, unit
    return 1e-6, "µs"


def duration(seconds: float) -> str:
    """As `_rows.short`, with the letter that a page has for it."""
    return short(seconds).replace("us", "µs")
