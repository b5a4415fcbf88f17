// One step of the hidden units of V plain recurrent nets.

#pragma once

#include "longlag/csrc/online/slopes.hpp"
#include "memory.hpp"

namespace longlag::LONGLAG_ISA::recurrent {

template <class T>
class Step {
public:
    static constexpr Index V = lanes<T>;

    Step(const Memory<T>& memory, Arena<T>& arena) : m(memory), net(memory.net) {
        slopes = arena.take(net.hidden * V);
        fresh = arena.take(net.hidden * V);
        source = arena.take((m.columns + 1) * V);
        seen = arena.take((m.seen_columns + 1) * V);
    }

    const Memory<T>& m;
    const Net& net;
    T *slopes, *fresh;      // dh/dnet; new activations, before they replace the old ones
    T *source, *seen;       // [x h y 1] of the step before; [h x y 1], what the output units read

    // Lanes outside `mask` stay as they are.
    void forward(const T* x, ivec<T> symbols, ivec<T> mask) {
        for (Index i = 0; i < net.inputs * V; i += V) store(source + i, load(x + i));
        T* behind = copy(m.state, net.hidden, source + net.inputs * V);
        behind = copy(m.answers, net.fed_back(), behind);
        if (net.bias) store(behind, splat<T>(T(1)));
        const ivec<T> places = symbols * static_cast<typename Simd<T>::integer>(net.hidden * V) + lane_numbers<T>();
        for (Index u = 0; u < net.hidden; ++u) {
            const T* row = m.rows + u * m.columns * V;
            vec<T> sum{};
            if (net.symbols) sum = gather<T>(m.symbol_rows + u * V, places);
            for (Index c = 0; c < m.columns * V; c += V) sum += load(row + c) * load(source + c);
            const online::ValueAndSlope<T> y = online::logistic_with_slope<T>(sum);
            store(fresh + u * V, where<T>(mask, y.value) + where<T>(~mask, load(m.state + u * V)));
            store(slopes + u * V, y.slope);
        }
        behind = copy(fresh, net.hidden, m.state);
        if (net.flat) return;
        behind = copy(m.state, net.hidden, seen);
        if (net.reads_inputs) behind = copy(source, net.inputs, behind);
        behind = copy(m.answers, net.fed_back(), behind);
        if (net.bias) store(behind, splat<T>(T(1)));
    }

    static T* copy(const T* from, Index units, T* to) {
        for (Index e = 0; e < units * V; e += V) store(to + e, load(from + e));
        return to + units * V;
    }
};

}  // namespace longlag::LONGLAG_ISA::recurrent
