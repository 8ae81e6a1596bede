"""The results of a run as text: each metric of the test part beside its baselines."""

WIDTH = 120  # columns of a terminal


def results_table(test: dict[str, float], baselines: dict[str, float]) -> str:
    """A row for each metric, with the model's result and a column for each baseline.

    Metrics without baselines come first. The others stand below a heading that names the baselines, those with
    baselines in common together.

    Args:
        test: `test/METRIC` -> value.
        baselines: `test/METRIC/BASELINE` -> value.

    Returns:
        lines of at most `WIDTH` characters.
    """
    beside: dict[str, dict[str, float]] = {metric: {} for metric in test}
    for name, value in baselines.items():
        metric, _, baseline = name.rpartition("/")
        beside.setdefault(metric, {})[baseline] = value
    alone: list[str] = []
    groups: list[list[str]] = [alone]
    for metric, found in beside.items():
        akin = [group for group in groups[1:] if any(found.keys() & beside[other].keys() for other in group)]
        if not found:
            alone.append(metric)
        elif akin:
            akin[0].append(metric)
        else:
            groups.append([metric])
    first = max(len(metric) for metric in beside)
    return "\n\n".join(
        block
        for group in groups
        if group
        for block in blocks({metric: {"result": test.get(metric), **beside[metric]} for metric in group}, first)
    )


def blocks(rows: dict[str, dict[str, float | None]], first: int) -> list[str]:
    """The rows below a heading; again with further columns, where they do not all fit into `WIDTH`.

    Args:
        rows: metric -> column -> value; what a row lacks is left blank.
        first: width of the first column, which holds the metrics' names.
    """
    columns: dict[str, list[str]] = {}  # heading (a line for each word) and cells
    for name in dict.fromkeys(name for values in rows.values() for name in values):
        values = [found.get(name) for found in rows.values()]
        columns[name] = name.split("_") + ["" if value is None else f"{value:.5g}" for value in values]
    height = max(len(column) for column in columns.values())
    made: list[list[str]] = []
    for column in columns.values():
        cells = [""] * (height - len(column)) + column
        width = max(map(len, cells))
        if not made or len(made[-1][0]) + 2 + width > WIDTH:
            made.append([name.ljust(first) for name in [""] * (height - len(rows)) + list(rows)])
        made[-1] = [f"{line}  {cell.rjust(width)}" for line, cell in zip(made[-1], cells, strict=True)]
    return ["\n".join(line.rstrip() for line in lines) for lines in made]
