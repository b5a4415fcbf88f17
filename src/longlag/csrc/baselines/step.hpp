// One step of V plain recurrent nets: hidden units, and what the output units say.

#pragma once

#include "memory.hpp"

namespace longlag::LONGLAG_ISA::baselines {

template <class T>
class Step {
public:
    static constexpr Index V = lanes<T>;

    Step(const Memory<T>& memory, Arena<T>& arena) : m(memory), net(memory.net) {
        slopes = arena.take(net.hidden * V);
        fresh = arena.take(net.hidden * V);
        source = arena.take((m.columns + 1) * V);
        seen = arena.take((m.seen_columns + 1) * V);
        outputs = arena.take(round_up(net.answers(), V) * V);
        errors = arena.take(round_up(net.answers(), V) * V);
        output_slopes = arena.take(round_up(net.answers(), V) * V);
    }

    const Memory<T>& m;
    const Net& net;
    T *slopes, *fresh;      // dh/dnet; new activations, before they replace the old ones
    T *source, *seen;       // [x h y 1] of the step before; [h x y 1], what the output units read
    T *outputs, *errors;    // y and e (times the rate) of the output units; zeros behind them
    T* output_slopes;

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
            if (net.symbols) sum = online::gather<T>(m.symbol_rows + u * V, places);
            for (Index c = 0; c < m.columns * V; c += V) sum += load(row + c) * load(source + c);
            const online::Answer<T> y = online::answer_logistic<T>(sum);
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

    // y of the output units; in lanes outside `mask` what it was.
    void read_out(ivec<T> symbols, ivec<T> mask) {
        if (net.flat) {
            copy(m.state, net.answers(), outputs);
            return;
        }
        typename Simd<T>::integer symbol[V];
        std::memcpy(symbol, &symbols, sizeof symbol);
        for (Index k = 0; k < net.answers(); k += V) {
            vec<T> sums[V] = {};
            if (m.has_table) {
#pragma GCC unroll 16
                for (Index j = 0; j < V; ++j) sums[j] = load(m.table + (symbol[j] * V + j) * m.table_span + k);
                transpose<T>(sums);
            }
            const Index here = smaller(V, net.answers() - k);
            for (Index j = 0; j < V; ++j) store(block + j * V, sums[j]);
            for (Index j = 0; j < here; ++j) {
                const T* row = m.readout + (k + j) * m.seen_columns * V;
                vec<T> sum = load(block + j * V);
                for (Index c = 0; c < m.seen_columns * V; c += V) sum += load(row + c) * load(seen + c);
                const online::Answer<T> y = online::answer_logistic<T>(sum);
                T* const to = outputs + (k + j) * V;
                store(to, where<T>(mask, y.value) + where<T>(~mask, load(to)));
                T* const slope = output_slopes + (k + j) * V;
                store(slope, where<T>(mask, y.slope) + where<T>(~mask, load(slope)));
            }
        }
        copy(outputs, net.fed_back(), m.answers);
    }

    // outputs -> errors times the rate: f'(net)(t - y) (A.17), for units [first, last); in flat nets t - y, because
    // there the slope is in the traces. f(unit): the target. g(size): every absolute error.
    template <class F, class G>
    LONGLAG_INLINE void compare(Index first, Index last, vec<T> rate, F target, G g) {
        const ivec<T> sign = reinterpret_cast<ivec<T>>(splat<T>(T(-0.0))), learns = rate != T(0);
        for (Index k = first; k < last; ++k) {
            const vec<T> off = target(k) - load(outputs + k * V);
            g(reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(off) & ~sign));
            vec<T> error = rate * off;
            if (!net.flat) error *= load(output_slopes + k * V);
            // Nothing where there is no target, whatever the lane holds; and no answer that is not a number is learned.
            store(errors + k * V, where<T>(learns & (off - off == T(0)), error));
        }
    }

    static T* copy(const T* from, Index units, T* to) {
        for (Index e = 0; e < units * V; e += V) store(to + e, load(from + e));
        return to + units * V;
    }

private:
    alignas(64) T block[V * V];
};

}  // namespace longlag::LONGLAG_ISA::baselines
