// Vectors as the compiler's own type: one source for every width. Everything here and in the files that include it
// lives in a namespace named after the instruction set; a shared name would let the linker give AVX-512 code to a CPU
// that has none. For the same reason no standard templates are used.

#pragma once

#include <cstdint>
#include <cstring>

#include "layer.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace longlag::LONGLAG_ISA {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
#else
constexpr int vector_bytes = 16;
#endif

template <class T>
struct Simd;

template <>
struct Simd<float> {
    using integer = std::int32_t;
    typedef float vector __attribute__((vector_size(vector_bytes)));
    typedef float loose __attribute__((vector_size(vector_bytes), aligned(4), may_alias));
    typedef std::int32_t integers __attribute__((vector_size(vector_bytes)));
};

template <>
struct Simd<double> {
    using integer = std::int64_t;
    typedef double vector __attribute__((vector_size(vector_bytes)));
    typedef double loose __attribute__((vector_size(vector_bytes), aligned(8), may_alias));
    typedef std::int64_t integers __attribute__((vector_size(vector_bytes)));
};

template <class T>
using vec = typename Simd<T>::vector;
template <class T>
using ivec = typename Simd<T>::integers;
template <class T>
constexpr Index lanes = vector_bytes / static_cast<Index>(sizeof(T));

#define LONGLAG_INLINE inline __attribute__((always_inline))

template <class T>
LONGLAG_INLINE vec<T> load(const T* p) {
    return *reinterpret_cast<const typename Simd<T>::loose*>(p);
}

template <class T>
LONGLAG_INLINE void store(T* p, vec<T> v) {
    *reinterpret_cast<typename Simd<T>::loose*>(p) = v;
}

template <class T>
LONGLAG_INLINE vec<T> splat(T x) {
    return x - vec<T>{};  // x - 0: keeps the sign of a zero, which x + 0 would not
}

template <class T>
LONGLAG_INLINE ivec<T> lane_numbers() {
    ivec<T> n{};
    for (int j = 0; j < static_cast<int>(lanes<T>); ++j) n[j] = j;
    return n;
}

// The first n lanes of v, and zeros in the others.
template <class T>
LONGLAG_INLINE vec<T> keep_first(vec<T> v, Index n) {
    const ivec<T> inside = lane_numbers<T>() < static_cast<typename Simd<T>::integer>(n);
    return reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(v) & inside);
}

// Writes the first n lanes and touches nothing behind them.
template <class T>
LONGLAG_INLINE void store_first(T* p, vec<T> v, Index n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), reinterpret_cast<__m512>(v));
    } else {
        _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1), reinterpret_cast<__m512d>(v));
    }
#else
    for (Index j = 0; j < n; ++j) p[j] = v[j];
#endif
}

// v where the mask is set, and zeros elsewhere: NaN there becomes zero too.
template <class T>
LONGLAG_INLINE vec<T> where(ivec<T> mask, vec<T> v) {
    return reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(v) & mask);
}

// One element for each lane, from places of their own.
template <class T>
LONGLAG_INLINE vec<T> gather(const T* base, ivec<T> places) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        return reinterpret_cast<vec<T>>(_mm512_i32gather_ps(reinterpret_cast<__m512i>(places), base, 4));
    } else {
        return reinterpret_cast<vec<T>>(_mm512_i64gather_pd(reinterpret_cast<__m512i>(places), base, 8));
    }
#else
    vec<T> v{};
    for (int j = 0; j < static_cast<int>(lanes<T>); ++j) v[j] = base[places[j]];
    return v;
#endif
}

template <class T>
LONGLAG_INLINE void scatter(T* base, ivec<T> places, vec<T> v) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {
        _mm512_i32scatter_ps(base, reinterpret_cast<__m512i>(places), reinterpret_cast<__m512>(v), 4);
    } else {
        _mm512_i64scatter_pd(base, reinterpret_cast<__m512i>(places), reinterpret_cast<__m512d>(v), 8);
    }
#else
    for (int j = 0; j < static_cast<int>(lanes<T>); ++j) base[places[j]] = v[j];
#endif
}

// Sum of all lanes, in pairs.
template <class T>
LONGLAG_INLINE T sum(vec<T> v) {
#if defined(__clang__)
    for (Index half = lanes<T> / 2; half > 0; half /= 2) {
        for (Index j = 0; j < half; ++j) v[j] += v[j + half];
    }
#else
    const ivec<T> place = lane_numbers<T>();
#pragma GCC unroll 4
    for (int half = static_cast<int>(lanes<T>) / 2; half > 0; half /= 2) v += __builtin_shuffle(v, place ^ half);
#endif
    return v[0];
}

LONGLAG_INLINE Index smaller(Index a, Index b) { return a < b ? a : b; }
LONGLAG_INLINE Index round_up(Index n, Index to) { return (n + to - 1) / to * to; }

// Gradients that fade away end as denormal numbers, which cost a hundred times an ordinary operation. Inside a kernel
// they are zero; the caller's setting comes back at the end.
class FlushDenormals {
public:
#if defined(__x86_64__)
    FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }  // flush to zero, denormals are zero
    ~FlushDenormals() { _mm_setcsr(before_); }

private:
    unsigned before_;
#elif defined(__aarch64__)
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(before_));
        asm volatile("msr fpcr, %0" ::"r"(before_ | (std::uint64_t{1} << 24)));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" ::"r"(before_)); }

private:
    std::uint64_t before_;
#endif
};

}  // namespace longlag::LONGLAG_ISA
