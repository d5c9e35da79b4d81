"""Plots of a rating, by matplotlib: the only module that knows it. Needs the extra `report`."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from holdfast.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from holdfast.voiceprint.evaluation._curves import Curve

__all__ = ["Mark", "det_plot", "require_plots", "score_plot"]

# Okabe and Ito's colours, which people with any colour vision tell apart; lighter ones on dark.
_LIGHT = {
    "back": "#ffffff", "text": "#1c1c1c", "grid": "#d5d5d5",
    "target": "#0072b2", "nontarget": "#d55e00", "spoof": "#8f3f97",
}  # fmt: skip
_DARK = {
    "back": "#16181c", "text": "#e8e8e8", "grid": "#3c4048",
    "target": "#56b4e9", "nontarget": "#f0a030", "spoof": "#d896dd",
}  # fmt: skip
_SIZE_IN = (5.6, 4.9)
_DPI = 180
_TICKS = (0.0001, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
_HIGHEST = 0.6
# Of the axes: a name that begins further to the right would be cut off.
_MOST_ACROSS = 0.55
_LOWEST = (0.0001, 0.02)
_BINS = 60
_LINES = ("-", (0, (5, 2)))


@dataclass(frozen=True, slots=True)
class Mark:
    """A point on a plot: what is written beside it, and its two rates."""

    text: str
    miss: float
    false_accept: float


def require_plots() -> None:
    """Say before anything is done that plots cannot be drawn here.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise MissingExtra(
            "the report's plots cannot be drawn here",
            why=f"{error.name} is not installed",
            hint="pip install 'holdfast[report]'",
        ) from error


def det_plot(
    curves: Mapping[str, Curve], marks: Sequence[Mark], trials: int, *, dark: bool = False
) -> bytes:
    """Draw detection error trade-off curves on normal deviates (Martin et al., 1997).

    Args:
        curves: by what they are called, two at most; each is drawn in a colour and a line style.
        marks: points on them.
        trials: how many trials the larger kind has: no rate smaller than one of them is shown.
        dark: whether for a dark page.

    Returns:
        A PNG.
    """
    from scipy.special import ndtri

    colours = _DARK if dark else _LIGHT
    lowest = min(max(0.5 / max(trials, 1), _LOWEST[0]), _LOWEST[1])

    def place(rates: Any) -> Any:
        return ndtri(np.clip(rates, lowest, _HIGHEST))

    def draw(axes: Axes) -> None:
        ends = place([lowest, _HIGHEST])
        names = ("nontarget", "spoof")
        for (name, curve), colour, line in zip(curves.items(), names, _LINES, strict=False):
            across, up = _thinned(place(curve.false_accept), place(curve.miss))
            axes.plot(across, up, color=colours[colour], linestyle=line, label=name, linewidth=2)
        axes.plot(ends, ends, color=colours["grid"], linewidth=1, zorder=0)
        rates = np.array([(mark.false_accept, mark.miss) for mark in marks])
        points = (place(rates) - ends[0]) / (ends[1] - ends[0])
        _label(axes, [mark.text for mark in marks], points.tolist(), colours)
        ticks = [tick for tick in _TICKS if tick >= lowest]
        texts = [f"{100 * tick:g}" for tick in ticks]
        axes.set_xticks(ndtri(ticks), texts)
        axes.set_yticks(ndtri(ticks), texts)
        axes.set_xlim(*ends)
        axes.set_ylim(*ends)
        axes.set_aspect("equal")

    return _drawn(draw, "falsely accepted (%)", "falsely rejected (%)", colours)


