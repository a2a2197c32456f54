/* One layer of LIF neurons over all timesteps, with or without MPBN, in training: forward, and the adjoint of it.
 *
 * Arrays are (T, R, C), contiguous: R rows that share their statistics (batch, height, width in channels-last order;
 * only the batch for element-wise MPBN, where C counts elements). Columns are independent of each other, so a block
 * of them is carried through all steps. Only the potential u, and the spikes as bytes, are kept for the way back.
 *
 *   u(t) = x(t) + tau * u(t-1) * (1 - s(t-1))          Eq. 1, 2
 *   z(t) = lam * (u(t) - mean(t)) * invstd(t) + beta   Eq. 7, statistics of step t over the rows
 *   s(t) = z(t) > v_th                                 Eq. 8
 *
 * Variants: with `normalised`, z(t-1) is carried in the place of u(t-1); with `detach`, no gradient passes 1 - s.
 */
#include <omp.h>
#include <stdlib.h>
#include "layer.h"

#define BLOCK 256  /* columns at most; fewer where there are not so many: the more, the longer are the stretches of memory */
#define RUN 64    /* rows summed in float before the sum moves on to a double */

typedef struct { const float *x, *lam, *beta; float *u, *s, *mean, *var; byte *b; const float *in, *add; } Forward;
typedef struct {
    const float *gs, *u; const byte *s; const float *lam, *beta, *mean, *var; float *gx, *glam, *gbeta;
    const float *x, *centre; float *added, *slanted;   /* of a batch norm before the neurons: see NORMED */
} Backward;

#define EACH(j) for (int j = 0; j < w; j++)
#define LANES(j) _Pragma("GCC ivdep") _Pragma("GCC unroll 1") EACH(j)   /* unrolled, gcc would not use vectors */
#define ROW(array, t, r) ((array) + ((t) * L->R + (r)) * L->C + c)

typedef struct {
    long first, last;   /* rows of this thread */
    int of;             /* threads that share the rows */
    float *parts;       /* (8, runs, BLOCK), of all of them */
    long runs;
    long turn;          /* sums before this block: even and odd ones have places of their own */
} Share;

#define PART(place, run) (S.parts + ((place) * S.runs + (run) / RUN) * BLOCK)
#define ADD_UP(place, total) if (S.of > 1) for (long q = 0; q < S.runs; q++) EACH(j) total[j] += PART(place, q * RUN)[j];
#define GATHER(place, total) if (S.of > 1) { _Pragma("omp barrier") } ADD_UP(place, total)

#define CURRENT x[j]
#define BLOCK_OF(pass) pass##_block
#include "recurrence.h"
#undef BLOCK_OF
#define VARIANT
#define BLOCK_OF(pass) pass##_block_variant
#include "recurrence.h"
#undef BLOCK_OF
#undef CURRENT
#define NORMED
#define CURRENT (in[j] * x[j] + add[j])
#define BLOCK_OF(pass) pass##_block_normed_variant
#include "recurrence.h"
#undef BLOCK_OF
#undef VARIANT
#define BLOCK_OF(pass) pass##_block_normed
#include "recurrence.h"

/* As many columns as the compiler has a form of, each its own: in a loop of unknown length the last ones would be rounded
 * by other instructions than the first. */
#define COLUMNS(call, w) \
    switch (w) { case 256: call(256); break; case 128: call(128); break; case 64: call(64); break; case 32: call(32); break; case 16: call(16); break; default: call(w); }

static void forward_columns(const Layer *L, const Forward *A, long c, int w, const Share S)
{
    #define FORWARD(w) forward_block(L, A, c, w, S)
    #define FORWARD_NORMED(w) forward_block_normed(L, A, c, w, S)
    if (A->in && (L->detach || L->normalised)) forward_block_normed_variant(L, A, c, w, S);
    else if (A->in) COLUMNS(FORWARD_NORMED, w)
    else if (L->detach || L->normalised) forward_block_variant(L, A, c, w, S);
    else COLUMNS(FORWARD, w)
}

