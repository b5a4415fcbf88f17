// Where the numbers of V plain recurrent nets stand, side by side in the lanes of vectors.

#pragma once

#include "longlag/csrc/online/lanes.hpp"
#include "longlag/csrc/weights.hpp"
#include "net.hpp"

namespace longlag::LONGLAG_ISA::recurrent {

using longlag::online::ReadOptions;
using longlag::recurrent::Method;
using longlag::recurrent::Net;
using longlag::recurrent::Numbers;
using longlag::online::Stream;

template <class T>
class Memory {
public:
    static constexpr Index V = lanes<T>;

    Memory(const Net& net, T* base, Index start = 0)
        : net(net), columns(net.columns()), seen_columns(net.seen()),
          table_span(round_up(net.answers(), V)), arena_(base) {
        arena_.take(start);
        const Index before = arena_.used();
        rows = arena_.take((columns + net.symbols) * net.hidden * V);
        symbol_rows = rows ? rows + columns * net.hidden * V : nullptr;
        readout = arena_.take(net.tabled() ? 0 : net.answers() * seen_columns * V);
        table = arena_.take(net.tabled() ? (seen_columns + net.symbols) * V * table_span : 0);
        weights = arena_.used() - before;
        arena_.take(weights);  // the same again: changes pending until the end of a sequence
        traces = arena_.take(net.traced() * net.hidden * V);
        state = arena_.take(net.hidden * V);
        answers = arena_.take(net.fed_back() * V);
    }
    Index used() const { return arena_.used(); }

    const Net net;
    Index columns, seen_columns, table_span;
    Index weights;      // elements of all weights; the pending change of a weight stands so much further on
    T *rows, *symbol_rows;              // (unit, column), behind it (symbol, unit): vectors, traced in this order
    T* readout;                         // (output, column): vectors
    T* table;                           // or (column or symbol, lane, output), outputs in lanes
    T* traces;                          // (weight, unit): vectors
    T *state, *answers;                 // (unit), (output): vectors

    // The output weights of a column, or of symbol `column - seen_columns`, of the network in `lane`.
    T* row(Index column, Index lane) const { return table + (column * V + lane) * table_span; }

    // f(there, here) for every weight of the network in lane `place`.
    template <class N, class F>
    void each_weight(const N& to, Index place, bool pending, F f) const {
        const Index more = pending ? weights : 0, I = net.inputs, h = net.hidden, S = net.symbols, fed = net.fed_back();
        const auto here = [&](T* p, Index unit) { return p + more + unit * V + place; };
        for (Index u = 0; u < h; ++u) {
            const Index at = u * columns;
            for (Index i = 0; to.input && i < I; ++i) f(to.input + u * I + i, here(rows, at + i));
            for (Index s = 0; to.input && s < S; ++s) f(to.input + u * S + s, here(symbol_rows, s * h + u));
            for (Index k = 0; to.recurrent && k < h + fed; ++k) {
                f(to.recurrent + u * (h + fed) + k, here(rows, at + I + k));
            }
            if (to.bias && net.bias) f(to.bias + u, here(rows, at + I + h + fed));
        }
        const Index D = net.dense_seen(), tabled = net.tabled() ? S : 0, width = h + D + tabled + fed;
        for (Index r = 0; !net.flat && r < net.answers(); ++r) {
            const auto read = [&](Index c) {
                return net.tabled() ? row(c, place) + more + r : here(readout, r * seen_columns + c);
            };
            for (Index c = 0; to.readout && c < h + D + fed; ++c) {
                f(to.readout + r * width + c + (c < h + D ? 0 : tabled), read(c));
            }
            for (Index s = 0; to.readout && s < tabled; ++s) {
                f(to.readout + r * width + h + D + s, read(seen_columns + s));
            }
            if (to.readout_bias && net.bias) f(to.readout_bias + r, read(h + D + fed));
        }
    }

    template <class N, class F>
    void each_state(const N& to, Index place, F f) const {
        const Index h = net.hidden, I = net.inputs + net.symbols, C = I + h + (net.bias ? 1 : 0);
        for (Index u = 0; to.state && u < h; ++u) f(to.state + u, state + u * V + place);
        for (Index k = 0; to.answers && k < net.fed_back(); ++k) f(to.answers + k, answers + k * V + place);
        if (!to.traces || !net.traced()) return;
        for (Index k = 0; k < h; ++k) {
            for (Index u = 0; u < h; ++u) {
                for (Index c = 0; c < C; ++c) {
                    const bool symbol = c < net.symbols;
                    const Index weight = symbol ? columns * h + c * h + u : u * columns + c - net.symbols;
                    f(to.traces + (k * h + u) * C + c, traces + (weight * h + k) * V + place);
                }
            }
        }
    }

private:
    Arena<T> arena_;
};

// f(there, here) for every number of the network in lane `place`, and of its chunker if it has one.
template <class T, class N, class F>
void each_number(const Net& net, T* memory, Index place, const N& numbers, bool pending, F f) {
    const Memory<T> below(net.automatizer(), memory);
    below.each_weight(numbers.net, place, pending, f);
    below.each_state(numbers.net, place, f);
    if (!net.chunker) return;
    const Memory<T> above(net, memory, below.used());
    above.each_weight(numbers.chunker, place, pending, f);
    above.each_state(numbers.chunker, place, f);
}

// Whether any lane is set.
template <class T>
LONGLAG_INLINE bool any(ivec<T> mask) {
#if defined(__AVX512F__)
    const __m512i bits = reinterpret_cast<__m512i>(mask);
    return _mm512_test_epi64_mask(bits, bits) != 0;
#else
    typename Simd<T>::integer bits = 0;
    for (Index n = 0; n < lanes<T>; ++n) bits |= mask[n];
    return bits != 0;
#endif
}

// Lane j has what lane j ^ b had.
template <class T>
LONGLAG_INLINE vec<T> exchange(vec<T> v, int b) {
    const ivec<T> place = lane_numbers<T>() ^ static_cast<typename Simd<T>::integer>(b);
#if defined(__clang__)
    vec<T> exchanged;
    for (int j = 0; j < static_cast<int>(lanes<T>); ++j) exchanged[j] = v[place[j]];
    return exchanged;
#else
    return __builtin_shuffle(v, place);
#endif
}

// f over the lanes of each of V vectors; that of vector j in lane j. f must not mind the order of its arguments.
template <class T, class F>
LONGLAG_INLINE vec<T> across(const T* vectors, F f) {
    constexpr int V = static_cast<int>(lanes<T>);
    vec<T> r[V];
#pragma GCC unroll 16
    for (int i = 0; i < V; ++i) r[i] = load(vectors + i * V);
    const ivec<T> place = lane_numbers<T>();
#pragma GCC unroll 4
    for (int b = 1; b < V; b *= 2) {  // halves the number of vectors: two share one, in turns of b lanes
        const ivec<T> upper = (place & static_cast<typename Simd<T>::integer>(b)) != 0;
#pragma GCC unroll 8
        for (int i = 0; i < V; i += 2 * b) {
            r[i] = f(upper ? r[i + b] : r[i], exchange<T>(upper ? r[i] : r[i + b], b));
        }
    }
    return r[0];
}

}  // namespace longlag::LONGLAG_ISA::recurrent
