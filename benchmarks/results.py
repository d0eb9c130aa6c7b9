"""What a run found: its parts, as tables for the terminal and RESULTS.md, and as pictures."""

import os
import platform
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["Samples", "Section", "write"]

Samples = dict[str, dict[str, list[float]]]
"""Figure → name → one value a round."""

Figures = dict[str, dict[str, float]]
"""Figure → name → median."""


@dataclass(frozen=True)
class Section:
    """One part of the results."""

    title: str
    method: str
    first: str
    """What the names are: the head of the first column."""
    names: Sequence[str]
    ours: Sequence[str]
    """Those of the names that are wsroll's; ratios are to the first of them."""
    tables: Sequence[Sequence[str]]
    """The figures of each table, as one with all of them is too wide to read."""
    samples: Samples
    picture: str
    """The name of its file."""
    not_measured: Mapping[str, str]
    """Why not, by name."""

    @property
    def ours_failed(self) -> bool:
        """Whether wsroll itself could not be measured."""
        return any(name in self.not_measured for name in self.ours)

    def found(self) -> Figures:
        """Return the medians over the rounds, in the order of the tables."""
        return {
            figure: {
                name: statistics.median(values) for name, values in self.samples[figure].items()
            }
            for figures in self.tables
            for figure in figures
            if figure in self.samples
        }

    def text(self) -> str:
        """Return the tables, and what is not in them."""
        found = self.found()
        parts = []
        for figures in self.tables:
            part = {figure: found[figure] for figure in figures if figure in found}
            if part:
                parts.append(_table(part, self.names, self.ours[0], self.first))
        parts += [f"Not measured: {name}: {why}." for name, why in self.not_measured.items()]
        return "\n\n".join(parts)


def write(folder: Path, sections: Sequence[Section], versions: Mapping[str, str]) -> None:
    """Write the whole of RESULTS.md, with its pictures."""
    parts = ["# Results", "Written by `make bench`.", _machine(versions)]
    for section in sections:
        parts += [f"## {section.title}", section.method.rstrip()]
        try:
            _draw(section, folder / section.picture)
            parts.append(f"![The medians as bars]({section.picture})")
        except ImportError as error:
            parts.append(f"No picture: {error}.")
            print(parts[-1], file=sys.stderr)
        parts.append(section.text())
    (folder / "RESULTS.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _table(
    found: Mapping[str, Mapping[str, float]], names: Iterable[str], ours: str, first: str
) -> str:
    """Return a Markdown table: a row a name, a column a figure, each with its ratio to ours."""
    figures = list(found)
    lines = [f"| {first} | " + " | ".join(figures) + " |", "| --- |" + " ---: |" * len(figures)]
    for name in names:
        if any(name in found[figure] for figure in figures):
            cells = [_cell(found[figure].get(name), found[figure].get(ours)) for figure in figures]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: float | None, ours: float | None) -> str:
    if value is None:
        return "–"
    number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return number + (f" ({value / ours:.2f})" if ours else "")


def _machine(versions: Mapping[str, str]) -> str:
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


def _draw(section: Section, path: Path) -> None:
    """Draw one bar chart a figure that there is more than one name for, ours in its own colour.

    Raises:
        ImportError: If matplotlib is not installed.
    """
    import matplotlib  # only here, as it may be missing

    matplotlib.use("svg")
    # The same figures give the same file, and the text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "wsroll", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot

    found = {figure: values for figure, values in section.found().items() if len(values) > 1}
    bars = max(map(len, found.values()), default=1)
    columns = 2
    rows = max(1, -(-len(found) // columns))
    figure, grid = pyplot.subplots(
        rows, columns, figsize=(10, 0.7 + rows * (0.5 + 0.27 * bars)), squeeze=False
    )
    for axes, (title, values) in zip(grid.flat, found.items(), strict=False):
        shown = [name for name in reversed(section.names) if name in values]
        colours = ["#1f6feb" if name in section.ours else "#9aa4b1" for name in shown]
        drawn = axes.barh(shown, [values[name] for name in shown], color=colours)
        axes.bar_label(drawn, [_cell(values[name], None) for name in shown], padding=3)
        axes.set_title(title, loc="left", fontweight="bold")
        axes.margins(x=0.15)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.tick_params(left=False, bottom=False, labelbottom=False)
    for axes in list(grid.flat)[len(found) :]:
        axes.set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
