"""A kernel as C: one pass over the columns of a layer, all its timesteps at once. Numbers are its data, not its text."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.kernels.traced.arithmetic import C
from baselines.kernels.traced.lowered import UNIT, Kernel, Lowering, Place

HEAD = r"""
#include <math.h>
#include <string.h>
#define CHUNK 512
#ifdef __FP_FAST_FMAF
#define FMA(a, b, c) fmaf(a, b, c)   /* as torch.add with alpha rounds */
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif
typedef const float *const *From;
"""
BODY = r"""
void NAME(long R, long W, int threads, From in, From scalars, From columns, const float *k, float *const *out, unsigned char *const *bytes)
{
    const long several = CHUNK / W, rows = several ? several : 1;
    const long pieces = several ? 1 : (W + CHUNK - 1) / CHUNK, blocks = (R + rows - 1) / rows;
    #pragma omp parallel num_threads(threads) if (threads > 1)
    {
        float tiles[COLUMNS + 1][CHUNK];
        if (several)
            for (int q = 0; q < COLUMNS; q++)
                for (long r = 0; r < several; r++) memcpy(tiles[q] + r * W, columns[q], W * sizeof(float));
SCALARS
        #pragma omp for
        for (long q = 0; q < blocks * pieces; q++) {
            const long row = q / pieces * rows, column = q % pieces * CHUNK, at = row * W + column;
            const long left = R - row < rows ? R - row : rows;
            const long n = several ? left * W : W - column < CHUNK ? W - column : CHUNK;
POINTERS
            #pragma GCC ivdep
            for (long i = 0; i < n; i++) {
LINES
            }
BYTES
        }
    }
}
"""


@dataclass(frozen=True)
class Written:
    """What a kernel's text takes, in the order in which it takes it."""

    text: str
    loads: tuple[Place, ...]
    scalars: tuple[Place, ...]
    columns: tuple[Place, ...]
    domain: int
    wide: bool
    """A column is an element of the frame, not a channel."""
    numbers: tuple[float, ...]
    stores: tuple[Place, ...]
    bytes: tuple[Place, ...]
    """Those of the stores that are wanted as bytes too."""


def written(lowering: Lowering, kernel: Kernel, spikes: frozenset[Place]) -> Written:
    """`spikes`: what is stored as bytes too where it is a truth value."""
    expressions, names, lines = lowering.expressions, dict[int, str](), list[str]()
    loads: dict[Place, str] = {}
    scalars, columns, numbers = list[Place](), list[Place](), list[float]()
    smalls = [expressions[e] for e in kernel.order if expressions[e].name == "small"]
    wide = any(_is_an_element(lowering, small.of[0]) for small in smalls)
    for number, place in kernel.loads.items():
        if lowering.domain_of(place.value) == UNIT and kernel.domain != UNIT:
            names[number] = f"scalar{len(scalars)}"
            scalars.append(Place(place.value, -1))
        else:
            names[number] = loads.setdefault(place, f"in{len(loads)}[i]")
    for number in kernel.order:
        name, operands, of = expressions[number]
        if name == "number":
            names[number] = f"k{len(numbers)}"
            numbers.append(of[0])
        elif name == "small":
            place = Place(of[0], -1 if of[1] is None else of[1])
            many = _size(lowering, of[0]) > 1
            names[number] = f"column{len(columns)}[i]" if many else f"scalar{len(scalars)}"
            (columns if many else scalars).append(place)
        else:
            kind = "int" if lowering.logical(number) else "float"
            names[number] = f"e{len(lines)}"
            value = C[name].format(*(names[operand] for operand in operands))
            lines.append(f"const {kind} {names[number]} = {value};")
    stores, byte = [], []
    for number, places in kernel.stores.items():
        for place in places:
            lines.append(f"out{len(stores)}[i] = {names[number]};")
            if place in spikes and expressions[number].name == "float":
                byte.append((len(stores), place))
            stores.append(place)
    pointers = [f"const float *in{q} = in[{q}] + at;" for q in range(len(loads))]
    pointers += [f"const float *column{q} = several ? tiles[{q}] : columns[{q}] + column;" for q in range(len(columns))]
    pointers += [f"float *out{q} = out[{q}] + at;" for q in range(len(stores))]
    fixed = [f"const float scalar{q} = *scalars[{q}];" for q in range(len(scalars))]
    fixed += [f"const float k{q} = k[{q}];" for q in range(len(numbers))]
    packed = [
        f"{{ unsigned char *b = bytes[{q}] + at; const float *s = out{store}; for (long i = 0; i < n; i++) b[i] = (unsigned char)s[i]; }}"
        for q, (store, _) in enumerate(byte)
    ]
    text = BODY.replace("COLUMNS", str(len(columns)))
    for mark, given, depth in (("SCALARS", fixed, 8), ("POINTERS", pointers, 12), ("LINES", lines, 16), ("BYTES", packed, 12)):
        text = text.replace(f"{mark}\n", "".join(f"{' ' * depth}{line}\n" for line in given))
    return Written(
        text, tuple(loads), tuple(scalars), tuple(columns), kernel.domain, wide, tuple(numbers), tuple(stores), tuple(p for _, p in byte)
    )


def _size(lowering: Lowering, number: int) -> int:
    """Values of one step of what is broadcast along frames."""
    product = 1
    for n in lowering.forms[number].shape[-3:]:
        product *= n
    return product


def _is_an_element(lowering: Lowering, number: int) -> bool:
    """Whether it differs from place to place of a map."""
    return any(n != 1 for n in lowering.forms[number].shape[-3:][-2:])
