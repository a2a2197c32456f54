/* A layer of neurons as numbers, and its surrogate gradients. */
#include <math.h>

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

/* e^x for x <= 0, within 2 ulp: 2^n 2^f with |f| <= 1/2, by Taylor's polynomial. Half the time of a call of expf, lanes at once. */
INLINE float exponential(float x)
{
    const float t = fmaxf(x * 1.44269504f, -120.0f), n = rintf(t), f = (t - n) * 0.693147181f;
    const float p = 1 + f * (1 + f * (1 / 2.0f + f * (1 / 6.0f + f * (1 / 24.0f + f * (1 / 120.0f + f * (1 / 720.0f))))));
    const union { int bits; float value; } power = {.bits = ((int)n + 127) << 23};
    return power.value * p;
}

INLINE float derivative(float z, float v_th, float k, float scale)
{
    const float inside = z >= v_th - 0.5f && z <= v_th + 0.5f ? 1.0f : 0.0f;
    const float e = exponential(-2 * k * fabsf(z - v_th));   /* 1 - tanh(y)^2 = 4 e / (1 + e)^2 with e = exp(-2 |y|) */
    return k == 0 ? inside : inside * scale * 4 * e / ((1 + e) * (1 + e));
}

INLINE float window(float z, float v_th)   /* the same for k = 0, in words that gcc turns into vectors */
{
    return (float)((z >= v_th - 0.5f) & (z <= v_th + 0.5f));
}
