"""The report: one HTML page that needs nothing else, and the same figures as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant import embedded
from eval import examples, headline, plots
from eval.findings import RIGHT_AT, Difference, Figure
from eval.measures import BY_KEY, MEASURES
from eval.protocols import PADDED
from eval.records import Predictions
from eval.score import SERVING_CHECK, Scores

TEMPLATES = Path(__file__).parent / "templates"
WORLDS = {
    "closed-book": "the model alone, without cards",
    "gold": "every card is in the index, the question's own too: what a user meets",
    "removed": "the question's own card and its near-duplicates are hidden: generalisation",
    "distractors": "everything near the card is hidden too: nothing can answer, refusing is right",
}
_MAIN = (
    "token_f1", "rougeL", "chrf", "corpus_bleu", "cosine", "numbers_kept", "held_by_reference",
    "answered",
)  # fmt: skip
_TRUST = (
    "supported", "fell_back", "gold_cited", "citation_recall", "citation_precision",
    "numbers_invented",
)  # fmt: skip
_FIRST = "token_f1"  # the main figure
_FIND = ("recall_1", "recall_5", "recall_10", "mrr", "ndcg10")
_MORE = ("rouge1", "rouge2", "bleu")
_FORM = ("length_ratio", "reading_grade")
_DIGITS = {"corpus_bleu": 1, "loss": 3, "perplexity": 2, "bits_per_char": 3}


@dataclass(frozen=True)
class Table:
    """Text cells with a header; `notes` explain what is missing."""

    header: list[str]
    rows: list[list[str]]


def write(scores: Scores, predictions: Predictions, folder: Path) -> list[Path]:
    """Write `report.html` and `report.md`; return their paths."""
    import jinja2

    view = _view(scores, predictions)
    written = []
    for name, escape in (("report.html", True), ("report.md", False)):
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=escape,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        environment.filters["stacked"] = stacked
        environment.filters["cell"] = cell_of_markdown
        path = folder / name
        path.write_text(environment.get_template(f"{name}.j2").render(view), encoding="utf-8")
        written.append(path)
    return written


def _view(scores: Scores, predictions: Predictions) -> dict[str, Any]:
    sound = [k for k, v in scores.series.items() if v.protocol is None]
    of_cards = [k for k in sound if scores.series[k].world != "closed-book"]
    gold = [k for k in sound if scores.series[k].world == "gold"]
    return {
        "answer": headline.sentences(scores),
        "failed_checks": [check for check in scores.checks if check.passed is False],
        "checks": scores.checks,
        "notes": scores.notes,
        "header": scores.header,
        "sha256": scores.sha256,
        "items": scores.items,
        "judge": scores.judge,
        "own_judge": scores.judge == SERVING_CHECK,
        "right_at": RIGHT_AT,
        "worlds": [
            (w, WORLDS[w]) for w in WORLDS if any(scores.series[k].world == w for k in sound)
        ],
        "failed": sum(one.failed for one in scores.series.values()),
        "main": _figures(scores, sound, _MAIN),
        "trust": _figures(scores, of_cards, _TRUST),
        "find": _figures(scores, gold, _FIND),
        "more": _figures(scores, sound, _MORE),
        "form": _figures(scores, sound, _FORM),
        "loss": _losses(scores, sound),
        "speed": _speed(scores, sound),
        "status": _status(scores, sound),
        "differences": _differences([d for d in scores.differences if d.measure == _FIRST]),
        "other_differences": _differences([d for d in scores.differences if d.measure != _FIRST]),
        "tested": len(scores.differences),
        "refusals": _refusals(scores),
        "helped": scores.helped,
        "by_topic": _breakdown(scores.by_topic, "topic"),
        "by_length": _breakdown(scores.by_length, "length of the card's answer"),
        "protocols": _protocols(scores),
        "examples": examples.choose(scores, predictions),
        "measures": MEASURES,
        "command": _command(scores),
        "plots": {
            "closeness": plots.closeness(scores, sound),
            "differences": plots.differences(scores.differences, "token_f1"),
            "risk": plots.risk_coverage(scores.refusals),
            "reliability": plots.reliability(scores.refusals),
            "lengths": plots.lengths(scores, sound),
        },
    }


def number(value: float | None, digits: int = 3) -> str:
    """A figure as text; a missing one is a dash, never 0."""
    return "–" if value is None else f"{value:,.{digits}f}"  # noqa: RUF001 - a typographic dash


def cell_of_markdown(text: str) -> str:
    """One line that cannot end its cell or pose as HTML."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def stacked(text: str) -> Any:
    """A cell with its interval on a line of its own, escaped."""
    from markupsafe import Markup, escape

    value, bracket, rest = text.partition(" (")
    if not bracket or not value[-1:].isdigit():
        return escape(text)
    return Markup("<b>{}</b><br><small>{}</small>").format(value, f"({rest}")


def _cell(figure: Figure | None, key: str) -> str:
    if figure is None or figure.mean is None:
        return number(None)
    digits = BY_KEY[key].digits
    text = number(figure.mean, digits)
    if figure.low is not None and figure.high is not None and figure.n > 1:
        text += f" ({number(figure.low, digits)} to {number(figure.high, digits)})"
    return f"{text} n {figure.n}" if figure.missing else text


