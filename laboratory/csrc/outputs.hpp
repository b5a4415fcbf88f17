// Outputs, targets and errors of the output units of V networks. Both kinds of readout have them; they differ in what
// fills the lanes.

#pragma once

#include "step.hpp"

namespace longlag::LONGLAG_ISA::recurrent {

template <class T>
struct Outputs {
    static constexpr Index V = lanes<T>;

    T *outputs, *targets;       // y and t, unit by unit and lane by lane at `place`
    T* hidden_errors;           // errors of the hidden units, times the rate: vectors of networks
    vec<T> largest{}, total{};  // absolute errors of the K outputs

    Index place(Index unit, Index lane) const { return unit * of_unit_ + lane * of_lane_; }

    // The targets of this step.
    template <class P>
    void load_targets(P& scheduler) {
        scheduler.load_targets([this](Index lane, Index unit, T value) { targets[place(unit, lane)] = value; });
        for (Index n = 0; n < V; ++n) {
            if (scheduler.target_symbols[n] >= 0) set_target(n, scheduler.target_symbols[n]);
        }
    }
    // Writes outputs and errors into the streams.
    template <class P>
    void write_answers(P& scheduler) const {
        scheduler.write_answers([this](Index lane, Index unit) { return outputs[place(unit, lane)]; }, largest, total);
    }

    // A target that is a symbol: its unit is to be on, the others off.
    void set_target(Index lane, Index symbol) {
        targets[place(target_[lane], lane)] = T(0);
        targets[place(symbol, lane)] = T(1);
        target_[lane] = symbol;
    }

protected:
    Outputs(Arena<T>& arena, Index hidden, Index size, Index of_unit, Index of_lane)
        : outputs(arena.take(size)), targets(arena.take(size)), hidden_errors(arena.take(hidden * V)),
          of_unit_(of_unit), of_lane_(of_lane) {}

    // |v|, and the larger of two absolute values. As whole numbers they have the same order, and NaN is the largest.
    static LONGLAG_INLINE vec<T> size_of(vec<T> v) {
        const ivec<T> sign = reinterpret_cast<ivec<T>>(splat<T>(T(-0.0)));
        return reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(v) & ~sign);
    }
    static LONGLAG_INLINE vec<T> larger(vec<T> a, vec<T> b) {
        const ivec<T> p = reinterpret_cast<ivec<T>>(a), q = reinterpret_cast<ivec<T>>(b);
        return reinterpret_cast<vec<T>>(p > q ? p : q);
    }
    static LONGLAG_INLINE ivec<T> finite(vec<T> v) { return v - v == T(0); }
    // The error where it is finite, and zero elsewhere: other errors are not learned.
    static LONGLAG_INLINE vec<T> if_finite(vec<T> error) { return where<T>(finite(error), error); }

private:
    Index of_unit_, of_lane_;
    Index target_[V] = {};
};

}  // namespace longlag::LONGLAG_ISA::recurrent
