"""`besom importance`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from besom.tracking.reading.importance import Importance

__all__ = ["importance"]


@click.command(epilog="Example: besom importance k3x9a2bq --pairs 3")
@click.argument("sweep")
@click.option("--metric", help="A logged name; its last value counts. Default: the sweep's metric, or each of several.")
@click.option(
    "--pairs", type=click.IntRange(0), default=0, help="So many of the strongest pairs of parameters as well."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def importance(sweep: str, metric: str | None, pairs: int, as_json: bool) -> None:
    """Show which parameters of SWEEP matter: importance and correlation as W&B shows them, and share of the variance.

    Importance is how much worse a random forest predicts when the parameter's values are shuffled; variance is the
    share of the metric's variance over the whole space that the parameter has alone (fANOVA). Of a sweep with several
    metrics there is a table for each; as JSON a list.
    """
    from besom.cli.options import settings_with
    from besom.cli.reading import opened
    from besom.cli.tables import print_json

    with opened(settings_with(), sweep) as api:
        of = api.sweep(sweep)
        several = [one["name"] for one in of.config.get("metrics") or ()] if metric is None else []
        found = [of.importance(name, pairs=pairs) for name in several or [metric]]
    if as_json:
        told = [one.to_dict() for one in found]
        print_json(told if several else told[0])
        return
    for place, one in enumerate(found):
        click.echo("\n" * bool(place), nl=False)
        _print(one)


def _print(found: Importance) -> None:
    from besom.cli.tables import Column, print_table

    told = f"{found.metric} of {found.trials} trials" + (
        f", {found.left_out} without a value" if found.left_out else ""
    )
    click.echo(f"{told}; R² of the forest {found.fit:.2f}\n")
    shares = [Column(name, right=True, show=_share) for name in ("importance", "variance")]
    signed = [
        Column("correlation", right=True, show=_signed),
        Column("rank_correlation", "rank corr", right=True, show=_signed),
    ]
    print_table(_rows(found), ["parameter", shares[0], *signed, shares[1], Column("trials", right=True)])
    if found.pairs:
        click.echo("\npairs, beyond what each has alone")
        pairs = [{"pair": " × ".join(pair.names), "variance": pair.variance} for pair in found.pairs]
        print_table(pairs, ["pair", shares[1]])
    if found.constants:
        click.echo(f"\none value only: {', '.join(found.constants)}")
    if found.notice:
        click.echo(f"\n{found.notice}", err=True)


def _rows(found: Importance) -> list[dict[str, Any]]:
    """A row for each parameter, and below a categorical one a row for each value."""
    rows: list[dict[str, Any]] = []
    for one in found.parameters:
        rows.append({
            "parameter": one.name, "importance": one.importance, "correlation": one.correlation,
            "rank_correlation": one.rank_correlation, "variance": one.variance, "trials": one.trials,
        })  # fmt: skip
        rows += [{"parameter": f"{one.name}={value}", "correlation": r} for value, r in one.correlations.items()]
    return rows


def _share(value: float) -> str:
    return f"{value:.1%}".replace("%", " %")


def _signed(value: float) -> str:
    return f"{value:+.2f}"
