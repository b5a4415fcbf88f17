// Squashings together with their slopes.

#pragma once

#include "../squash.hpp"

namespace longlag::LONGLAG_ISA::online {

// y and dy/dnet. Both come from exp(-|net|), so that a saturated unit keeps a slope: in float32, 1 - y is 0 from a net
// input of 17 on.
template <class T>
struct ValueAndSlope {
    vec<T> value, slope;
};

template <class T>
struct LogisticParts {
    vec<T> e;        // exp(-|x|)
    vec<T> rest;     // 1 - e, without cancellation
    vec<T> inverse;  // 1 / (1 + e)

    explicit LONGLAG_INLINE LogisticParts(vec<T> x) {
        const ivec<T> sign = reinterpret_cast<ivec<T>>(splat<T>(T(-0.0)));
        const vec<T> z = at_least<T>(reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(x) | sign), lowest);
        vec<T> n;
        const vec<T> r = reduce<T>(z, n), p = (longlag::LONGLAG_ISA::rest<T>(r) * r + T(1)) * r;
        const vec<T> power = scale<T>(splat<T>(T(1)), n);
        e = power * p + power;
        rest = (T(1) - power) - power * p;
        inverse = reciprocal(T(1) + e);
    }
    // In single precision a rough inverse and one step of Newton's method: within a unit in the last place, in half the
    // time of a division.
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
LONGLAG_INLINE ValueAndSlope<T> logistic_with_slope(vec<T> x) {
    const LogisticParts<T> parts(x);
    const vec<T> small = parts.e * parts.inverse;
    return {x < T(0) ? small : parts.inverse, small * parts.inverse};
}

// tanh(x / 2) = (1 - e) / (1 + e)
template <class T>
LONGLAG_INLINE ValueAndSlope<T> tanh_of_half_with_slope(vec<T> x) {
    const LogisticParts<T> parts(x);
    const ivec<T> sign = reinterpret_cast<ivec<T>>(x) & reinterpret_cast<ivec<T>>(splat<T>(T(-0.0)));
    const vec<T> size = parts.rest * parts.inverse;
    return {reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(size) | sign),
            T(2) * parts.e * parts.inverse * parts.inverse};
}

template <class T>
struct LogisticWithSlope {
    T alpha;
    LONGLAG_INLINE ValueAndSlope<T> operator()(vec<T> x) const {
        const ValueAndSlope<T> y = logistic_with_slope<T>(alpha * x);
        return {y.value, alpha * y.slope};
    }
};

template <class T>
struct ScaledTanhWithSlope {  // out * tanh(in * x / 2)
    T in, out;
    LONGLAG_INLINE ValueAndSlope<T> operator()(vec<T> x) const {
        const ValueAndSlope<T> y = tanh_of_half_with_slope<T>(in * x);
        return {out * y.value, (in * out) * y.slope};
    }
};

template <class T>
struct IdentityWithSlope {
    LONGLAG_INLINE ValueAndSlope<T> operator()(vec<T> x) const { return {x, splat<T>(T(1))}; }
};

// Calls f with the squashing's function object: chosen once, outside the loops.
template <class T, class F>
LONGLAG_INLINE void with_squash_and_slope(Squash kind, F f) {
    switch (kind) {
        case Squash::tanh: return f(ScaledTanhWithSlope<T>{2, 1});
        case Squash::logistic: return f(LogisticWithSlope<T>{1});
        case Squash::logistic_pm1: return f(ScaledTanhWithSlope<T>{1, 1});
        case Squash::logistic_pm2: return f(ScaledTanhWithSlope<T>{1, 2});
        case Squash::identity: return f(IdentityWithSlope<T>{});
    }
}

}  // namespace longlag::LONGLAG_ISA::online
