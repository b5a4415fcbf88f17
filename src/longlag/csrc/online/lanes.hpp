// The two ways to fill a vector: with networks (many small ones, each in a lane of its own) or with the units of one
// larger network. Every array holds `width` elements for each unit or column. The loops over weights are therefore the
// same code: they run over whole vectors, and differ in what multiplies them.

#pragma once

#include "../simd.hpp"

namespace longlag::LONGLAG_ISA::online {

template <class T>
struct Networks {
    static constexpr Index V = lanes<T>;
    static constexpr Index together = V;  // networks in one memory
    static constexpr Index width = V;     // elements of one unit
    static constexpr Index stride = 1;    // units of one vector
    static Index padded(Index units) { return units; }
    // A unit's number, to multiply all columns of its row by.
    static LONGLAG_INLINE vec<T> factor(const T* p, Index unit) { return load(p + unit * V); }
    static LONGLAG_INLINE void add_sum(T* p, Index unit, vec<T> v) { store(p + unit * V, load(p + unit * V) + v); }
    // The lanes whose symbol this is.
    static LONGLAG_INLINE ivec<T> has_symbol(ivec<T> symbols, Index symbol) {
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
    static LONGLAG_INLINE ivec<T> has_symbol(ivec<T> symbols, Index symbol) {
        return ivec<T>{} - static_cast<typename Simd<T>::integer>(symbols[0] == symbol);
    }
};

// f(element) for every vector of an array of `units` units. Arrays are padded, so the last vector may be partly idle.
template <class A, class F>
LONGLAG_INLINE void each(Index units, F f) {
    for (Index e = 0; e < units * A::width; e += A::V) f(e);
}

}  // namespace longlag::LONGLAG_ISA::online
