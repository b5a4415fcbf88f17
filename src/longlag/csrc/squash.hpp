// exp, sigmoid and tanh on vectors: Cody-Waite range reduction and a polynomial. exp is within 1.5 units in the last
// place, tanh within 2, sigmoid within 2.5, wherever the result is a normal number (tests/csrc/test_squash_accuracy.py);
// the right limits at infinity; NaN stays NaN.

#pragma once

#include "simd.hpp"

namespace longlag::LONGLAG_ISA {

template <class T>
struct Exp;

template <>
struct Exp<float> {
    static constexpr float lowest = -104.0f, highest = 89.0f;  // beyond, exp is 0 or infinite
    static constexpr float tanh_is_one = 10.0f;
    static constexpr float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to a whole number
    static constexpr float log2e = 1.44269504088896341f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr int bias = 127, mantissa = 23;
    // (e^r - 1 - r) / r^2 for |r| <= ln2 / 2, lowest power first, through the zeros of a Chebyshev polynomial: e^r is
    // off by at most 2.2e-10 of itself
    static constexpr float q[] = {5.000000013e-1f, 1.666666668e-1f, 4.166646460e-2f,
                                  8.333310889e-3f, 1.393368586e-3f, 1.989103070e-4f};
};

template <>
struct Exp<double> {
    static constexpr double lowest = -746.0, highest = 710.0;
    static constexpr double tanh_is_one = 20.0;
    static constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr double log2e = 1.4426950408889634074, ln2_high = 6.93145751953125e-1,
                            ln2_low = 1.42860682030941723212e-6;
    static constexpr int bias = 1023, mantissa = 52;
    // likewise; 1.7e-17 of itself
    static constexpr double q[] = {5.00000000000000111e-1, 1.66666666666666685e-1, 4.16666666666239902e-2,
                                   8.33333333333005112e-3, 1.38888889172817938e-3, 1.98412698631059685e-4,
                                   2.48015211902177286e-5, 2.75572683786841924e-6, 2.76201387197339936e-7,
                                   2.51004241570050668e-8};
};

// Minimum and maximum that pass NaN on when x has it.
template <class T>
LONGLAG_INLINE vec<T> at_most(vec<T> x, T limit) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return reinterpret_cast<vec<T>>(_mm512_min_ps(_mm512_set1_ps(limit), x));
    else return reinterpret_cast<vec<T>>(_mm512_min_pd(_mm512_set1_pd(limit), x));
#else
    return limit < x ? splat<T>(limit) : x;
#endif
}

template <class T>
LONGLAG_INLINE vec<T> at_least(vec<T> x, T limit) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return reinterpret_cast<vec<T>>(_mm512_max_ps(_mm512_set1_ps(limit), x));
    else return reinterpret_cast<vec<T>>(_mm512_max_pd(_mm512_set1_pd(limit), x));
#else
    return limit > x ? splat<T>(limit) : x;
#endif
}

// The nearest whole number to x, |x| < 2^21.
template <class T>
LONGLAG_INLINE vec<T> nearest(vec<T> x) {
#if defined(__AVX512F__)
    constexpr int to_nearest = 8;
    if constexpr (sizeof(T) == 4) return reinterpret_cast<vec<T>>(_mm512_roundscale_ps(x, to_nearest));
    else return reinterpret_cast<vec<T>>(_mm512_roundscale_pd(x, to_nearest));
#else
    return (x + Exp<T>::magic) - Exp<T>::magic;
#endif
}

// x 2^n for whole n, |n| < 2^11; right also where 2^n alone would be too large or too small.
template <class T>
LONGLAG_INLINE vec<T> scale(vec<T> x, vec<T> n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return reinterpret_cast<vec<T>>(_mm512_scalef_ps(x, n));
    else return reinterpret_cast<vec<T>>(_mm512_scalef_pd(x, n));
#else
    // The low bits of n + magic are n. In two halves, each of which is in the range of an exponent.
    const ivec<T> whole = reinterpret_cast<ivec<T>>(n + Exp<T>::magic) -
                          reinterpret_cast<ivec<T>>(splat<T>(Exp<T>::magic));
    const ivec<T> half = whole >> 1, bias = ivec<T>{} + Exp<T>::bias;
    return x * reinterpret_cast<vec<T>>((half + bias) << Exp<T>::mantissa) *
           reinterpret_cast<vec<T>>((whole - half + bias) << Exp<T>::mantissa);
#endif
}

// x = n ln 2 + r with n whole and |r| <= ln 2 / 2; ln 2 in two parts, of which the first has few digits.
template <class T>
LONGLAG_INLINE vec<T> reduce(vec<T> x, vec<T>& n) {
    n = nearest<T>(x * Exp<T>::log2e);
    return (x - n * Exp<T>::ln2_high) - n * Exp<T>::ln2_low;
}

