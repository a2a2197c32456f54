"""`export`: results and networks for other programs - CSV, parquet and LaTeX; torch, ONNX and NIR."""

from __future__ import annotations

import argparse
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness import durable, tables
from harness.errors import UserError
from harness.plan import plan_cells, state, stored_data
from harness.store import Store
from harness.verbs import session

Tell = Callable[[str], None]


def export(options: argparse.Namespace, tell: Tell) -> tuple[list[Path], tuple[UserError, ...]]:
    """What was written, and what was wrong with the store. Raises UserError."""
    return _network(options, tell) if options.to else _records(options)


def _records(options: argparse.Namespace) -> tuple[list[Path], tuple[UserError, ...]]:
    from harness.export import records

    store = Store(options.store)
    if options.targets:
        plans = session.plans_of(options, store, stored_data(store), tables.load)
    elif options.format == "latex":
        raise UserError("no table is named", "export --format latex", "type: python -m harness export table1 ...")
    else:
        plans = (plan_cells(list(store.cells())),)
    states = [state(plan, store) for plan in plans]
    if options.format == "latex":
        paths = records.write_latex(plans, [each.outcomes for each in states], options.out)
        return paths, store.problems
    outcomes = {key: outcome for each in states for key, outcome in each.outcomes.items()}
    cells = dict.fromkeys(cell for plan in plans for cell in plan.cells)
    if not cells:
        raise UserError(
            "has no cells yet", str(options.store), "train some: python -m harness run table1 --preset smoke"
        )
    return records.write([(c, outcomes.get(c.key)) for c in cells], options.out, options.format), store.problems


def _network(options: argparse.Namespace, tell: Tell) -> tuple[list[Path], tuple[UserError, ...]]:
    from harness.export import network
    from harness.verbs.show import find_cell

    if len(options.targets) != 1:
        raise UserError(
            f"{len(options.targets)} cells are named", "export --to", "name one, as `status --cells` shows it"
        )
    cell, store = find_cell(options.targets[0], Store(options.store))
    folded, images = network.load(cell, store, options.data, tuple(options.plugin))
    form = importlib.import_module(f"harness.export.as_{options.to}")
    durable.make_folder(options.out)
    name = f"{cell.label.replace('/', '-')}-{cell.key}"
    path = form.write(folded, images, options.out / name)
    names = list(folded.spiking_layers())
    with tempfile.TemporaryDirectory() as folder:
        checked = path if options.to == "nir" else form.write(folded, images, Path(folder) / name, spikes=True)
        wrong, compared, difference = network.agreement(folded, images, lambda batch: form.run(checked, names, batch))
    tell(
        f"read back and run on {images.shape[network.axis(images)]} test samples: "
        f"{wrong:,} of {compared:,} spikes differ, scores by {difference:.1e} at most"
    )
    return [path], store.problems
