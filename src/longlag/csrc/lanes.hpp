// The two ways to fill a vector: with samples (small nets, many samples) or with units (larger nets, few samples).
// The equations in steps.hpp are written once, over positions (unit, sample) of matrices that either way can address.

#pragma once

#include "simd.hpp"

namespace longlag::LONGLAG_ISA {

// A part of a buffer, whose element (unit, sample) stands at m(unit, sample).
template <class L>
using Matrix = typename L::Matrix;

struct Full {};   // a vector all of whose lanes count
struct Part {     // one of which only the first n do
    Index n;
};

template <class T>
struct UnitsInLanes {
    static constexpr bool samples_in_lanes = false;
    struct Matrix {
        T* at;
        Index distance;  // from sample to sample

        static constexpr Index unit_stride = 1;
        LONGLAG_INLINE T* operator()(Index unit, Index sample) const { return at + unit + sample * distance; }
        LONGLAG_INLINE Matrix from(Index unit) const { return {at + unit, distance}; }
    };
    static constexpr Index tile = 32;
    static constexpr Index V = lanes<T>;
    // A row of the record: units and cells. The rest takes little to compute again.
    static Index width(const Form& form) { return form.rows + form.hidden; }

    static Index samples_per_tile(Index) { return tile; }
    static Index tape_lanes(Index count) { return count; }
    // Room for `units` values of each of `count` samples.
    static Index size(Index units, Index count) { return units * count; }
    static Matrix matrix(T* p, Index units) { return {p, units}; }
    // Rows one after the other at distances of an odd number of cache lines: a power of two would send them all to
    // the same few places in the cache.
    static Index spaced(Index units) { return round_up(units, V) / V % 2 ? round_up(units, V) : round_up(units, V) + V; }

    static Index vectors(Index) { return 0; }

    // f(unit, sample, Full or Part) for every vector of `units` units of `live` samples.
    template <class F>
    static LONGLAG_INLINE void each(Index units, Index live, F f) {
        for (Index s = 0; s < live; ++s) {
            Index u = 0;
            for (; u + V <= units; u += V) f(u, s, Full{});
            if (u < units) f(u, s, Part{units - u});
        }
    }
    static LONGLAG_INLINE vec<T> weight(const T* p, Index unit) { return load(p + unit); }
    static LONGLAG_INLINE void put(T* p, vec<T> v, Full) { store(p, v); }
    static LONGLAG_INLINE void put(T* p, vec<T> v, Part part) { store_first(p, v, part.n); }

    // How many sums a tile of so many samples needs where each sample has its own, and the number of sample s's.
    static Index parts(Index count) { return count; }
    static Index part(Index sample) { return sample; }
    // Sums over samples, of one value per unit.
    static Index sum_size(Index units) { return units; }
    template <class N>
    static LONGLAG_INLINE void accumulate(T* sums, Index unit, vec<T> v, N n) {
        put(sums + unit, load(sums + unit) + v, n);
    }
    static T total(const T* sums, Index unit) { return sums[unit]; }
    static T own(const T* sums, Index unit, Index) { return sums[unit]; }  // of one sample, if it has sums of its own
};

template <class T>
struct SamplesInLanes {
    static constexpr bool samples_in_lanes = true;
    static constexpr Index V = lanes<T>;
    static constexpr Index tile = 4 * V;
    struct Matrix {
        T* at;

        static constexpr Index unit_stride = tile;
        LONGLAG_INLINE T* operator()(Index unit, Index sample) const { return at + unit * tile + sample; }
        LONGLAG_INLINE Matrix from(Index unit) const { return {at + unit * tile}; }
    };
    // Units, cells, h(s), and the sources, which would have to be transposed again: such nets are small.
    static Index width(const Form& form) { return form.rows + 2 * form.hidden + form.sources; }

    // Four vectors hide each other's latencies; with few samples two leave something for a second thread.
    static Index samples_per_tile(Index samples) { return samples >= 2 * tile ? tile : tile / 2; }
    static Index tape_lanes(Index count) { return count ? tile : 0; }
    static Index size(Index units, Index) { return units * tile; }
    static Matrix matrix(T* p, Index) { return {p}; }
    static Index spaced(Index units) { return units; }
    static Index vectors(Index live) { return (live + V - 1) / V; }

    template <class F>
    static LONGLAG_INLINE void each(Index units, Index live, F f) {
        for (Index u = 0; u < units; ++u) {
            Index s = 0;
            for (; s + V <= live; s += V) f(u, s, Full{});
            if (s < live) f(u, s, Part{live - s});
        }
    }
    static LONGLAG_INLINE vec<T> weight(const T* p, Index unit) { return splat<T>(p[unit]); }
    static LONGLAG_INLINE void put(T* p, vec<T> v, Full) { store(p, v); }
    // Lanes without a sample hold zeros, so that their former contents cannot reach a sum.
    static LONGLAG_INLINE void put(T* p, vec<T> v, Part part) { store(p, keep_first<T>(v, part.n)); }

    // A sum has a number for each lane, so that the samples of a vector share theirs.
    static Index parts(Index count) { return vectors(count); }
    static Index part(Index sample) { return sample / V; }
    static Index sum_size(Index units) { return units * V; }
    template <class N>
    static LONGLAG_INLINE void accumulate(T* sums, Index unit, vec<T> v, N) {
        store(sums + unit * V, load(sums + unit * V) + v);
    }
    static T total(const T* sums, Index unit) { return sum<T>(load(sums + unit * V)); }
    static T own(const T* sums, Index unit, Index sample) { return sums[unit * V + sample % V]; }
};

}  // namespace longlag::LONGLAG_ISA
