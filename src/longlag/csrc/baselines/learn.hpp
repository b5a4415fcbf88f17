// How plain recurrent nets learn: exact real-time recurrent learning, back-propagation through the whole sequence, or
// one step back (Elman's procedure, whose context is an input like any other). The rate is in the errors.

#pragma once

#include "traces.hpp"

namespace longlag::LONGLAG_ISA::baselines {

template <class T>
class Learner {
public:
    static constexpr Index V = lanes<T>;
    using Whole = typename Simd<T>::integer;

    Learner(Step<T>& step, Arena<T>& arena, bool at_ends, Index longest)
        : step(step), m(step.m), net(step.net), waiting(at_ends || net.method == Method::bptt ? m.weights : 0),
          longest(longest), traces(step, arena, waiting) {
        towards = arena.take(net.hidden * V);
        deltas = arena.take(net.hidden * V);
        next = arena.take(net.hidden * V);
        entry = (2 * net.hidden + m.columns) * V;
        tape = arena.take(net.method == Method::bptt ? longest * entry : 0);
        tape_symbols = arena.take(net.method == Method::bptt ? longest * V : 0);
    }

    // After a step: `answers` whether errors have arrived. Traces of lanes outside `mask` stay.
    void learn(Index now, ivec<T> symbols, bool answers, ivec<T> mask) {
        if (answers) back_to_hidden();
        if (net.method == Method::rtrl) {
            traces.follow(symbols, mask, answers ? towards : nullptr);
        } else if (net.method == Method::bptt) {
            write_down(now, symbols, answers);
        } else if (answers) {
            for (Index u = 0; u < net.hidden * V; u += V) store(deltas + u, load(towards + u) * load(step.slopes + u));
            change_hidden(deltas, step.source, symbols);
        }
        if (answers && !net.flat) change_readout(symbols);
    }

    // RTRL: the traces of a step whose errors arrive later.
    void follow_only(ivec<T> symbols, ivec<T> mask) { traces.follow(symbols, mask, nullptr); }

    // RTRL: errors that arrive after the step that they are about, with the traces as they stand.
    void learn_late(ivec<T> symbols) {
        back_to_hidden();
        traces.learn(towards);
        if (!net.flat) change_readout(symbols);
    }

    // The lanes in `ended` go back through their sequences; `steps`: how long those were.
    void go_back(Index now, const Index* steps, ivec<T> ended) {
        if (net.method != Method::bptt) return;
        Index most = 0;
        for (Index n = 0; n < V; ++n) most = ended[n] && steps[n] > most ? steps[n] : most;
        for (Index u = 0; u < net.hidden * V; u += V) store(deltas + u, vec<T>{});
        for (Index back = 0; back < most; ++back) {
            const Index at = (now - 1 - back) % longest;
            const T* const entry_here = tape + at * entry;
            ivec<T> inside{}, symbols;
            for (Index n = 0; n < V; ++n) inside[n] = ended[n] && back < steps[n] ? -1 : 0;
            std::memcpy(&symbols, tape_symbols + at * V, sizeof symbols);
            for (Index u = 0; u < net.hidden; ++u) {  // delta_t = h' (e_t + U^T delta_{t+1})
                vec<T> sum = load(entry_here + u * V);
                for (Index k = 0; k < net.hidden; ++k) {
                    sum += load(m.rows + (k * m.columns + net.inputs + u) * V) * load(deltas + k * V);
                }
                store(next + u * V, where<T>(inside, sum * load(entry_here + (net.hidden + u) * V)));
            }
            Step<T>::copy(next, net.hidden, deltas);
            change_hidden(deltas, entry_here + 2 * net.hidden * V, symbols);
        }
    }

