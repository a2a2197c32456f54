/* One layer of LIF neurons over all timesteps, with or without MPBN: forward, and the adjoint of it.
 *
 * Arrays are (T, R, C), contiguous: R rows that share their statistics (batch, height, width in channels-last order;
 * only the batch for element-wise MPBN, where C counts elements). Columns are independent of each other, so a block
 * of them is carried through all steps. Only the potential u and the spikes s (which the next layer holds anyway)
 * are kept for the way back.
 *
 *   u(t) = x(t) + tau * u(t-1) * (1 - s(t-1))          Eq. 1, 2
 *   z(t) = lam * (u(t) - mean(t)) * invstd(t) + beta   Eq. 7, statistics of step t over the rows
 *   s(t) = z(t) > v_th                                 Eq. 8
 */
#include <math.h>

#define BLOCK 16  /* columns: one cache line of floats */
#define RUN 64    /* rows summed in float before the sum moves on to a double */
#define INLINE static inline __attribute__((always_inline))

typedef struct {
    long T, R, C;
    float tau, v_th, eps;
    int norm;       /* 0: z = u */
    float k;        /* surrogate: 0 straight-through, else the temperature of the tanh */
    int threads;
} Layer;

typedef struct { const float *x, *lam, *beta; float *u, *s, *mean, *var; } Forward;
typedef struct { const float *gs, *u, *s, *lam, *beta, *mean, *var; float *gx, *glam, *gbeta; } Backward;

#define EACH(j) for (int j = 0; j < w; j++)
#define ROW(array, t, r) ((array) + ((t) * L->R + (r)) * L->C + c)

INLINE void forward_block(const Layer *L, const Forward *A, long c, const int w)
{
    for (long t = 0; t < L->T; t++) {
        const float tau = t ? L->tau : 0;
        const long before = t ? t - 1 : 0;
        double sum[BLOCK] = {0}, squares[BLOCK] = {0};
        for (long run = 0; run < L->R; run += RUN) {
            const long end = run + RUN < L->R ? run + RUN : L->R;
            float part[BLOCK] = {0};
            for (long r = run; r < end; r++) {
                const float *x = ROW(A->x, t, r), *up = ROW(A->u, before, r), *sp = ROW(A->s, before, r);
                float *u = ROW(A->u, t, r);
                #pragma GCC ivdep
                EACH(j) {
                    const float v = t ? tau * up[j] * (1 - sp[j]) : 0;
                    u[j] = x[j] + v;
                    part[j] += u[j];
                }
            }
            EACH(j) sum[j] += part[j];
        }
        float a[BLOCK], shift[BLOCK];
        EACH(j) { a[j] = 1; shift[j] = 0; }
        if (L->norm) {
            float m[BLOCK] = {0};
            EACH(j) m[j] = (float)(sum[j] / (double)L->R);
            for (long run = 0; run < L->R; run += RUN) {
                const long end = run + RUN < L->R ? run + RUN : L->R;
                float part[BLOCK] = {0};
                for (long r = run; r < end; r++) {
                    const float *u = ROW(A->u, t, r);
                    EACH(j) part[j] += (u[j] - m[j]) * (u[j] - m[j]);
                }
                EACH(j) squares[j] += part[j];
            }
            EACH(j) {
                const float var = (float)(squares[j] / (double)L->R);
                A->mean[t * L->C + c + j] = m[j];
                A->var[t * L->C + c + j] = var;
                a[j] = A->lam[c + j] / sqrtf(var + L->eps);
                shift[j] = A->beta[c + j] - m[j] * a[j];
            }
        }
        for (long r = 0; r < L->R; r++) {
            const float *u = ROW(A->u, t, r);
            float *s = ROW(A->s, t, r);
            #pragma GCC ivdep
            EACH(j) s[j] = a[j] * u[j] + shift[j] > L->v_th ? 1.0f : 0.0f;
        }
    }
}

INLINE float derivative(float z, float v_th, float k, float scale)
{
    const float inside = z >= v_th - 0.5f && z <= v_th + 0.5f ? 1.0f : 0.0f;
    const float e = expf(-2 * k * fabsf(z - v_th));   /* 1 - tanh(y)^2 = 4 e / (1 + e)^2 with e = exp(-2 |y|) */
    return k == 0 ? inside : inside * scale * 4 * e / ((1 + e) * (1 + e));
}

