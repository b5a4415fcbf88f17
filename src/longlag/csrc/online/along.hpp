// The two ways to fill a vector: with networks (many small ones, one trial in each lane) or with the units of one larger
// network. Every array holds `width` elements per unit or column, so the loops over weights are the same code: they run
// over whole vectors, and differ in what multiplies them.

#pragma once

#include "../squash.hpp"

namespace longlag::LONGLAG_ISA::online {

template <class T>
struct Networks {
    static constexpr Index V = lanes<T>;
    static constexpr Index together = V;  // networks in one memory
    static constexpr Index width = V;     // elements of one unit
    static constexpr Index stride = 1;    // units of one vector
    static Index padded(Index units) { return units; }
    // A unit's number, for all columns of its row.
    static LONGLAG_INLINE vec<T> factor(const T* p, Index unit) { return load(p + unit * V); }
    static LONGLAG_INLINE void add_sum(T* p, Index unit, vec<T> v) { store(p + unit * V, load(p + unit * V) + v); }
    // Where a number belongs to this symbol.
    static LONGLAG_INLINE ivec<T> is(ivec<T> symbols, Index symbol) {
        return symbols == static_cast<typename Simd<T>::integer>(symbol);
    }
};

template <class T>
struct Units {
    static constexpr Index V = lanes<T>;
    static constexpr Index together = 1;
    static constexpr Index width = 1;
    static constexpr Index stride = V;
    static Index padded(Index units) { return round_up(units, V); }
    static LONGLAG_INLINE vec<T> factor(const T* p, Index unit) { return splat<T>(p[unit]); }
    static LONGLAG_INLINE void add_sum(T* p, Index unit, vec<T> v) { p[unit] += sum<T>(v); }
    static LONGLAG_INLINE ivec<T> is(ivec<T> symbols, Index symbol) {
        return ivec<T>{} - static_cast<typename Simd<T>::integer>(symbols[0] == symbol);
    }
};

// f(element) for every vector of `units` units from `p` on: arrays are padded, so the last one may be partly idle.
template <class A, class F>
LONGLAG_INLINE void each(Index units, F f) {
    for (Index e = 0; e < units * A::width; e += A::V) f(e);
}

// y and dy/dnet. Both come from exp(-|net|), so that a saturated unit keeps a slope: 1 - y would be 0 in float32 from
// a net input of 17 on.
template <class T>
struct Answer {
    vec<T> value, slope;
};

template <class T>
struct Bell {  // e = exp(-|x|), 1 - e without cancellation, 1 / (1 + e)
    vec<T> e, rest, inverse;
    explicit LONGLAG_INLINE Bell(vec<T> x) {
        const ivec<T> sign = reinterpret_cast<ivec<T>>(splat<T>(T(-0.0)));
        const vec<T> z = at_least<T>(reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(x) | sign), lowest);
        vec<T> n;
        const vec<T> r = reduce<T>(z, n), p = (longlag::LONGLAG_ISA::rest<T>(r) * r + T(1)) * r;
        const vec<T> power = scale<T>(splat<T>(T(1)), n);
        e = power * p + power;
        rest = (T(1) - power) - power * p;
        inverse = reciprocal(T(1) + e);
    }
    // In single precision a rough one and a step of Newton's, within a unit in the last place, in half a division's time.
    static LONGLAG_INLINE vec<T> reciprocal(vec<T> x) {
#if defined(__AVX512F__)
        if constexpr (sizeof(T) == 4) {
            const vec<T> rough = rough_inverse<T>(x);
            return rough + rough * (T(1) - x * rough);
        }
#endif
        return T(1) / x;
    }
    static constexpr T lowest = sizeof(T) == 4 ? T(-87) : T(-708);  // exp of it is still a normal number
};

template <class T>
LONGLAG_INLINE Answer<T> answer_logistic(vec<T> x) {
    const Bell<T> bell(x);
    const vec<T> small = bell.e * bell.inverse;
    return {x < T(0) ? small : bell.inverse, small * bell.inverse};
}

// tanh(x / 2) = (1 - e) / (1 + e)
template <class T>
LONGLAG_INLINE Answer<T> answer_tanh_of_half(vec<T> x) {
    const Bell<T> bell(x);
    const ivec<T> sign = reinterpret_cast<ivec<T>>(x) & reinterpret_cast<ivec<T>>(splat<T>(T(-0.0)));
    const vec<T> size = bell.rest * bell.inverse;
    return {reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(size) | sign), T(2) * bell.e * bell.inverse * bell.inverse};
}

template <class T>
struct Logistic {
    T alpha;
    LONGLAG_INLINE Answer<T> operator()(vec<T> x) const {
        const Answer<T> y = answer_logistic<T>(alpha * x);
        return {y.value, alpha * y.slope};
    }
};

template <class T>
struct Tanh {  // out * tanh(in * x / 2)
    T in, out;
    LONGLAG_INLINE Answer<T> operator()(vec<T> x) const {
        const Answer<T> y = answer_tanh_of_half<T>(in * x);
        return {out * y.value, (in * out) * y.slope};
    }
};

template <class T>
struct Same {
    LONGLAG_INLINE Answer<T> operator()(vec<T> x) const { return {x, splat<T>(T(1))}; }
};

// Calls f with the squashing's function object: chosen once, outside the loops.
template <class T, class F>
LONGLAG_INLINE void with_answer(Squash kind, F f) {
    switch (kind) {
        case Squash::tanh: return f(Tanh<T>{2, 1});
        case Squash::logistic: return f(Logistic<T>{1});
        case Squash::logistic_pm1: return f(Tanh<T>{1, 1});
        case Squash::logistic_pm2: return f(Tanh<T>{1, 2});
        case Squash::identity: return f(Same<T>{});
    }
}

// v where the mask is set, elsewhere zero, whatever stood there.
template <class T>
LONGLAG_INLINE vec<T> where(ivec<T> mask, vec<T> v) {
    return reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(v) & mask);
}

// One element for each lane, from different places.
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

}  // namespace longlag::LONGLAG_ISA::online
