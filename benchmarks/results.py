"""What a run found: tables for the terminal and RESULTS.md, and a picture."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Samples", "draw", "machine", "medians", "table"]

Samples = dict[str, dict[str, list[float]]]
"""Figure → name → one value a round."""


def medians(samples: Samples) -> dict[str, dict[str, float]]:
    """Return the median over the rounds of each figure and name."""
    return {
        figure: {name: statistics.median(values) for name, values in by_name.items()}
        for figure, by_name in samples.items()
    }


def table(
    found: Mapping[str, Mapping[str, float]], names: Sequence[str], ours: str, first: str
) -> str:
    """Return a Markdown table: a row a name, a column a figure, each with its ratio to ours."""
    figures = list(found)
    lines = [f"| {first} | " + " | ".join(figures) + " |", "| --- |" + " ---: |" * len(figures)]
    for name in names:
        cells = [_cell(found[figure].get(name), found[figure].get(ours)) for figure in figures]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: float | None, ours: float | None) -> str:
    if value is None:
        return "–"
    number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return number + (f" ({value / ours:.2f})" if ours else "")


def machine(versions: Mapping[str, str]) -> str:
    """Return a list of what the figures hang on: processor, system, versions, date."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return "\n".join(
        (
            f"- {model}, {os.cpu_count()} cores; Linux {platform.release()}",
            f"- {platform.python_implementation()} {platform.python_version()}; "
            + ", ".join(f"{name} {version}" for name, version in versions.items() if version),
            f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        )
    )


def draw(
    found: Mapping[str, Mapping[str, float]], names: Sequence[str], ours: str, path: Path
) -> None:
    """Draw one bar chart a figure, ours in a colour of its own.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    import matplotlib  # only here, as it may be missing

    matplotlib.use("svg")
    # The same figures give the same file, and the text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "wsroll", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    columns = 2
    rows = -(-len(found) // columns)
    figure, grid = pyplot.subplots(
        rows, columns, figsize=(10, 0.7 + rows * (0.5 + 0.27 * len(names))), squeeze=False
    )
    for axes, (title, values) in zip(grid.flat, found.items(), strict=False):
        shown = [name for name in reversed(names) if name in values]
        colours = ["#1f6feb" if name == ours else "#9aa4b1" for name in shown]
        bars = axes.barh(shown, [values[name] for name in shown], color=colours)
        axes.bar_label(bars, [_cell(values[name], None) for name in shown], padding=3)
        axes.set_title(title, loc="left", fontweight="bold")
        axes.margins(x=0.15)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.tick_params(left=False, bottom=False, labelbottom=False)
    for axes in list(grid.flat)[len(found) :]:
        axes.set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
