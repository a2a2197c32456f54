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
#include <math.h>

#define BLOCK 16  /* columns: one cache line of floats */
#define RUN 64    /* rows summed in float before the sum moves on to a double */
#define INLINE static inline __attribute__((always_inline))

typedef unsigned char byte;

typedef struct {
    long T, R, C;
    float tau, v_th, eps;
    int norm;       /* 0: z = u */
    float k;        /* surrogate: 0 straight-through, else the temperature of the tanh */
    int detach, normalised;
    int threads;
} Layer;

typedef struct { const float *x, *lam, *beta; float *u, *s, *mean, *var; byte *b; } Forward;
typedef struct { const float *gs, *u; const byte *s; const float *lam, *beta, *mean, *var; float *gx, *glam, *gbeta; } Backward;

#define EACH(j) for (int j = 0; j < w; j++)
#define LANES(j) _Pragma("GCC ivdep") _Pragma("GCC unroll 1") EACH(j)   /* unrolled, gcc would not use vectors */
#define ROW(array, t, r) ((array) + ((t) * L->R + (r)) * L->C + c)

INLINE float derivative(float z, float v_th, float k, float scale)
{
    const float inside = z >= v_th - 0.5f && z <= v_th + 0.5f ? 1.0f : 0.0f;
    const float e = expf(-2 * k * fabsf(z - v_th));   /* 1 - tanh(y)^2 = 4 e / (1 + e)^2 with e = exp(-2 |y|) */
    return k == 0 ? inside : inside * scale * 4 * e / ((1 + e) * (1 + e));
}

INLINE float window(float z, float v_th)   /* the same for k = 0, in words that gcc turns into vectors */
{
    return (float)((z >= v_th - 0.5f) & (z <= v_th + 0.5f));
}

#define BLOCK_OF(pass) pass##_block
#include "recurrence.h"
#undef BLOCK_OF
#define BLOCK_OF(pass) pass##_block_variant
#define VARIANT
#include "recurrence.h"

/* x: currents; u, s, b: potentials, spikes, spikes as bytes; mean, var: (T, C), of u. */
void neuron_forward(const Layer *L, const float *x, const float *lam, const float *beta,
                    float *u, float *s, float *mean, float *var, byte *b)
{
    const Forward A = {x, lam, beta, u, s, mean, var, b};
    #pragma omp parallel for num_threads(L->threads) if (L->threads > 1)
    for (long c = 0; c < L->C; c += BLOCK)
        if (c + BLOCK <= L->C) forward_block(L, &A, c, BLOCK);
        else forward_block(L, &A, c, (int)(L->C - c));
}

/* gs: gradient of the spikes; gx: gradient of the currents (also scratch); glam, gbeta: (C), summed over T. */
void neuron_backward(const Layer *L, const float *gs, const float *u, const byte *s, const float *lam,
                     const float *beta, const float *mean, const float *var, float *gx, float *glam, float *gbeta)
{
    const Backward A = {gs, u, s, lam, beta, mean, var, gx, glam, gbeta};
    #pragma omp parallel for num_threads(L->threads) if (L->threads > 1)
    for (long c = 0; c < L->C; c += BLOCK)
        if (c + BLOCK > L->C) backward_block(L, &A, c, (int)(L->C - c), L->k, 0);
        else if (L->k == 0) backward_block(L, &A, c, BLOCK, 0, 1);
        else backward_block(L, &A, c, BLOCK, L->k, 0);
}

void variant_forward(const Layer *L, const float *x, const float *lam, const float *beta,
                     float *u, float *s, float *mean, float *var, byte *b)
{
    const Forward A = {x, lam, beta, u, s, mean, var, b};
    #pragma omp parallel for num_threads(L->threads) if (L->threads > 1)
    for (long c = 0; c < L->C; c += BLOCK)
        forward_block_variant(L, &A, c, c + BLOCK > L->C ? (int)(L->C - c) : BLOCK);
}

void variant_backward(const Layer *L, const float *gs, const float *u, const byte *s, const float *lam,
                      const float *beta, const float *mean, const float *var, float *gx, float *glam, float *gbeta)
{
    const Backward A = {gs, u, s, lam, beta, mean, var, gx, glam, gbeta};
    #pragma omp parallel for num_threads(L->threads) if (L->threads > 1)
    for (long c = 0; c < L->C; c += BLOCK)
        backward_block_variant(L, &A, c, c + BLOCK > L->C ? (int)(L->C - c) : BLOCK, L->k, L->k == 0);
}
