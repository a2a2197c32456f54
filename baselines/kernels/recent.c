/* What the neurons of a place have fired recently is taken from the spikes of each (NeuNorm), one pass each way:

       r(t) = k r(t-1) + share sum of s_c(t) over c,   y_c(t) = s_c(t) - w_c r(t),   r(0) = 0

   Memory: s, y and their gradients (T, B, P, C), w and its gradient (P, C), r (T, B, P), of P places a map. Whatever the
   number of threads, every number is summed in one order. */

#define BLOCK 1024  /* of w and its gradient, that stay in the innermost cache while the batch goes by */

typedef struct {
    long T, B, P, C;
    float k, share;
    int threads;
} Recent;

void recent_forward(const Recent *l, const float *s, const float *w, float *r, float *y)
{
    const long rows = l->B * l->P, C = l->C;
    #pragma omp parallel for num_threads(l->threads) if (l->threads > 1)
    for (long row = 0; row < rows; row++) {
        const float *v = w + row % l->P * C;
        float recent = 0;
        for (long t = 0; t < l->T; t++) {
            const float *x = s + (t * rows + row) * C;
            float *z = y + (t * rows + row) * C, sum = 0;
            #pragma omp simd reduction(+ : sum)
            for (long c = 0; c < C; c++) sum += x[c];
            r[t * rows + row] = recent = l->k * recent + l->share * sum;
            #pragma omp simd
            for (long c = 0; c < C; c++) z[c] = x[c] - v[c] * recent;
        }
    }
}

void recent_backward(const Recent *l, const float *gy, const float *w, const float *r, float *gs, float *gw)
{
    const long rows = l->B * l->P, C = l->C, places = C < BLOCK ? BLOCK / C : 1;
    #pragma omp parallel for num_threads(l->threads) if (l->threads > 1)
    for (long first = 0; first < l->P; first += places) {
        const long last = first + places < l->P ? first + places : l->P;
        for (long q = first * C; q < last * C; q++) gw[q] = 0;
        for (long b = 0; b < l->B; b++)
            for (long place = first; place < last; place++) {
                const float *v = w + place * C;
                float *gv = gw + place * C, later = 0;  /* of r(t), from y(t) and from r(t+1) */
                for (long t = l->T - 1; t >= 0; t--) {
                    const long row = t * rows + b * l->P + place;
                    const float *g = gy + row * C, recent = r[row];
                    float *h = gs + row * C, sum = 0;
                    #pragma omp simd reduction(+ : sum)
                    for (long c = 0; c < C; c++) {
                        sum += v[c] * g[c];
                        gv[c] -= g[c] * recent;
                    }
                    later = l->k * later - sum;
                    const float along = l->share * later;
                    #pragma omp simd
                    for (long c = 0; c < C; c++) h[c] = g[c] + along;
                }
            }
    }
}
