/* A batch norm and the neurons behind it, in one pass over memory; statistics run over all T·R rows of a column.
 *
 * Arrays are (T, R, C), as in `neuron.c`. Work goes by tiles: as many rows as are some hundred numbers, whose columns stand
 * side by side, so that constants of a column are read as if there were one a number. GROUP tiles are summed in float, lane
 * by lane; groups in double, in their order: the same bits for any number of threads.
 *
 * Of neurons without MPBN, as here, nothing is kept for the way back but x: potentials are computed again.
 */
#include <stdlib.h>
#include <string.h>
#include "layer.h"

#define TILE 512
#define GROUP 16
#define LANES(i) _Pragma("GCC ivdep") for (long i = 0; i < n; i++)

/* n numbers from `at` on, in every step; `of` holds the constants of their columns, (constants, TILE). */
typedef struct { const Layer *L; long at, n, size; const float (*of)[TILE]; float *plain, *slanted; const void *arrays; } Tile;
typedef void Work(const Tile *W);

#define CONSTANTS 3

/* All of R rows, with the `constants` of their columns; what tiles add to `plain` and `slanted` is summed over rows. */
static void each_tile(const Layer *L, long R, Work *work, const void *arrays, const float *const constants[CONSTANTS],
                      float *plain, float *slanted)
{
    const long C = L->C, several = C < TILE ? TILE / C : 1, pieces = (C + TILE - 1) / TILE, wide = pieces > 1 ? TILE : C;
    const long groups = (R + several * GROUP - 1) / (several * GROUP);
    float *parts = plain ? malloc(2 * groups * C * sizeof(float)) : 0;
    #pragma omp parallel num_threads(L->threads) if (L->threads > 1)
    {
        float of[CONSTANTS][TILE], sums[2][TILE];
        #pragma omp for
        for (long q = 0; q < groups * pieces; q++) {
            const long g = q / pieces, column = q % pieces * TILE, w = C - column < wide ? C - column : wide;
            for (int k = 0; k < CONSTANTS && constants[k]; k++)
                for (long r = 0; r < several; r++) memcpy(of[k] + r * w, constants[k] + column, w * sizeof(float));
            memset(sums, 0, sizeof sums);
            const long first = g * several * GROUP, end = first + several * GROUP < R ? first + several * GROUP : R;
            for (long r = first; r < end; r += several) {
                const long rows = end - r < several ? end - r : several;
                const Tile tile = {L, r * C + column, rows * w, R * C, (const float (*)[TILE])of, sums[0], sums[1], arrays};
                work(&tile);
            }
            if (parts)
                for (int k = 0; k < 2; k++) {
                    float *part = parts + (k * groups + g) * C + column;
                    memcpy(part, sums[k], w * sizeof(float));
                    for (long r = 1; r < several; r++)
                        for (long c = 0; c < w; c++) part[c] += sums[k][r * w + c];
                }
        }
        if (parts) {
            #pragma omp for
            for (long c = 0; c < C; c++) {
                double a = 0, b = 0;
                for (long g = 0; g < groups; g++) { a += parts[g * C + c]; b += parts[(groups + g) * C + c]; }
                plain[c] = (float)a;
                slanted[c] = (float)b;
            }
        }
    }
    free(parts);
}

typedef struct { const float *x, *gs; float *s, *gx; byte *b; } Arrays;

#define TIMES for (long t = 0; t < L->T; t++)
#define AT(array, t) ((array) + (t) * W->size + W->at)

/* --- statistics, about the first row of each column: it is as near to the mean as any */

static void moments_tile(const Tile *W)
{
    const float *x = ((const Arrays *)W->arrays)->x + W->at, *centre = W->of[0];
    const long n = W->n;
    LANES(i) { const float d = x[i] - centre[i]; W->plain[i] += d; W->slanted[i] += d * d; }
}

/* mean, var: (C), over all steps and rows. */
void norm_moments(const Layer *L, const float *x, float *mean, float *var)
{
    const Arrays A = {.x = x};
    const double count = (double)(L->T * L->R);
    each_tile(L, L->T * L->R, moments_tile, &A, (const float *const[CONSTANTS]){x}, mean, var);
    for (long c = 0; c < L->C; c++) {
        const double off = mean[c] / count;
        mean[c] = (float)(x[c] + off);
        var[c] = (float)fmax(var[c] / count - off * off, 0);
    }
}

