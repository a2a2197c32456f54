"""A kernel as C: one pass over a layer, all its timesteps at once. Numbers are its data, not its text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from baselines.kernels.traced.arithmetic import C
from baselines.kernels.traced.lanes import UNIT
from baselines.kernels.traced.lowered import SUM, Kernel, Lowering, Place
from baselines.kernels.traced.recorded import Unrecordable

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

static inline int bits_of(float x)
{
    int bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(int bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void sum_rows(float *restrict to, const float *restrict from, long n, long w)
{
    for (long c = 0; c < w; c++) to[c] = 0.0f + from[c];
    for (long i = w; i < n; i += w)
        for (long c = 0; c < w; c++) to[c] += from[i + c];
}

static void narrow(unsigned char *restrict b, const float *restrict s, long n)
{
    for (long i = 0; i < n; i++) b[i] = (unsigned char)s[i];
}
"""
BODY = r"""
void NAME(long R, long W, int threads, From in, From scalars, From columns, const float *k, float *const *out,
          unsigned char *const *bytes)
{
    const long several = CHUNK / W, rows = several ? several : 1;
    const long pieces = several ? 1 : (W + CHUNK - 1) / CHUNK, blocks = (R + rows - 1) / rows;
    #pragma omp parallel num_threads(threads) if (threads > 1)
    {
        float tiles[COLUMNS + 1][CHUNK], sums[SUMS + 1][CHUNK];
        if (several)
            for (int q = 0; q < COLUMNS; q++)
                for (long r = 0; r < several; r++) memcpy(tiles[q] + r * W, columns[q], W * sizeof(float));
FIXED
        #pragma omp for
        for (long q = 0; q < blocks * pieces; q++) {
            const long row = q / pieces * rows, column = q % pieces * CHUNK, at = row * W + column;
            const long block = q / pieces * W + column;
            const long left = R - row < rows ? R - row : rows;
            const long n = several ? left * W : W - column < CHUNK ? W - column : CHUNK;
POINTERS
            #pragma GCC ivdep
            for (long i = 0; i < n; i++) {
LINES
            }
AFTER
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
    numbers: tuple[float, ...]
    stores: tuple[Place, ...]
    bytes: tuple[Place, ...]
    """Those of the stores that are wanted as bytes too."""
    domain: int
    wide: bool
    """A column is an element of the frame, not a channel."""


class _Writing:
    """Names of expressions, and lines of C, as they come."""

    def __init__(self, lowering: Lowering, kernel: Kernel) -> None:
        self.lowering, self.kernel = lowering, kernel
        self.names: dict[int, str] = {}
        self.lines: list[str] = []
        self.loads: dict[Place, str] = {}
        self.scalars: dict[Place, str] = {}
        self.columns: dict[Place, str] = {}
        self.numbers: list[float] = []
        for number, place in kernel.loads.items():
            self.names[number] = self._loaded(place)
        for number in kernel.order:
            self.names[number] = self._named(number)

    def _loaded(self, place: Place) -> str:
        if self.lowering.domain_of(place.value) == UNIT and self.kernel.domain != UNIT:
            return self.scalars.setdefault(Place(place.value, -1), f"scalar{len(self.scalars)}")
        return self.loads.setdefault(place, f"in{len(self.loads)}[i]")

    def _named(self, number: int) -> str:
        name, operands, of = self.lowering.expressions[number]
        if name == "number":
            self.numbers.append(of[0])
            return f"k{len(self.numbers) - 1}"
        if name == "small":
            place = Place(of[0], -1 if of[1] is None else of[1])
            if math.prod(self.lowering.forms[of[0]].shape[-3:]) == 1:
                return self.scalars.setdefault(place, f"scalar{len(self.scalars)}")
            return self.columns.setdefault(place, f"column{len(self.columns)}[i]")
        whole = self.lowering.logical(number) or self.lowering.integer(number)
        kind, made = "int" if whole else "float", f"e{len(self.lines)}"
        self.lines.append(f"const {kind} {made} = {C[name].format(*(self.names[operand] for operand in operands))};")
        return made


def written(lowering: Lowering, kernel: Kernel, spikes: frozenset[Place]) -> Written:
    """`spikes`: what is stored as bytes too. Raises Unrecordable for sums over rows that are no channels."""
    writing, stores, packed, summed = _Writing(lowering, kernel), list[Place](), dict[int, Place](), list[int]()
    for number, places in kernel.stores.items():
        for place in places:
            to = f"out{len(stores)}"
            if place.step == SUM:
                to = f"sums[{len(summed)}]"
                summed.append(len(stores))
            if place in spikes:
                packed[len(stores)] = place
            writing.lines.append(f"{to}[i] = {writing.names[number]};")
            stores.append(place)
    loads, scalars, columns = (tuple(each) for each in (writing.loads, writing.scalars, writing.columns))
    wide = any(math.prod(lowering.forms[place.value].shape[-3:][-2:]) > 1 for place in columns)
    if wide and summed:
        raise Unrecordable("sums over the rows of a channel beside numbers of an element each")
    counts = (len(loads), len(scalars), len(columns), len(writing.numbers), len(stores))
    return Written(
        _text(writing.lines, *counts, list(packed), summed),
        loads,
        scalars,
        columns,
        tuple(writing.numbers),
        tuple(stores),
        tuple(packed.values()),
        kernel.domain,
        wide,
    )


def _text(
    lines: Sequence[str],
    loads: int,
    scalars: int,
    columns: int,
    numbers: int,
    stores: int,
    packed: Sequence[int],
    summed: Sequence[int],
) -> str:
    fixed = [f"const float scalar{q} = *scalars[{q}];" for q in range(scalars)]
    fixed += [f"const float k{q} = k[{q}];" for q in range(numbers)]
    pointers = [f"const float *in{q} = in[{q}] + at;" for q in range(loads)]
    pointers += [f"const float *column{q} = several ? tiles[{q}] : columns[{q}] + column;" for q in range(columns)]
    pointers += [f"float *out{q} = out[{q}] + {'block' if q in summed else 'at'};" for q in range(stores)]
    narrowed = [f"narrow(bytes[{q}] + at, out{store}, n);" for q, store in enumerate(packed)]
    narrowed += [f"sum_rows(out{store}, sums[{q}], n, several ? W : n);" for q, store in enumerate(summed)]
    text = BODY.replace("COLUMNS", str(columns)).replace("SUMS", str(len(summed)))
    places = {"FIXED": (fixed, 8), "POINTERS": (pointers, 12), "LINES": (lines, 16), "AFTER": (narrowed, 12)}
    for mark, (given, depth) in places.items():
        text = text.replace(f"{mark}\n", "".join(f"{' ' * depth}{line}\n" for line in given))
    return text