def score_plot(
    scores: Mapping[str, NDArray[np.float64]],
    thresholds: Mapping[str, float],
    *,
    across: str,
    dark: bool = False,
) -> bytes:
    """Draw how the scores of each kind of trial are spread, and where the thresholds lie.

    Args:
        scores: by kind (``target``, ``nontarget``, ``spoof``, ``bona fide``), shape (n,) each.
        thresholds: by what they are called.
        across: what a score is.
        dark: whether for a dark page.

    Returns:
        A PNG.
    """
    colours = _DARK if dark else _LIGHT
    everything = np.concatenate([*scores.values(), np.array(list(thresholds.values()))])
    low, high = float(everything.min()), float(everything.max())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)

    def draw(axes: Axes) -> None:
        for kind, values in scores.items():
            share = 100 * np.histogram(values, edges)[0] / len(values)
            colour = colours.get(kind, colours["target"])
            label = f"{kind} ({len(values):,})"
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.25)
            axes.stairs(share, edges, color=colour, linewidth=1.6, label=label)
        axes.set_ylim(0, axes.get_ylim()[1] * (1 + 0.09 * len(thresholds)))
        for number, (name, at) in enumerate(thresholds.items()):
            axes.axvline(at, color=colours["text"], linewidth=1.2, linestyle=(0, (4, 2)))
            left = at > (low + high) / 2
            axes.annotate(
                f"{name} {at:.3f}", (at, 0.965 - 0.072 * number), ((-5 if left else 5), 0),
                xycoords=("data", "axes fraction"), textcoords="offset points",
                ha="right" if left else "left", va="center", fontsize=9, color=colours["text"],
                bbox={"facecolor": colours["back"], "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip

    return _drawn(draw, across, "trials of the kind (%)", colours)


def _drawn(draw: Any, across: str, up: str, colours: Mapping[str, str]) -> bytes:
    """Return a figure as a PNG; no display, no state of others, no settings of the user's."""
    import matplotlib.style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.style.context("default", after_reset=True):
        figure = Figure(figsize=_SIZE_IN, dpi=_DPI, facecolor=colours["back"], layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot(facecolor=colours["back"])
        draw(axes)
        axes.set_xlabel(across, color=colours["text"], fontsize=11)
        axes.set_ylabel(up, color=colours["text"], fontsize=11)
        axes.tick_params(colors=colours["text"], labelsize=10)
        axes.grid(color=colours["grid"], linewidth=0.6)
        axes.set_axisbelow(True)
        for spine in axes.spines.values():
            spine.set_color(colours["grid"])
        figure.legend(
            loc="outside upper center", ncols=3, frameon=False, labelcolor=colours["text"],
            fontsize=10,
        )  # fmt: skip
        written = io.BytesIO()
        figure.savefig(written, format="png", facecolor=colours["back"])
    return written.getvalue()


def _label(
    axes: Axes,
    texts: Sequence[str],
    points: Sequence[tuple[float, float]],
    colours: Mapping[str, str],
) -> None:
    """Mark points, and name each beside it, where there is room; no name is upon another.

    Args:
        axes: to draw on.
        texts: what is written.
        points: in shares of the axes.
        colours: of the text and what is behind it.
    """
    lowest = {True: 0.03, False: 0.03}
    for text, (across, up) in sorted(zip(texts, points, strict=True), key=lambda each: each[1][1]):
        left = across > _MOST_ACROSS
        at = max(up + (-0.06 if left else 0.035), lowest[left])
        lowest[left] = at + 0.065
        beside = across - 0.05 if left else across + 0.05
        axes.plot(across, up, "o", color=colours["text"], markersize=5, zorder=4, clip_on=False,
                  transform=axes.transAxes)  # fmt: skip
        axes.annotate(
            text, (across, up), (beside, at), xycoords="axes fraction",
            textcoords="axes fraction", ha="right" if left else "left", va="center", fontsize=9,
            color=colours["text"], zorder=5,
            bbox={"facecolor": colours["back"], "edgecolor": "none", "pad": 1.0},
            arrowprops={"arrowstyle": "-", "color": colours["text"], "linewidth": 0.6,
                        "shrinkA": 0, "shrinkB": 2, "relpos": (1.0 if left else 0.0, 0.5)},
        )  # fmt: skip


def _thinned(across: Any, up: Any) -> tuple[Any, Any]:
    """Leave out points that no eye tells from the one before."""
    fine = np.round(np.stack([across, up]) * 200)
    keep = np.concatenate([[True], (np.diff(fine, axis=1) != 0).any(axis=0)])
    keep[-1] = True
    return across[keep], up[keep]
