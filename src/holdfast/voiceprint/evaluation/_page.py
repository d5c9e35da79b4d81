"""The report as a page of HTML that needs nothing else: styles and pictures are inside.

Rules only; nothing here does I/O. Every text that comes from outside is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from holdfast.voiceprint.evaluation._rate import Figure
from holdfast.voiceprint.evaluation._report import Report, figure_text, titled

__all__ = ["Picture", "page"]

_STYLE = """
:root { color-scheme: light dark; --text: #1c1c1c; --soft: #55585e; --back: #fff; --line: #d5d5d5; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8e8; --soft: #b0b4bb; --back: #16181c; --line: #3c4048; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.25rem 1rem 3rem; max-width: 72rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p, li { max-width: 46rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: .35rem; }
th, td { text-align: right; padding: .35rem .5rem; border-bottom: 1px solid var(--line); }
td { white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; font-weight: 500; }
thead th { color: var(--soft); font-weight: 500; }
td.text { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.pictures, .tables { display: grid; gap: 1.5rem; grid-template-columns: 1fr; }
@media (min-width: 60rem) { .pictures, .tables { grid-template-columns: 1fr 1fr; } }
figure { margin: 0; } img { width: 100%; height: auto; border: 1px solid var(--line); }
figcaption, .note { color: var(--soft); }
code { overflow-wrap: anywhere; }
"""
_KINDS = {
    "target": "the same speaker",
    "nontarget": "another speaker",
    "spoof": "an attack",
    "bonafide": "bona fide speech",
}


class Picture(NamedTuple):
    """A plot for a light and a dark page (PNG), what it shows in words, and what stands below."""

    light: bytes
    dark: bytes
    alt: str
    caption: str


def page(report: Report, pictures: Sequence[Picture]) -> str:
    """Return the report as HTML."""
    subject = "attacks are detected" if report.scale is None else "voices are told apart"
    title = f"How well {subject}: {report.name}"
    body = [
        f"<h1>{escape(title)}</h1>",
        _summary(report),
        "<h2>Figures</h2>",
        f'<div class="tables">{_figures(report)}{_outcomes(report)}</div>',
        _explained(report),
        "<h2>Curves and scores</h2>",
        f'<div class="pictures">{"".join(map(_picture, pictures))}</div>',
        _attacks(report),
        "<h2>What was rated</h2>",
        _about(report),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # The page asks nobody for anything, whatever a name in it may say.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>\n{chr(10).join(part for part in body if part)}\n</main></body></html>\n"
    )


def _summary(report: Report) -> str:
    rate = report.rating.figures["eer"]
    text = (
        f"Equal error rate {figure_text(rate.value, share=True)}{_between(rate, share=True)}, on "
        f"{sum(report.counts.values()):,} trials of {report.rating.speakers:,} "
        f"{report.rating.drawn}."
    )
    if report.left_out:
        text += f" {report.left_out:,} trials are left out: their recordings cannot be used."
    return f"<p>{escape(text)}</p>"


def _between(figure: Figure, *, share: bool) -> str:
    if figure.low is None or figure.high is None:
        return ""
    low, high = (figure_text(edge, share=share) for edge in (figure.low, figure.high))
    return f" ({low} to {high})"


def _figures(report: Report) -> str:
    rows = []
    for name, figure in report.rating.figures.items():
        title, share = titled(name)
        edges = [
            "" if edge is None else figure_text(edge, share=share)
            for edge in (figure.low, figure.high)
        ]
        rows.append([title, figure_text(figure.value, share=share), *edges])
    caption = "Costs are normalised: 1 is of no use. Between the last two lie 95 % of the draws."
    return _table(caption, ("figure", "value", "from", "to"), rows)


def _outcomes(report: Report) -> str:
    if report.scale is None:
        return ""
    scale = report.scale
    rows = [
        [_KINDS[each.kind],
         *(f"{100 * share:.2f} %" for share in (each.accepted, each.inconclusive, each.rejected))]
        for each in report.outcomes
    ]  # fmt: skip
    caption = (
        f"What the thresholds in use decide on this list: accepted from {scale.accept_at:.3f}, "
        f"rejected below {scale.reject_below:.3f}."
    )
    return _table(caption, ("who speaks", "accepted", "inconclusive", "rejected"), rows)


def _explained(report: Report) -> str:
    if report.scale is None:
        text = (
            "The scores are read as log-likelihood ratios in Cllr, as ASVspoof 5 does. Speakers "
            "were drawn anew for the intervals."
        )
    else:
        data = report.scale.data or "the model; they were not measured"
        text = (
            "The interval says what other speakers would have given: whole speakers were drawn "
            f"anew. The thresholds come from: {data}."
        )
        if report.detector:
            text += " Behind the detector, nothing is accepted but what it takes for bona fide."
    return f'<p class="note">{escape(text)}</p>'


def _attacks(report: Report) -> str:
    if not report.rating.attacks:
        return ""
    rows = [
        [name, figure_text(figure.value, share=True),
         *("" if edge is None else figure_text(edge, share=True)
           for edge in (figure.low, figure.high))]
        for name, figure in report.rating.attacks.items()
    ]  # fmt: skip
    caption = "The equal error rate against each attack by itself."
    return "<h2>Attacks</h2>" + _table(caption, ("attack", "EER", "from", "to"), rows)


def _about(report: Report) -> str:
    counts = ", ".join(f"{count:,} of {_KINDS[kind]}" for kind, count in report.counts.items())
    rows = [
        ("list", f"{report.name} ({report.form})"),
        ("sha256 of the list", report.digest),
        ("trials", counts),
        (report.rating.drawn, f"{report.rating.speakers:,}"),
        ("model", report.model),
        ("detector of attacks", report.detector or "none is mounted"),
        ("date", report.date),
        ("Holdfast", report.version),
    ]
    if report.left_out:
        told = ", ".join(f"{count:,}: {why}" for why, count in report.unusable.items())
        rows.insert(3, ("left out", f"{report.left_out:,} trials; recordings: {told}"))
    cells = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="text">{escape(text)}</td></tr>'
        for name, text in rows
    )
    return f"<table><caption>What the figures are of.</caption><tbody>{cells}</tbody></table>"


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f"<div><table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _picture(picture: Picture) -> str:
    light, dark = (
        f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"
        for image in (picture.light, picture.dark)
    )
    return (
        f'<figure><picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="{escape(picture.alt)}"></picture>'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )
