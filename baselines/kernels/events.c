/* A convolution whose input is spikes: for each output pixel, the weights of the spikes there are, added up.
 *
 * Input x: (N, H, W, I), 0 or 1; output y: (N, Y, X, O); both channels-last. `pack` writes the spikes as bits, row by row
 * with a border of `pad` silent pixels, so that the pixels under one row of the kernel are one run of bits. Then either
 *
 *   add      lists the places of the ones under the whole kernel, K * K * I bits, and adds the row of O weights of each;
 *   look_up  takes four bits at a time, whatever they are, and adds the sum of their rows, of 16 prepared ones.
 *
 * The first is cheaper the fewer spikes there are, the second always costs what a quarter of all spikes would, without a
 * list; its tables are 16 times as large as the weights are for four bits, and should fit the innermost cache. Both hold
 * the sums in registers. In float and in double, the second for proofs.
 */
#include <stdint.h>
#include <string.h>
#if defined __AVX__
#include <immintrin.h>
#endif

#ifdef __AVX512F__
#define BYTES 64
#else
#define BYTES 32
#endif
#define LANES(real) ((int)(BYTES / sizeof(real)))
#define INLINE static inline __attribute__((always_inline))

typedef float vec_float __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef double vec_double __attribute__((vector_size(BYTES), aligned(8), may_alias));
typedef struct { long N, H, W, I, Y, X, O, K, stride, pad; int threads; } Events;

/* Bytes of a row of bits. */
INLINE long row_bytes(const Events *E) { return ((E->W + 2 * E->pad) * E->I + 7) / 8; }

/* Places of the ones among `n` bits, counted from `first`; returns how many. May write 32 places too many. */
INLINE long list(const uint8_t *bits, long n, long first, uint16_t *places)
{
    long found = 0;
#ifdef __AVX512VBMI2__
    static const uint16_t count[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                       16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    __m512i here = _mm512_add_epi16(_mm512_loadu_si512(count), _mm512_set1_epi16((short)first));
    for (long i = 0; i < n; i += 32) {
        uint32_t word;
        memcpy(&word, bits + i / 8, 4);
        if (n - i < 32) word &= (1u << (n - i)) - 1;
        _mm512_storeu_si512(places + found, _mm512_maskz_compress_epi16(word, here));
        found += __builtin_popcount(word);
        here = _mm512_add_epi16(here, _mm512_set1_epi16(32));
    }
#else
    for (long i = 0; i < n; i += 64) {
        uint64_t word;
        memcpy(&word, bits + i / 8, 8);
        if (n - i < 64) word &= (UINT64_C(1) << (n - i)) - 1;
        for (; word; word &= word - 1) places[found++] = (uint16_t)(first + i + __builtin_ctzll(word));
    }
#endif
    return found;
}

#define REAL float
#define NAME(word) word##_float
#include "events.h"
#undef REAL
#undef NAME
#define REAL double
#define NAME(word) word##_double
#include "events.h"
