// Output units that read symbols, with the units of one network in lanes: what they read of a symbol is one row of a
// table, as is what they read of a hidden unit. Networks with no target cost nothing.

#pragma once

#include "outputs.hpp"

namespace longlag::LONGLAG_ISA::baselines {

template <class T>
class TabledReadout : public Outputs<T> {
    using Whole = typename Simd<T>::integer;

public:
    using Outputs<T>::V, Outputs<T>::said, Outputs<T>::targets, Outputs<T>::towards, Outputs<T>::largest,
        Outputs<T>::total;

    // Changes of weights go `waiting` elements behind them.
    TabledReadout(const Step<T>& step, Arena<T>& arena, Index waiting)
        : Outputs<T>(arena, step.net.hidden, V * step.m.table_span, 1, step.m.table_span), step(step), m(step.m),
          net(step.net), span(step.m.table_span), waiting(waiting) {
        errors = arena.take(span);
        sizes = arena.take(2 * V * V);
        back = arena.take(net.hidden * V * V);
    }

    // One step's answers, with targets in `lanes`. With `learns` the weights of the output units change.
    void answer(ivec<T> symbols, ivec<T> lanes, vec<T> rates, bool learns) {
        for (Index n = 0; n < V; ++n) {
            if (!lanes[n]) continue;
            T* const row = m.row(m.seen_columns + symbols[n], n);
            if (!learns) {
                answer_of<false>(n, row, T(0));
                continue;
            }
            answer_of<true>(n, row, rates[n]);
            for (Index c = 0; c < m.seen_columns; ++c) pass_back(n, c);
        }
        total = across<T>(sizes + V * V, [](vec<T> a, vec<T> b) { return a + b; });
        largest = this->unless_nan(across<T>(sizes, [](vec<T> a, vec<T> b) { return Outputs<T>::larger(a, b); }), total);
        for (Index u = 0; learns && u < net.hidden; ++u) {
            const vec<T> sum = across<T>(back + u * V * V, [](vec<T> a, vec<T> b) { return a + b; });
            store(towards + u * V, where<T>(lanes, sum));
        }
        for (Index k = 0; k < net.fed_back(); ++k) {
            for (Index n = 0; n < V; ++n) m.answers[k * V + n] = said[this->place(k, n)];
        }
    }

private:
    const Step<T>& step;
    const Memory<T>& m;
    const Net& net;
    Index span, waiting;
    T* errors;  // e of one network, times the rate
    T* sizes;   // parts of each network's largest and summed absolute error
    T* back;    // (hidden unit, network): parts of errors that go back

    // y = f(net), e = f'(net)(t - y) (A.17), and what e changes in `row`, the weights from the symbol.
    template <bool learns>
    LONGLAG_INLINE void answer_of(Index n, T* row, T rate) {
        const ivec<T> units = lane_numbers<T>();
        vec<T> most{}, sum{};
        for (Index k = 0; k < span; k += V) {
            vec<T> net_input = load(row + k);
            for (Index c = 0; c < m.seen_columns; ++c) net_input += step.seen[c * V + n] * load(m.row(c, n) + k);
            const online::Answer<T> y = online::answer_logistic<T>(net_input);
            store(said + n * span + k, y.value);
            const vec<T> off = load(targets + n * span + k) - y.value;
            const vec<T> size = where<T>(units < static_cast<Whole>(net.outputs - k), this->size_of(off));
            most = this->larger(most, size);
            sum += size;
            if constexpr (learns) {
                const ivec<T> counts = (units < static_cast<Whole>(net.answers() - k)) & this->finite(off);
                const vec<T> error = where<T>(counts, rate * off * y.slope);
                store(errors + k, error);
                store(row + waiting + k, load(row + waiting + k) + error);
            }
        }
        store(sizes + n * V, most);
        store(sizes + (V + n) * V, sum);
    }

    // Errors go back through the weights of column c as they were, and change them.
    LONGLAG_INLINE void pass_back(Index n, Index c) {
        T* const row = m.row(c, n);
        const T source = step.seen[c * V + n];
        vec<T> sum{};
        for (Index k = 0; k < span; k += V) {
            const vec<T> error = load(errors + k);
            sum += error * load(row + k);
            store(row + waiting + k, load(row + waiting + k) + error * source);
        }
        if (c < net.hidden) store(back + (c * V + n) * V, sum);
    }
};

}  // namespace longlag::LONGLAG_ISA::baselines