// (e^r - 1 - r) / r^2. In pairs, not term after term: while one waits for the other, the next vector waits for both.
template <class T>
LONGLAG_INLINE vec<T> rest(vec<T> r) {
    constexpr auto& q = Exp<T>::q;
    const vec<T> r2 = r * r, r4 = r2 * r2;
    const vec<T> low = (q[3] * r + q[2]) * r2 + (q[1] * r + q[0]);
    vec<T> high = q[5] * r + q[4];
    if constexpr (sizeof(q) / sizeof(T) == 10) {
        high = (q[7] * r + q[6]) * r2 + high;
        high = (q[9] * r + q[8]) * r4 + high;
    }
    return high * r4 + low;
}

template <class T>
LONGLAG_INLINE vec<T> exponential(vec<T> x) {
    x = at_least<T>(at_most<T>(x, Exp<T>::highest), Exp<T>::lowest);
    vec<T> n;
    const vec<T> r = reduce<T>(x, n);
    return scale<T>((rest<T>(r) * r + T(1)) * r + T(1), n);
}

template <class T>
LONGLAG_INLINE vec<T> sigmoid(vec<T> x) {
    return T(1) / (T(1) + exponential<T>(-x));
}

// 1 / x to at least three digits.
template <class T>
LONGLAG_INLINE vec<T> rough_inverse(vec<T> x) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) return reinterpret_cast<vec<T>>(_mm512_rcp14_ps(x));
    else return reinterpret_cast<vec<T>>(_mm512_rcp14_pd(x));
#else
    return T(1) / x;
#endif
}

#if defined(__FMA__) || defined(__aarch64__)
constexpr bool fused = true;
#else
constexpr bool fused = false;
#endif

// tanh |x| = m / (m + 2) with m = e^{2|x|} - 1, which loses nothing where x is small. What is lost when the sum is
// rounded is put back, and what m loses where that is needed: dq = (dm - q d(m + 2)) / (m + 2). Without that the error
// reaches 2.5 units.
template <class T>
LONGLAG_INLINE vec<T> hyperbolic_tangent(vec<T> x) {
    const ivec<T> sign = reinterpret_cast<ivec<T>>(x) & reinterpret_cast<ivec<T>>(splat<T>(T(-0.0)));
    const vec<T> a = at_most<T>(reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(x) ^ sign), Exp<T>::tanh_is_one);
    vec<T> n;
    const vec<T> r = reduce<T>(a + a, n);
    const vec<T> power = scale<T>(splat<T>(T(1)), n), less = power - T(1);
    const vec<T> t = rest<T>(r) * r * r, p = t + r, m = power * p + less;
    const vec<T> sum = m + T(2), q = m / sum;
    vec<T> lost = m - (sum - T(2)), correction = -q * lost;
    if constexpr (sizeof(T) == 8 || !fused) {
        const vec<T> lost_by_m = power * p - (m - less) + power * (t - (p - r));
        correction = lost_by_m - q * (lost + lost_by_m);
    }
    return reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(q + correction * rough_inverse<T>(sum)) | sign);
}

// The squashings as a family: y = out * tanh(in * x), or a sigmoid, or x itself.
template <class T>
struct ScaledTanh {
    T in, out;
    LONGLAG_INLINE vec<T> operator()(vec<T> x) const { return out * hyperbolic_tangent<T>(in * x); }
};

template <class T>
struct Sigmoid {
    T slope;
    LONGLAG_INLINE vec<T> operator()(vec<T> x) const { return sigmoid<T>(slope * x); }
};

template <class T>
struct Identity {
    LONGLAG_INLINE vec<T> operator()(vec<T> x) const { return x; }
};

// Calls f with the squashing's function object: chosen once, outside the loops.
template <class T, class F>
LONGLAG_INLINE void with_squash(Squash kind, F f) {
    switch (kind) {
        case Squash::tanh: return f(ScaledTanh<T>{1, 1});
        case Squash::logistic: return f(Sigmoid<T>{1});
        case Squash::logistic_pm1: return f(ScaledTanh<T>{T(0.5), 1});
        case Squash::logistic_pm2: return f(ScaledTanh<T>{T(0.5), 2});
        case Squash::identity: return f(Identity<T>{});
    }
}

// dy/dx = a + y (b + c y), from the squashed value y.
template <class T>
struct Slope {
    T a, b, c;

    explicit Slope(Squash kind) : a(1), b(0), c(0) {
        switch (kind) {
            case Squash::tanh: c = -1; break;
            case Squash::logistic: a = 0; b = 1; c = -1; break;
            case Squash::logistic_pm1: a = T(0.5); c = T(-0.5); break;
            case Squash::logistic_pm2: c = T(-0.25); break;
            case Squash::identity: break;
        }
    }
    LONGLAG_INLINE vec<T> operator()(vec<T> y) const { return a + y * (b + c * y); }
};

}  // namespace longlag::LONGLAG_ISA