def _figures(scores: Scores, labels: Sequence[str], keys: Sequence[str]) -> Table:
    there = [
        key for key in keys if any(_measured(scores, label, key) is not None for label in labels)
    ]
    titles = [BY_KEY[key].title if key in BY_KEY else "Corpus BLEU" for key in there]
    rows = []
    for label in labels:
        one = scores.series[label]
        cells = [
            number(one.corpus.get(key), _DIGITS[key])
            if key in _DIGITS
            else _cell(one.figures.get(key), key)
            for key in there
        ]
        rows.append([label, *cells])
    return Table(["system, world", *titles], rows if there else [])


def _measured(scores: Scores, label: str, key: str) -> float | None:
    one = scores.series[label]
    if key in _DIGITS:
        return one.corpus.get(key)
    figure = one.figures.get(key)
    return figure.mean if figure else None


def _losses(scores: Scores, labels: Sequence[str]) -> Table:
    rows = []
    for label in labels:
        corpus = scores.series[label].corpus
        if "loss" in corpus:
            keys = ("loss", "perplexity", "bits_per_char")
            rows.append([label, *(number(corpus[key], _DIGITS[key]) for key in keys)])
    return Table(["system, world", "Loss a token", "Perplexity", "Bits per character"], rows)


def _speed(scores: Scores, labels: Sequence[str]) -> Table:
    rows = []
    for label in labels:
        one = scores.series[label]
        rate, energy = one.figures.get("tokens_per_s"), one.figures.get("energy_j")
        rows.append(
            [
                label,
                number(one.speed["timed"], 0),
                number(one.speed["first_token_ms_p50"], 0),
                number(one.speed["first_token_ms_p95"], 0),
                number(one.speed["total_ms_p50"], 0),
                number(one.speed["total_ms_p95"], 0),
                number(rate.mean if rate else None, 1),
                number(one.speed["peak_mb_max"], 0),
                number(energy.mean if energy else None, 1),
            ]
        )
    header = ["system, world", "Answers timed", "First token, median ms", "95th percentile",
              "Whole answer, median ms", "95th percentile", "Tokens/s", "Peak memory, MB",
              "Energy, J"]  # fmt: skip
    return Table(header, rows)


def _status(scores: Scores, labels: Sequence[str]) -> Table:
    kinds = ("answered", "abstained", "emergency", "declined", "failed")
    rows = [
        [label, *(str(scores.series[label].status.get(kind, 0)) for kind in kinds)]
        for label in labels
    ]
    return Table(["system, world", *kinds], rows)


def _differences(found: Sequence[Difference]) -> Table:
    rows = []
    for one in found:
        digits = BY_KEY[one.measure].digits
        rows.append(
            [
                f"{one.before} → {one.after}",
                BY_KEY[one.measure].title,
                f"{one.mean:+.{digits}f}",
                f"{one.low:+.{digits}f} to {one.high:+.{digits}f}",
                f"{one.p_holm:.4f}",
                "yes" if one.p_holm < 0.05 else "could be chance",
                number(one.detectable, digits),
                str(one.n),
            ]
        )
    header = ["from → to", "measure", "difference", "95 % interval", "p (Holm)", "beyond chance?",
              "least that would show", "n"]  # fmt: skip
    return Table(header, rows)


def _refusals(scores: Scores) -> Table:
    rows = [
        [
            system,
            f"{one.answered_gold:.0%}",
            f"{one.answered_distractors:.0%}",
            number(one.auroc),
            number(one.aurc),
            number(one.ece),
        ]
        for system, one in scores.refusals.items()
    ]
    header = ["system", "answered where the cards can", "answered where they cannot", "AUROC",
              "AURC (lower is better)", "calibration error"]  # fmt: skip
    return Table(header, rows)


def _breakdown(found: dict[str, dict[str, Figure]], what: str) -> Table:
    labels = list(found)
    groups = list(dict.fromkeys(name for by in found.values() for name in by))
    rows = [
        [
            name,
            str(max((f.n for by in found.values() if (f := by.get(name))), default=0)),
            *(
                number(f.mean, 2) if (f := found[label].get(name)) else number(None)
                for label in labels
            ),
        ]
        for name in groups
    ]
    return Table([what, "n", *labels], rows)


def _protocols(scores: Scores) -> Table:
    """The prior work's figures beside the sound ones of the same system."""
    rows = []
    for one in scores.series.values():
        if one.world != "closed-book" or not scores.header.config.get("protocol"):
            continue
        says = one.protocol != PADDED  # that one has a loss and no text
        rows.append(
            [
                one.system,
                one.protocol or "sound",
                number(one.corpus.get("corpus_bleu") if says else None, 1),
                _cell(one.figures.get("rougeL") if says else None, "rougeL"),
                number(one.corpus.get("loss")),
                number(one.corpus.get("perplexity"), 2),
            ]
        )
    rows.sort(key=lambda row: (row[0], row[1] != "sound"))
    return Table(["system", "protocol", "Corpus BLEU", "ROUGE-L", "Loss", "Perplexity"], rows)


def _command(scores: Scores) -> str:
    config = scores.header.config
    parts = ["python -m eval run", f"--systems {','.join(config['systems'])}"]
    parts.append(f"--worlds {','.join(config['worlds'])}")
    given = {k: config[k] for k in ("base", "adapter", "limit", "seed") if config.get(k)}
    if (given.get("base"), given.get("adapter")) == (str(embedded.BASE), str(embedded.ADAPTER)):
        del given["base"], given["adapter"]  # taken by default, wherever medcards lies
    parts += [f"--{k} {value}" for k, value in given.items()]
    parts += [f"--max-new-tokens {config['max_new_tokens']}"]
    return " ".join(parts) + (" --protocol" if config.get("protocol") else "")
