/* The two passes over a block of columns; included by `neuron.c`, once for the paper's neuron, once for its variants, and
 * once for neurons with the batch norm before them (NORMED): currents are then in[j] * x[j] + add[j].
 *
 * Thread `me` of `of` has the runs of rows from `first` on. What a run adds up stands in `parts`, and every thread sums all
 * of it in the order of the rows: the same bits for any number of threads. Two places in turn, so that one barrier a sum is
 * enough: whoever writes the second has seen all leave the first.
 *
 * The paper's stands apart, word by word, since under -ffast-math even a term that is always zero moves the last bit.
 */
INLINE void BLOCK_OF(forward)(const Layer *L, const Forward *A, long c, const int w, const Share S)
{
    float a[BLOCK], shift[BLOCK], unused[BLOCK];   /* by all threads but the first: all round a and shift by the same code */
    EACH(j) { a[j] = 1; shift[j] = 0; }
#ifdef NORMED
    float in[BLOCK], add[BLOCK];
    EACH(j) { in[j] = A->in[c + j]; add[j] = A->add[c + j]; }
#endif
    const float v_th = L->v_th, decay = L->tau;
    const long R = L->R, C = L->C;
    for (long t = 0; t <= L->T; t++) {             /* fires of step t-1, and charges for step t */
        double sum[BLOCK], squares[BLOCK];
        EACH(j) sum[j] = squares[j] = 0;
        for (long run = S.first; run < S.last; run += RUN) {
            const long end = run + RUN < R ? run + RUN : R;
            float part[BLOCK];
            EACH(j) part[j] = 0;
            if (t == 0) for (long r = run; r < end; r++) {
                const float *x = ROW(A->x, t, r);
                float *u = ROW(A->u, t, r);
                LANES(j) { u[j] = CURRENT; part[j] += u[j]; }
            }
            else for (long r = run; r < end; r++) {
                const float *up = ROW(A->u, t - 1, r);
                float *s = ROW(A->s, t - 1, r);
                byte *b = ROW(A->b, t - 1, r);
                LANES(j) s[j] = (float)(a[j] * up[j] + shift[j] > v_th);
                LANES(j) b[j] = (byte)s[j];
                if (t == L->T) continue;
                const float *x = ROW(A->x, t, r);
                float *u = ROW(A->u, t, r);
                LANES(j) {
#ifdef VARIANT
                    const float v = decay * (L->normalised ? a[j] * up[j] + shift[j] : up[j]) * (1 - s[j]);
#else
                    const float v = decay * up[j] * (1 - s[j]);
#endif
                    u[j] = CURRENT + v;
                    part[j] += u[j];
                }
            }
            if (S.of == 1) EACH(j) sum[j] += part[j];
            else EACH(j) PART(0, run)[j] = part[j];
        }
        if (t == L->T || !L->norm) continue;
        GATHER(0, sum)
        float m[BLOCK];
        EACH(j) m[j] = (float)(sum[j] / (double)R);
        for (long run = S.first; run < S.last; run += RUN) {
            const long end = run + RUN < R ? run + RUN : R;
            float part[BLOCK];
            EACH(j) part[j] = 0;
            for (int o = 0; o < w; o += 16)        /* gcc adds up 16 columns in an order of its own: always so many */
                for (long r = run; r < end; r++) {
                    const float *u = ROW(A->u, t, r);
                    for (int j = o; j < o + (w < 16 ? w : 16); j++) part[j] += (u[j] - m[j]) * (u[j] - m[j]);
                }
            if (S.of == 1) EACH(j) squares[j] += part[j];
            else EACH(j) PART(1, run)[j] = part[j];
        }
        GATHER(1, squares)
        float *mean = S.first ? unused : A->mean + t * C + c, *variance = S.first ? unused : A->var + t * C + c;
        EACH(j) {
            const float var = (float)(squares[j] / (double)R);
            mean[j] = m[j];
            variance[j] = var;
            a[j] = A->lam[c + j] / sqrtf(var + L->eps);
            shift[j] = A->beta[c + j] - m[j] * a[j];
        }
    }
}