static void backward_columns(const Layer *L, const Backward *A, long c, int w, const Share S)
{
    #define STRAIGHT(w) backward_block(L, A, c, w, 0, 1, S)
    #define CURVED(w) backward_block(L, A, c, w, L->k, 0, S)
    #define STRAIGHT_NORMED(w) backward_block_normed(L, A, c, w, 0, 1, S)
    #define CURVED_NORMED(w) backward_block_normed(L, A, c, w, L->k, 0, S)
    if (A->x && (L->detach || L->normalised)) backward_block_normed_variant(L, A, c, w, L->k, L->k == 0, S);
    else if (A->x && L->k == 0) COLUMNS(STRAIGHT_NORMED, w)
    else if (A->x) COLUMNS(CURVED_NORMED, w)
    else if (L->detach || L->normalised) backward_block_variant(L, A, c, w, L->k, L->k == 0, S);
    else if (L->k == 0) COLUMNS(STRAIGHT, w)
    else COLUMNS(CURVED, w)
}

typedef void Pass(const Layer *L, const void *A, long c, int w, const Share S);

/* All columns, a block at a time: the threads share the rows of each where there are many, else the blocks. */
static void each_block(const Layer *L, Pass *pass, const void *A)
{
    const long runs = (L->R + RUN - 1) / RUN;
    float *parts = L->threads > 1 && runs >= 4 * L->threads ? malloc(8 * runs * BLOCK * sizeof(float)) : 0;
    #pragma omp parallel num_threads(L->threads) if (L->threads > 1)
    {
        const long me = omp_get_thread_num(), of = omp_get_num_threads();
        const long last = (me + 1) * runs / of * RUN;
        Share rows = {me * runs / of * RUN, last < L->R ? last : L->R, (int)of, parts, runs, 0};
        const Share all = {.last = L->R, .of = 1};
        for (long c = 0, w, q = 0; c < L->C; c += w, q++, rows.turn += L->T) {
            const long left = L->C - c;
            w = left >= 256 ? 256 : left >= 128 ? 128 : left >= 64 ? 64 : left >= 32 ? 32 : left >= 16 ? 16 : left;
            if (parts && of > 1) pass(L, A, c, (int)w, rows);
            else if (q % of == me) pass(L, A, c, (int)w, all);
        }
    }
    free(parts);
}

/* x: currents; u, s, b: potentials, spikes, spikes as bytes; mean, var: (T, C), of u. */
void neuron_forward(const Layer *L, const float *x, const float *lam, const float *beta,
                    float *u, float *s, float *mean, float *var, byte *b)
{
    const Forward A = {x, lam, beta, u, s, mean, var, b, 0, 0};
    each_block(L, (Pass *)forward_columns, &A);
}

/* gs: gradient of the spikes; gx: gradient of the currents (also scratch); glam, gbeta: (C), summed over T. */
void neuron_backward(const Layer *L, const float *gs, const float *u, const byte *s, const float *lam,
                     const float *beta, const float *mean, const float *var, float *gx, float *glam, float *gbeta)
{
    const Backward A = {gs, u, s, lam, beta, mean, var, gx, glam, gbeta, 0, 0, 0, 0};
    each_block(L, (Pass *)backward_columns, &A);
}

/* The same of currents in * x + add, one number a column: what a batch norm before the neurons makes of x. */
void normed_forward(const Layer *L, const float *x, const float *in, const float *add, const float *lam, const float *beta,
                    float *u, float *s, float *mean, float *var, byte *b)
{
    const Forward A = {x, lam, beta, u, s, mean, var, b, in, add};
    each_block(L, (Pass *)forward_columns, &A);
}

/* gx: gradient of the currents; added, slanted: (C), its sums, plain and times x - centre, over T and rows. */
void normed_backward(const Layer *L, const float *gs, const float *u, const byte *s, const float *lam, const float *beta,
                     const float *mean, const float *var, float *gx, float *glam, float *gbeta,
                     const float *x, const float *centre, float *added, float *slanted)
{
    const Backward A = {gs, u, s, lam, beta, mean, var, gx, glam, gbeta, x, centre, added, slanted};
    each_block(L, (Pass *)backward_columns, &A);
}
