// Output units that read symbols, with the units of one network in lanes. Their weights from a symbol are one row of a
// table, and so are those from a hidden unit. Networks without a target cost nothing.

#pragma once

#include "outputs.hpp"

namespace longlag::LONGLAG_ISA::recurrent {

template <class T>
class TabledReadout : public Outputs<T> {
    using Whole = typename Simd<T>::integer;

public:
    using Outputs<T>::V, Outputs<T>::outputs, Outputs<T>::targets, Outputs<T>::hidden_errors, Outputs<T>::largest,
        Outputs<T>::total;

    // pending: from a weight to where its changes are added up; 0 if they are made at once.
    TabledReadout(const Step<T>& step, Arena<T>& arena, Index pending)
        : Outputs<T>(arena, step.net.hidden, V * step.m.table_span, 1, step.m.table_span), step(step), m(step.m),
          net(step.net), span(step.m.table_span), pending(pending) {
        errors = arena.take(span);
        sizes = arena.take(2 * V * V);
        back = arena.take(net.hidden * V * V);
    }

    // One step's answers, with targets in `lanes`. With `learns` the weights of the output units change.
    void answer(ivec<T> symbols, ivec<T> lanes, vec<T> rates, bool learns) {
        for (Index n = 0; n < V; ++n) {
            if (!lanes[n]) continue;
            T* const row = m.row(m.seen_columns + symbols[n], n);
            compare(n, row);
            if (learns) learn(n, row, rates[n]);
        }
        const auto plus = [](vec<T> a, vec<T> b) { return a + b; };
        largest = across<T>(sizes, [](vec<T> a, vec<T> b) { return Outputs<T>::larger(a, b); });
        total = across<T>(sizes + V * V, plus);
        for (Index u = 0; learns && u < net.hidden; ++u) {
            store(hidden_errors + u * V, where<T>(lanes, rates * across<T>(back + u * V * V, plus)));
        }
        feed_back();
    }

private:
    const Step<T>& step;
    const Memory<T>& m;
    const Net& net;
    Index span, pending;
    T* errors;  // e of one network's output units
    T* sizes;   // parts of the largest absolute error of each network, then of the sum
    T* back;    // (hidden unit, network): parts of errors that go back

    // y = f(net) and e = f'(net)(t - y) (A.17) of network n; row: the weights from its symbol.
    void compare(Index n, const T* row) {
        const T *const column = m.row(0, n), *const source = step.seen + n, *const target = targets + n * span;
        T *const say = outputs + n * span, *const error = errors;
        const Index columns = m.seen_columns, next = V * span, whole = net.outputs / V * V, all = span;
        vec<T> most{}, sum{};
        const auto off_by = [&](Index k, auto counted) {
            vec<T> net_input = load(row + k);
            for (Index c = 0; c < columns; ++c) net_input += source[c * V] * load(column + c * next + k);
            const online::ValueAndSlope<T> y = online::logistic_with_slope<T>(net_input);
            const vec<T> off = load(target + k) - y.value, size = counted(this->size_of(off));
            most = this->larger(most, size);
            sum += size;
            store(say + k, y.value);
            return off * y.slope;
        };
        for (Index k = 0; k < whole; k += V) store(error + k, off_by(k, [](vec<T> size) { return size; }));
        // Behind the K outputs are additional ones, whose errors are only learned, and then none.
        for (Index k = whole; k < all; k += V) {
            const vec<T> e = off_by(k, [&](vec<T> size) { return up_to(net.outputs - k, size); });
            store(error + k, this->if_finite(up_to(net.answers() - k, e)));
        }
        if (any<T>(~this->finite(sum))) {
            for (Index k = 0; k < whole; k += V) store(error + k, this->if_finite(load(error + k)));
        }
        store(sizes + n * V, most);
        store(sizes + (V + n) * V, sum);
    }

    // dw = rate e source, and the errors of the hidden units, through the weights as they were.
    LONGLAG_INLINE void learn(Index n, T* row, T rate) {
        for (Index c = 0; c < m.seen_columns; ++c) {
            T* const column = m.row(c, n);
            if (c < net.hidden) store(back + (c * V + n) * V, go_back(column));
            change(column, rate * step.seen[c * V + n]);
        }
        change(row, rate);  // a symbol is a source that is 1
    }

    LONGLAG_INLINE vec<T> go_back(const T* column) const {
        vec<T> sum{};
        for (Index k = 0; k < span; k += V) sum += load(errors + k) * load(column + k);
        return sum;
    }

    LONGLAG_INLINE void change(T* weights, T factor) const {
        const T* const error = errors;
        T *to = weights + pending, *const end = to + span;
        for (Index k = 0; to < end; k += V, to += V) store(to, load(to) + load(error + k) * factor);
    }

    void feed_back() {
        for (Index k = 0; k < net.fed_back(); ++k) {
            for (Index n = 0; n < V; ++n) m.answers[k * V + n] = outputs[this->place(k, n)];
        }
    }

    static LONGLAG_INLINE vec<T> up_to(Index units, vec<T> v) {
        return where<T>(lane_numbers<T>() < static_cast<Whole>(units), v);
    }
};

}  // namespace longlag::LONGLAG_ISA::recurrent
