// Where the numbers of V plain recurrent nets stand, side by side in the lanes of vectors.

#pragma once

#include "../online/along.hpp"
#include "../weights.hpp"
#include "net.hpp"

namespace longlag::LONGLAG_ISA::baselines {

using longlag::baselines::Manner;
using longlag::baselines::Method;
using longlag::baselines::Net;
using longlag::baselines::Numbers;
using longlag::baselines::Stream;
using online::where;

template <class T>
class Memory {
public:
    static constexpr Index V = lanes<T>;

    Memory(const Net& net, T* base, Index start = 0)
        : net(net), columns(net.columns()), seen_columns(net.seen()),
          table_span(net.flat ? 0 : round_up(net.answers(), V)), has_table(!net.flat && net.reads_inputs && net.symbols),
          arena_(base) {
        arena_.take(start);
        const Index before = arena_.used();
        rows = arena_.take((columns + net.symbols) * net.hidden * V);
        symbol_rows = rows ? rows + columns * net.hidden * V : nullptr;
        readout = arena_.take(net.flat ? 0 : net.answers() * seen_columns * V);
        table = arena_.take(has_table ? net.symbols * V * table_span : 0);
        weights = arena_.used() - before;
        arena_.take(weights);  // the same again: changes that wait for the end of a sequence
        traces = arena_.take(net.traced() * net.hidden * V);
        state = arena_.take(net.hidden * V);
        answers = arena_.take(net.fed_back() * V);
    }
    Index used() const { return arena_.used(); }

    const Net net;
    Index columns, seen_columns, table_span;
    bool has_table;
    Index weights;                      // elements of all weights; a waiting change stands so much further on
    T *rows, *symbol_rows;              // (unit, column), behind it (symbol, unit): vectors, traced in this order
    T* readout;                         // (output, column): vectors
    T* table;                           // (symbol, lane, output): what an output reads of a symbol, outputs in lanes
    T* traces;                          // (weight, unit): vectors
    T *state, *answers;                 // (unit), (output): vectors

    // f(there, here) for every weight of the network in lane `place`.
    template <class N, class F>
    void each_weight(const N& to, Index place, bool waiting, F f) const {
        const Index more = waiting ? weights : 0, I = net.inputs, h = net.hidden, S = net.symbols, fed = net.fed_back();
        const auto here = [&](T* p, Index unit) { return p + more + unit * V + place; };
        for (Index u = 0; u < h; ++u) {
            const Index at = u * columns;
            for (Index i = 0; to.input && i < I; ++i) f(to.input + u * I + i, here(rows, at + i));
            for (Index s = 0; to.input && s < S; ++s) f(to.input + u * S + s, here(symbol_rows, s * h + u));
            for (Index k = 0; to.recurrent && k < h + fed; ++k) f(to.recurrent + u * (h + fed) + k, here(rows, at + I + k));
            if (to.bias && net.bias) f(to.bias + u, here(rows, at + I + h + fed));
        }
        const Index D = net.dense_seen(), tabled = has_table ? S : 0, width = h + D + tabled + fed;
        for (Index r = 0; !net.flat && r < net.answers(); ++r) {
            const Index at = r * seen_columns;
            for (Index k = 0; to.readout && k < h + D + fed; ++k) {
                f(to.readout + r * width + k + (k < h + D ? 0 : tabled), here(readout, at + k));
            }
            for (Index s = 0; to.readout && s < tabled; ++s) {
                f(to.readout + r * width + h + D + s, table + more + (s * V + place) * table_span + r);
            }
            if (to.readout_bias && net.bias) f(to.readout_bias + r, here(readout, at + h + D + fed));
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

// Every number of the network in lane `place`, and of its chunker if it has one.
template <class T, class N, class F>
void each_number(const Net& net, T* memory, Index place, const N& of, const N& of_chunker, bool waiting, F f) {
    const Memory<T> below(net.automatizer(), memory);
    below.each_weight(of, place, waiting, f);
    below.each_state(of, place, f);
    if (!net.chunker) return;
    const Memory<T> above(net, memory, below.used());
    above.each_weight(of_chunker, place, waiting, f);
    above.each_state(of_chunker, place, f);
}

// (place, lane) to (lane, place).
template <class T>
LONGLAG_INLINE void transpose(vec<T> (&r)[lanes<T>]) {
#if defined(__clang__)
    vec<T> turned[lanes<T>];
    for (int i = 0; i < static_cast<int>(lanes<T>); ++i) {
        for (int j = 0; j < static_cast<int>(lanes<T>); ++j) turned[i][j] = r[j][i];
    }
    for (int i = 0; i < static_cast<int>(lanes<T>); ++i) r[i] = turned[i];
#else
    constexpr int V = static_cast<int>(lanes<T>);
    using Whole = typename Simd<T>::integer;
    const ivec<T> place = lane_numbers<T>();
#pragma GCC unroll 4
    for (int b = 1; b < V; b *= 2) {
        const ivec<T> upper = (place & static_cast<Whole>(b)) != 0;
        const ivec<T> first = place + (upper & static_cast<Whole>(V - b));
        const ivec<T> second = place + static_cast<Whole>(b) + (upper & static_cast<Whole>(V - b));
#pragma GCC unroll 16
        for (int i = 0; i < V; ++i) {
            if (i & b) continue;
            const vec<T> low = r[i], high = r[i + b];
            r[i] = __builtin_shuffle(low, high, first);
            r[i + b] = __builtin_shuffle(low, high, second);
        }
    }
#endif
}

}  // namespace longlag::LONGLAG_ISA::baselines
