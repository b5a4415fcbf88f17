// What the output units of V networks say and should say, and how far off they are: the same for both kinds of readout,
// which differ in what stands in the lanes.

#pragma once

#include "step.hpp"

namespace longlag::LONGLAG_ISA::baselines {

template <class T>
struct Outputs {
    static constexpr Index V = lanes<T>;

    T *said, *targets;          // y and t, unit by unit and lane by lane at `place`
    T* towards;                 // errors of the hidden units, times the rate: vectors of networks
    vec<T> largest{}, total{};  // absolute errors of the K outputs

    Index place(Index unit, Index lane) const { return unit * of_unit_ + lane * of_lane_; }

    // The targets of this step.
    template <class P>
    void aim(P& paces) {
        paces.aim([this](Index lane, Index unit, T value) { targets[place(unit, lane)] = value; });
        for (Index n = 0; n < V; ++n) {
            if (paces.wanted[n] >= 0) want(n, paces.wanted[n]);
        }
    }
    // What was said, for who asked.
    template <class P>
    void note(P& paces) const {
        paces.note([this](Index lane, Index unit) { return said[place(unit, lane)]; }, largest, total);
    }

    // The target is a symbol: its unit is to be on, the others off.
    void want(Index lane, Index symbol) {
        targets[place(wanted_[lane], lane)] = T(0);
        targets[place(symbol, lane)] = T(1);
        wanted_[lane] = symbol;
    }

protected:
    Outputs(Arena<T>& arena, Index hidden, Index size, Index of_unit, Index of_lane)
        : said(arena.take(size)), targets(arena.take(size)), towards(arena.take(hidden * V)), of_unit_(of_unit),
          of_lane_(of_lane) {}

    // |v|, and the larger of two such. Compared as whole numbers they have the same order, and NaN is the largest.
    static LONGLAG_INLINE vec<T> size_of(vec<T> v) {
        const ivec<T> sign = reinterpret_cast<ivec<T>>(splat<T>(T(-0.0)));
        return reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(v) & ~sign);
    }
    static LONGLAG_INLINE vec<T> larger(vec<T> a, vec<T> b) {
        const ivec<T> p = reinterpret_cast<ivec<T>>(a), q = reinterpret_cast<ivec<T>>(b);
        return reinterpret_cast<vec<T>>(p > q ? p : q);
    }
    static LONGLAG_INLINE ivec<T> finite(vec<T> v) { return v - v == T(0); }
    // Errors that are not numbers are not learned, nor infinite ones.
    static LONGLAG_INLINE vec<T> if_finite(vec<T> error) { return where<T>(finite(error), error); }

private:
    Index of_unit_, of_lane_;
    Index wanted_[V] = {};
};

}  // namespace longlag::LONGLAG_ISA::baselines