INLINE void backward_block(const Layer *L, const Backward *A, long c, const int w, const float k)
{
    const float scale = k == 0 ? 1 : k / (2 * tanhf(k / 2));
    double total_lam[BLOCK] = {0}, total_beta[BLOCK] = {0};
    for (long t = L->T - 1; t >= 0; t--) {
        const int last = t == L->T - 1;
        const long next = last ? t : t + 1;
        float m[BLOCK] = {0}, invstd[BLOCK], lam[BLOCK], beta[BLOCK] = {0}, mg[BLOCK] = {0}, mp[BLOCK] = {0};
        EACH(j) { invstd[j] = 1; lam[j] = 1; }
        if (L->norm) EACH(j) {
            m[j] = A->mean[t * L->C + c + j];
            invstd[j] = 1 / sqrtf(A->var[t * L->C + c + j] + L->eps);
            lam[j] = A->lam[c + j];
            beta[j] = A->beta[c + j];
        }
        double sum[BLOCK] = {0}, product[BLOCK] = {0};
        for (long run = 0; run < L->R; run += RUN) {
            const long end = run + RUN < L->R ? run + RUN : L->R;
            float part[BLOCK] = {0}, part_product[BLOCK] = {0};
            for (long r = run; r < end; r++) {
                const float *gs = ROW(A->gs, t, r), *u = ROW(A->u, t, r), *after = ROW(A->gx, next, r);
                float *gx = ROW(A->gx, t, r);
                #pragma GCC ivdep
                EACH(j) {
                    const float h = (u[j] - m[j]) * invstd[j];
                    const float gv = last ? 0 : L->tau * after[j];                    /* dL/dv(t) */
                    const float gz = (gs[j] - gv * u[j]) * derivative(lam[j] * h + beta[j], L->v_th, k, scale);
                    gx[j] = gz;
                    part[j] += gz;
                    part_product[j] += gz * h;
                }
            }
            EACH(j) { sum[j] += part[j]; product[j] += part_product[j]; }
        }
        if (L->norm) EACH(j) {
            total_beta[j] += sum[j];
            total_lam[j] += product[j];
            mg[j] = (float)(sum[j] / (double)L->R);
            mp[j] = (float)(product[j] / (double)L->R);
        }
        for (long r = 0; r < L->R; r++) {
            const float *u = ROW(A->u, t, r), *s = ROW(A->s, t, r), *after = ROW(A->gx, next, r);
            float *gx = ROW(A->gx, t, r);
            #pragma GCC ivdep
            EACH(j) {
                const float h = (u[j] - m[j]) * invstd[j], gv = last ? 0 : L->tau * after[j];
                gx[j] = lam[j] * invstd[j] * (gx[j] - mg[j] - h * mp[j]) + gv * (1 - s[j]);
            }
        }
    }
    if (L->norm) EACH(j) { A->glam[c + j] = (float)total_lam[j]; A->gbeta[c + j] = (float)total_beta[j]; }
}

void neuron_forward(const Layer *L, const float *x, const float *lam, const float *beta,
                    float *u, float *s, float *mean, float *var)
{
    const Forward A = {x, lam, beta, u, s, mean, var};
    #pragma omp parallel for num_threads(L->threads) if (L->threads > 1)
    for (long c = 0; c < L->C; c += BLOCK)
        if (c + BLOCK <= L->C) forward_block(L, &A, c, BLOCK);
        else forward_block(L, &A, c, (int)(L->C - c));
}

/* gs: gradient of the spikes; gx: gradient of the currents (also scratch); glam, gbeta: (C), summed over T. */
void neuron_backward(const Layer *L, const float *gs, const float *u, const float *s, const float *lam,
                     const float *beta, const float *mean, const float *var, float *gx, float *glam, float *gbeta)
{
    const Backward A = {gs, u, s, lam, beta, mean, var, gx, glam, gbeta};
    #pragma omp parallel for num_threads(L->threads) if (L->threads > 1)
    for (long c = 0; c < L->C; c += BLOCK)
        if (c + BLOCK > L->C) backward_block(L, &A, c, (int)(L->C - c), L->k);
        else if (L->k == 0) backward_block(L, &A, c, BLOCK, 0);
        else backward_block(L, &A, c, BLOCK, L->k);
}
