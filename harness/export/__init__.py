"""`export`: results and networks for other programs - CSV, parquet and LaTeX; torch, ONNX and NIR."""

from __future__ import annotations

import importlib
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness import durable, tables
from harness.errors import UserError
from harness.plan import by_row, data_of, in_order, state
from harness.requests import Export
from harness.store import Store
from harness.verbs import elsewhere, session

Tell = Callable[[str], None]


def export(request: Export, tell: Tell) -> tuple[list[Path], tuple[UserError, ...]]:
    """What was written, and what was wrong with the store. Raises UserError."""
    return _network(request, tell) if request.to else _records(request)


def _records(request: Export) -> tuple[list[Path], tuple[UserError, ...]]:
    from harness.export import records

    store, plans = Store(request.asked.store), ()
    if request.asked.targets:
        plans = session.plans_of(request.asked, store, data_of(store.begun), tables.load)
    elif request.format == "latex":
        raise UserError("no table is named", "export --format latex", "type: python -m harness export table1 ...")
    told = elsewhere.told(request.asked, plans, store) if plans else ()
    if request.format == "latex":
        paths = records.write_latex(plans, [state(plan, store).outcomes for plan in plans], request.out)
        return paths, (*store.problems, *told)
    rows = (cell for plan in plans for cell in plan.cells) if plans else itertools.chain(*by_row(store.begun))
    cells = in_order(rows)
    if not cells:
        advice = f"train some: python -m harness run table1 --preset smoke{request.asked.where()}"
        raise UserError("has no cells yet", str(request.asked.store), advice)
    paths = records.write(cells, store, request.out, request.format)
    return paths, (*store.problems, *told)


def _network(request: Export, tell: Tell) -> tuple[list[Path], tuple[UserError, ...]]:
    from harness.export import network
    from harness.verbs.show import find_cell

    if len(request.asked.targets) != 1:
        raise UserError(
            f"{len(request.asked.targets)} cells are named", "export --to", "name one, as `status --cells` shows it"
        )
    cell, store = find_cell(request.asked.targets[0], Store(request.asked.store))
    folded, images = network.load(cell, store, request.asked.data, request.asked.plugin)
    form = importlib.import_module(f"harness.export.as_{request.to}")
    durable.make_folder(request.out)
    name = f"{cell.label.replace('/', '-')}-{cell.key}"
    path = form.write(folded, images, request.out / name)
    names = list(folded.spiking_layers())
    with tempfile.TemporaryDirectory() as folder:
        checked = path if request.to == "nir" else form.write(folded, images, Path(folder) / name, spikes=True)
        wrong, compared, difference = network.agreement(folded, images, lambda batch: form.run(checked, names, batch))
    tell(
        f"read back and run on {images.shape[network.axis(images)]} test samples: "
        f"{wrong:,} of {compared:,} spikes differ, scores by {difference:.1e} at most"
    )
    return [path], store.problems
