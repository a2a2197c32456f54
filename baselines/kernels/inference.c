/* One layer of LIF neurons over all timesteps, in evaluation: currents in, spikes out, nothing kept.
 *
 * Compiled without -ffast-math and without contraction: a threshold folded to the last float must decide here as it
 * does in the loop over torch's operations. Every network passes through the same lines, with a threshold a column:
 *
 *   z = u, or slope * u, or (u - mean) * slope + shift;   s = z > threshold
 */
#include <math.h>
#include <string.h>

#define CHUNK 1024
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    long T, R, C;
    float tau;
    int affine, normalised;   /* affine 0: z = u, 1: slope * u, 2: (u - mean) * slope + shift */
    int threads;
} Inference;

typedef struct { const float *threshold, *slope, *mean, *shift; } Rule;

#ifdef __FP_FAST_FMAF
#define CHARGE(x, v) fmaf(tau, v, x)   /* as torch.add with alpha rounds */
#else
#define CHARGE(x, v) ((x) + tau * (v))
#endif

INLINE void chunk(const Inference *L, const float *restrict x, float *restrict s, long n, Rule rule, const int affine,
                  const int normalised)
{
    float carried[CHUNK];
    const float tau = L->tau;
    const float *threshold = rule.threshold, *slope = rule.slope, *mean = rule.mean, *shift = rule.shift;
    for (long i = 0; i < n; i++) carried[i] = 0;
    for (long t = 0; t < L->T; t++, x += L->R * L->C, s += L->R * L->C) {
        #pragma GCC ivdep
        for (long i = 0; i < n; i++) {
            const float u = CHARGE(x[i], carried[i]);
            const float z = affine == 0 ? u : affine == 1 ? slope[i] * u : (u - mean[i]) * slope[i] + shift[i];
            const float fires = (float)(z > threshold[i]);
            s[i] = fires;
            carried[i] = (normalised ? z : u) * (1 - fires);
        }
    }
}

/* Pieces of at most CHUNK columns of a row; of whole rows, where several fit: then the rule is written out for all. */
void neuron_infer(const Inference *L, const float *x, const float *threshold, const float *slope, const float *mean,
                  const float *shift, float *s)
{
    const long several = CHUNK / L->C, rows = several ? several : 1;
    const long pieces = several ? 1 : (L->C + CHUNK - 1) / CHUNK, blocks = (L->R + rows - 1) / rows;
    const float *given[4] = {threshold, slope, mean, shift};
    #pragma omp parallel num_threads(L->threads) if (L->threads > 1)
    {
        float tiles[4][CHUNK];
        if (several)
            for (int k = 0; k < 4; k++)
                if (given[k])
                    for (long r = 0; r < several; r++) memcpy(tiles[k] + r * L->C, given[k], L->C * sizeof(float));
        #pragma omp for
        for (long q = 0; q < blocks * pieces; q++) {
            const long row = q / pieces * rows, column = q % pieces * CHUNK;
            const long left = L->R - row < rows ? L->R - row : rows;
            const long n = several ? left * L->C : L->C - column < CHUNK ? L->C - column : CHUNK;
            const float *here[4];
            for (int k = 0; k < 4; k++) here[k] = several ? tiles[k] : given[k] ? given[k] + column : 0;
            const Rule rule = {here[0], here[1], here[2], here[3]};
            const float *from = x + row * L->C + column;
            float *to = s + row * L->C + column;
            if (L->affine == 0) chunk(L, from, to, n, rule, 0, 0);
            else if (L->affine == 1) chunk(L, from, to, n, rule, 1, 0);
            else if (L->normalised) chunk(L, from, to, n, rule, 2, 1);
            else chunk(L, from, to, n, rule, 2, 0);
        }
    }
}
