/* The passes of `events.c`, for numbers of the type REAL. */

/* 8 numbers as bits: those that are not 0; `odd` is told of what is neither 0 nor 1. */
INLINE unsigned NAME(eight)(const REAL *x, unsigned *odd)
{
#ifdef __AVX512VL__
    if (sizeof(REAL) == 4) {
        const __m256 v = _mm256_loadu_ps((const float *)x);
        const unsigned set = _mm256_cmp_ps_mask(v, _mm256_setzero_ps(), _CMP_NEQ_UQ);
        *odd |= set & _mm256_cmp_ps_mask(v, _mm256_set1_ps(1), _CMP_NEQ_UQ);
        return set;
    }
#elif defined __AVX__
    if (sizeof(REAL) == 4) {
        const __m256 v = _mm256_loadu_ps((const float *)x);
        const unsigned set = (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NEQ_UQ));
        *odd |= set & (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_set1_ps(1), _CMP_NEQ_UQ));
        return set;
    }
#endif
    unsigned set = 0;
    for (int j = 0; j < 8; j++) {
        set |= (unsigned)(x[j] != 0) << j;
        *odd |= (x[j] != 0) & (x[j] != 1);
    }
    return set;
}

/* The number of spikes, or -1 where something is neither 0 nor 1. `bits` is all zeros. */
long NAME(pack)(const Events *E, const REAL *x, uint8_t *bits)
{
    const long bytes = row_bytes(E), high = E->H + 2 * E->pad, each = E->W * E->I;
    long ones = 0, others = 0;
    #pragma omp parallel for num_threads(E->threads) if (E->threads > 1) reduction(+ : ones, others)
    for (long r = 0; r < E->N * E->H; r++) {
        const REAL *from = x + r * each;
        uint8_t *to = bits + (r / E->H * high + r % E->H + E->pad) * bytes + E->pad * E->I / 8;
        unsigned odd = 0;
        long set = 0;
        for (long i = 0; i < each; i += 8) {
            const unsigned byte = NAME(eight)(from + i, &odd);
            to[i / 8] = (uint8_t)byte;
            set += __builtin_popcount(byte);
        }
        ones += set;
        others += odd != 0;
    }
    return others ? -1 : ones;
}

/* y = bias + the rows of `weight` at the places: `width` outputs, in `ways` sums that do not wait for each other. */
INLINE void NAME(sum)(const uint16_t *places, long n, const REAL *weight, const REAL *bias, REAL *y, const int width, const int ways)
{
    const int many = width / LANES(REAL);
    NAME(vec) total[ways][many];
    for (int q = 0; q < many; q++) total[0][q] = bias ? ((const NAME(vec) *)bias)[q] : (NAME(vec)){0};
    for (int way = 1; way < ways; way++)
        for (int q = 0; q < many; q++) total[way][q] = (NAME(vec)){0};
    long i = 0;
    for (; i + ways <= n; i += ways)
        for (int way = 0; way < ways; way++) {
            const NAME(vec) *row = (const NAME(vec) *)(weight + (long)places[i + way] * width);
            for (int q = 0; q < many; q++) total[way][q] += row[q];
        }
    for (; i < n; i++) {
        const NAME(vec) *row = (const NAME(vec) *)(weight + (long)places[i] * width);
        for (int q = 0; q < many; q++) total[0][q] += row[q];
    }
    for (int way = 1; way < ways; way++)
        for (int q = 0; q < many; q++) total[0][q] += total[way][q];
    for (int q = 0; q < many; q++) ((NAME(vec) *)y)[q] = total[0][q];
}

/* weight: blocks of 128, 64, 32 and 16 outputs, each (K, K, I, outputs of the block); bias: (O) or null. */
void NAME(add)(const Events *E, const uint8_t *bits, const REAL *weight, const REAL *bias, REAL *y)
{
    const long bytes = row_bytes(E), high = E->H + 2 * E->pad, run = E->K * E->I, rows = E->K * run;
    #pragma omp parallel for num_threads(E->threads) if (E->threads > 1)
    for (long r = 0; r < E->N * E->Y; r++) {
        const uint8_t *top = bits + (r / E->Y * high + r % E->Y * E->stride) * bytes;
        uint16_t places[rows + 32];
        for (long c = 0; c < E->X; c++) {
            long n = 0;
            for (long k = 0; k < E->K; k++)
                n += list(top + k * bytes + c * E->stride * E->I / 8, run, k * run, places + n);
            REAL *to = y + (r * E->X + c) * E->O;
            for (long o = 0; o < E->O;) {
                const REAL *from = weight + o * rows, *add = bias ? bias + o : 0;
                const long left = E->O - o;
                if (left >= 128) { NAME(sum)(places, n, from, add, to + o, 128, 1); o += 128; }
                else if (left >= 64) { NAME(sum)(places, n, from, add, to + o, 64, 2); o += 64; }
                else if (left >= 32) { NAME(sum)(places, n, from, add, to + o, 32, 4); o += 32; }
                else { NAME(sum)(places, n, from, add, to + o, 16, 4); o += 16; }
            }
        }
    }
}

/* One pixel of `look_up`. `top` has the bits under the first row of the kernel. */
INLINE void NAME(looked_up)(const Events *E, const uint8_t *top, const REAL *table, const REAL *bias, REAL *y, const int width)
{
    const long bytes = row_bytes(E), run = E->K * E->I / 8;
    const int many = width / LANES(REAL);
    NAME(vec) low[many], high[many];
    for (int q = 0; q < many; q++) {
        low[q] = bias ? ((const NAME(vec) *)bias)[q] : (NAME(vec)){0};
        high[q] = (NAME(vec)){0};
    }
    for (long k = 0; k < E->K; k++)
        for (long i = 0; i < run; i++, table += 32 * width) {
            const unsigned byte = top[k * bytes + i];
            const NAME(vec) *a = (const NAME(vec) *)(table + (byte & 15) * width);
            const NAME(vec) *b = (const NAME(vec) *)(table + (16 + (byte >> 4)) * width);
            for (int q = 0; q < many; q++) { low[q] += a[q]; high[q] += b[q]; }
        }
    for (int q = 0; q < many; q++) ((NAME(vec) *)y)[q] = low[q] + high[q];
}

/* table: (K * K * I / 4, 16, O), the sum of the rows whose bits are set in 0 to 15; O is 16 or 32. */
void NAME(look_up)(const Events *E, const uint8_t *bits, const REAL *table, const REAL *bias, REAL *y)
{
    const long bytes = row_bytes(E), high = E->H + 2 * E->pad;
    #pragma omp parallel for num_threads(E->threads) if (E->threads > 1)
    for (long r = 0; r < E->N * E->Y; r++) {
        const uint8_t *top = bits + (r / E->Y * high + r % E->Y * E->stride) * bytes;
        for (long c = 0; c < E->X; c++, top += E->stride * E->I / 8) {
            REAL *to = y + (r * E->X + c) * E->O;
            if (E->O == 16) NAME(looked_up)(E, top, table, bias, to, 16);
            else NAME(looked_up)(E, top, table, bias, to, 32);
        }
    }
}