INLINE void BLOCK_OF(backward)(const Layer *L, const Backward *A, long c, const int w, const float k,
                              const int straight, const Share S)
{
    const float scale = k == 0 ? 1 : k / (2 * tanhf(k / 2));
    #define slope(z) (straight ? window(z, L->v_th) : derivative(z, L->v_th, k, scale))
    double total_lam[BLOCK], total_beta[BLOCK];
    EACH(j) total_lam[j] = total_beta[j] = 0;
#ifdef NORMED
    double added[BLOCK], slanted[BLOCK];
    float centre[BLOCK];
    EACH(j) { added[j] = slanted[j] = 0; centre[j] = A->centre[c + j]; }
#endif
    for (long t = L->T - 1; t >= 0; t--) {
        const int last = t == L->T - 1;
        const long next = last ? t : t + 1;
        float m[BLOCK], invstd[BLOCK], lam[BLOCK], beta[BLOCK], mg[BLOCK], mp[BLOCK];
        EACH(j) { m[j] = beta[j] = mg[j] = mp[j] = 0; invstd[j] = lam[j] = 1; }
        if (L->norm) EACH(j) {
            m[j] = A->mean[t * L->C + c + j];
            invstd[j] = 1 / sqrtf(A->var[t * L->C + c + j] + L->eps);
            lam[j] = A->lam[c + j];
            beta[j] = A->beta[c + j];
        }
        double sum[BLOCK], product[BLOCK];
        EACH(j) sum[j] = product[j] = 0;
        const int place = 2 * ((S.turn + t) & 1);
        for (long run = S.first; run < S.last; run += RUN) {
            const long end = run + RUN < L->R ? run + RUN : L->R;
            float part[BLOCK], part_product[BLOCK];
            EACH(j) part[j] = part_product[j] = 0;
            for (long r = run; r < end; r++) {
                const float *gs = ROW(A->gs, t, r), *u = ROW(A->u, t, r), *after = ROW(A->gx, next, r);
#ifdef VARIANT
                const byte *s = ROW(A->s, t, r);
#endif
                float *gx = ROW(A->gx, t, r);
                LANES(j) {
                    const float h = (u[j] - m[j]) * invstd[j];
                    const float gv = last ? 0 : L->tau * after[j];                    /* dL/dv(t) */
#ifdef VARIANT
                    const float z = lam[j] * h + beta[j];
                    const float reset = L->detach ? 0 : gv * (L->normalised ? z : u[j]);
                    const float kept = L->normalised ? gv * (1 - s[j]) : 0;
                    const float gz = (gs[j] - reset) * slope(z) + kept;
#else
                    const float gz = (gs[j] - gv * u[j]) * slope(lam[j] * h + beta[j]);
#endif
                    gx[j] = gz;
                    part[j] += gz;
                    part_product[j] += gz * h;
                }
            }
            if (S.of == 1) EACH(j) { sum[j] += part[j]; product[j] += part_product[j]; }
            else EACH(j) { PART(place, run)[j] = part[j]; PART(place + 1, run)[j] = part_product[j]; }
        }
        if (L->norm) { GATHER(place, sum) ADD_UP(place + 1, product) }
        if (L->norm) EACH(j) {
            total_beta[j] += sum[j];
            total_lam[j] += product[j];
            mg[j] = (float)(sum[j] / (double)L->R);
            mp[j] = (float)(product[j] / (double)L->R);
        }
        for (long run = S.first; run < S.last; run += RUN) {
            const long end = run + RUN < S.last ? run + RUN : S.last;
#ifdef NORMED
            float part[BLOCK], part_product[BLOCK];
            EACH(j) part[j] = part_product[j] = 0;
#endif
            for (long r = run; r < end; r++) {
                const float *u = ROW(A->u, t, r), *after = ROW(A->gx, next, r);
                const byte *s = ROW(A->s, t, r);
                float *gx = ROW(A->gx, t, r);
                LANES(j) {
                    const float h = (u[j] - m[j]) * invstd[j], gv = last ? 0 : L->tau * after[j];
#ifdef VARIANT
                    gx[j] = lam[j] * invstd[j] * (gx[j] - mg[j] - h * mp[j]) + (L->normalised ? 0 : gv * (1 - s[j]));
#else
                    gx[j] = lam[j] * invstd[j] * (gx[j] - mg[j] - h * mp[j]) + gv * (1 - s[j]);
#endif
                }
#ifdef NORMED
                const float *x = ROW(A->x, t, r);
                LANES(j) { part[j] += gx[j]; part_product[j] += gx[j] * (x[j] - centre[j]); }
#endif
            }
#ifdef NORMED
            if (S.of == 1) EACH(j) { added[j] += part[j]; slanted[j] += part_product[j]; }
            else EACH(j) { PART(place + 4, run)[j] = part[j]; PART(place + 5, run)[j] = part_product[j]; }
#endif
        }
#ifdef NORMED
        GATHER(place + 4, added) ADD_UP(place + 5, slanted)
#endif
    }
#ifdef NORMED
    if (S.first == 0) EACH(j) { A->added[c + j] = (float)added[j]; A->slanted[c + j] = (float)slanted[j]; }
#endif
    if (L->norm && S.first == 0) EACH(j) { A->glam[c + j] = (float)total_lam[j]; A->gbeta[c + j] = (float)total_beta[j]; }
}