/* --- currents in * x + add, and neurons */

INLINE void charged(const Tile *W, long t, const float *restrict x, float *restrict v, float *restrict u)
{
    const float tau = W->L->tau, *in = W->of[0], *add = W->of[1];
    const long n = W->n;
    if (t == 0) LANES(i) u[i] = in[i] * x[i] + add[i];
    else LANES(i) u[i] = in[i] * x[i] + add[i] + tau * v[i];
}

static void forward_tile(const Tile *W)
{
    const Layer *L = W->L;
    const Arrays *A = W->arrays;
    const float v_th = L->v_th;
    const long n = W->n;
    float u[TILE], v[TILE];
    TIMES {
        float *s = AT(A->s, t);
        byte *b = AT(A->b, t);
        charged(W, t, AT(A->x, t), v, u);
        LANES(i) { s[i] = u[i] > v_th ? 1.0f : 0.0f; v[i] = u[i] * (1 - s[i]); }
        LANES(i) b[i] = (byte)s[i];
    }
}

/* The gradient of the currents. */
static void backward_tile(const Tile *W)
{
    const Layer *L = W->L;
    const Arrays *A = W->arrays;
    const float *centre = W->of[2], tau = L->tau, v_th = L->v_th, k = L->k, scale = k == 0 ? 1 : k / (2 * tanhf(k / 2));
    const float through = L->detach ? 0 : 1;
    const long n = W->n;
    float u[L->T][TILE], v[TILE];
    TIMES {
        charged(W, t, AT(A->x, t), v, u[t]);
        LANES(i) v[i] = u[t][i] > v_th ? 0.0f : u[t][i];
    }
    memset(v, 0, sizeof v);   /* from here on tau times the gradient of v(t) */
    for (long t = L->T - 1; t >= 0; t--) {
        const float *gs = AT(A->gs, t), *x = AT(A->x, t), *z = u[t];
        float *gx = AT(A->gx, t);
        #define BACK(slope) LANES(i) { \
            const float g = (gs[i] - through * v[i] * z[i]) * (slope) + (z[i] > v_th ? 0.0f : v[i]); \
            gx[i] = g; v[i] = tau * g; W->plain[i] += g; W->slanted[i] += g * (x[i] - centre[i]); }
        if (k == 0) BACK(window(z[i], v_th))
        else BACK(derivative(z[i], v_th, k, scale))
    }
}

void norm_forward(const Layer *L, const float *x, const float *in, const float *add, float *s, byte *b)
{
    const Arrays A = {.x = x, .s = s, .b = b};
    each_tile(L, L->R, forward_tile, &A, (const float *const[CONSTANTS]){in, add}, 0, 0);
}

/* added, slanted: (C), sums of gx, plain and times x - centre, over T and rows. */
void norm_backward(const Layer *L, const float *gs, const float *x, const float *in, const float *add, const float *centre,
                   float *gx, float *added, float *slanted)
{
    const Arrays A = {.x = x, .gs = gs, .gx = gx};
    each_tile(L, L->R, backward_tile, &A, (const float *const[CONSTANTS]){in, add, centre}, added, slanted);
}

/* --- from the gradient of the currents to that of x: a * gx + b * x + c, one number a column, in the place of gx */

static void through_tile(const Tile *W)
{
    const Arrays *A = W->arrays;
    const float *x = A->x + W->at, *a = W->of[0], *b = W->of[1], *c = W->of[2];
    float *gx = A->gx + W->at;
    const long n = W->n;
    LANES(i) gx[i] = a[i] * gx[i] + b[i] * x[i] + c[i];
}

void norm_through(const Layer *L, const float *x, const float *a, const float *b, const float *c, float *gx)
{
    const Arrays A = {.x = x, .gx = gx};
    each_tile(L, L->T * L->R, through_tile, &A, (const float *const[CONSTANTS]){a, b, c}, 0, 0);
}