    // Changes that have waited for the end of the sequence, in the lanes where it has come.
    void apply(ivec<T> ended) {
        const T* const end = m.rows + lane_part();
        for (T* p = m.rows; p < end; p += V) {
            const vec<T> d = load(p + m.weights);
            store(p, load(p) + where<T>(ended, d));
            store(p + m.weights, where<T>(~ended, d));
        }
        for (Index s = 0; m.has_table && s < net.symbols; ++s) {
            for (Index n = 0; n < V; ++n) {
                if (!ended[n]) continue;
                T* const row = m.table + (s * V + n) * m.table_span;
                for (Index k = 0; k < m.table_span; k += V) {
                    store(row + k, load(row + k) + load(row + k + m.weights));
                    store(row + k + m.weights, vec<T>{});
                }
            }
        }
    }

    void reset(ivec<T> ended, bool with_traces) {
        if (with_traces) clear(m.traces, net.traced() * net.hidden, ended);
        clear(m.state, net.hidden, ended);
        clear(m.answers, net.fed_back(), ended);
    }

private:
    Step<T>& step;
    const Memory<T>& m;
    const Net& net;
    Index waiting, longest, entry;
    Traces<T> traces;
    T* towards;       // error of the hidden units
    T *deltas, *next;  // of hidden units
    T* tape;          // of a step: errors, slopes and activations of hidden units, then their source
    T* tape_symbols;  // lane numbers' bits

    Index lane_part() const { return m.has_table ? m.table - m.rows : m.weights; }

    static void clear(T* p, Index units, ivec<T> ended) {
        for (Index e = 0; e < units * V; e += V) store(p + e, where<T>(~ended, load(p + e)));
    }

    void back_to_hidden() {
        for (Index u = 0; u < net.hidden; ++u) {
            vec<T> sum{};
            if (net.flat) {
                if (u < net.outputs) sum = load(step.errors + u * V);
            } else {
                for (Index r = 0; r < net.answers(); ++r) {
                    sum += load(step.errors + r * V) * load(m.readout + (r * m.seen_columns + u) * V);
                }
            }
            store(towards + u * V, sum);
        }
    }

    void write_down(Index now, ivec<T> symbols, bool answers) {
        const Index at = (now - 1) % longest;
        T* const to = tape + at * entry;
        for (Index u = 0; u < net.hidden * V; u += V) {
            store(to + u, answers ? load(towards + u) : vec<T>{});
            store(to + net.hidden * V + u, load(step.slopes + u));
        }
        Step<T>::copy(step.source, m.columns, to + 2 * net.hidden * V);
        std::memcpy(tape_symbols + at * V, &symbols, sizeof symbols);
    }

    void change_hidden(const T* deltas, const T* source, ivec<T> symbols) {
        const ivec<T> places = symbols * static_cast<Whole>(net.hidden * V) + lane_numbers<T>();
        for (Index u = 0; u < net.hidden; ++u) {
            const vec<T> delta = load(deltas + u * V);
            T* const row = m.rows + waiting + u * m.columns * V;
            for (Index c = 0; c < m.columns * V; c += V) store(row + c, load(row + c) + delta * load(source + c));
            if (!net.symbols) continue;
            T* const base = m.symbol_rows + waiting + u * V;
            online::scatter<T>(base, places, online::gather<T>(base, places) + delta);
        }
    }

    void change_readout(ivec<T> symbols) {
        for (Index r = 0; r < net.answers(); ++r) {
            const vec<T> error = load(step.errors + r * V);
            T* const row = m.readout + waiting + r * m.seen_columns * V;
            for (Index c = 0; c < m.seen_columns * V; c += V) store(row + c, load(row + c) + error * load(step.seen + c));
        }
        if (!m.has_table) return;
        Whole symbol[V];
        std::memcpy(symbol, &symbols, sizeof symbol);
        for (Index k = 0; k < net.answers(); k += V) {
            vec<T> errors[V];
#pragma GCC unroll 16
            for (Index j = 0; j < V; ++j) errors[j] = load(step.errors + (k + j) * V);
            transpose<T>(errors);
#pragma GCC unroll 16
            for (Index j = 0; j < V; ++j) {
                T* const row = m.table + waiting + (symbol[j] * V + j) * m.table_span + k;
                store(row, load(row) + errors[j]);
            }
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::baselines
