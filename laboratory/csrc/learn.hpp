// Learning in the hidden units of plain recurrent nets: exact real-time recurrent learning, back-propagation through the
// whole sequence, or through one step (Elman's procedure, whose context is an input like any other). The errors are
// already multiplied by the learning rate.

#pragma once

#include "traces.hpp"

namespace longlag::LONGLAG_ISA::recurrent {

template <class T>
class Learner {
public:
    static constexpr Index V = lanes<T>;
    using Whole = typename Simd<T>::integer;

    // pending: from a weight to where its changes are added up; 0 if they are made at once.
    Learner(Step<T>& step, Arena<T>& arena, Index pending, Index longest)
        : step(step), m(step.m), net(step.net), pending(pending), longest(longest), traces(step, arena, pending) {
        deltas = arena.take(net.hidden * V);
        next = arena.take(net.hidden * V);
        entry = (2 * net.hidden + m.columns) * V;
        tape = arena.take(net.method == Method::bptt ? longest * entry : 0);
        tape_symbols = arena.take(net.method == Method::bptt ? longest * V : 0);
    }

    // After a step; `hidden_errors`: errors of the hidden units, or null. Traces of lanes outside `mask` stay.
    void learn(Index now, ivec<T> symbols, const T* hidden_errors, ivec<T> mask) {
        if (net.method == Method::rtrl) {
            traces.follow(symbols, mask, hidden_errors);
        } else if (net.method == Method::bptt) {
            write_down(now, symbols, hidden_errors);
        } else if (hidden_errors) {
            for (Index u = 0; u < net.hidden * V; u += V) {
                store(deltas + u, load(hidden_errors + u) * load(step.slopes + u));
            }
            change_hidden(deltas, step.source, symbols);
        }
    }

    // RTRL of a step whose errors arrive later: first its traces, later the errors with the traces of that time.
    void follow(ivec<T> symbols, ivec<T> mask) { traces.follow(symbols, mask, nullptr); }
    void learn_late(const T* hidden_errors) { traces.learn(hidden_errors); }

    // BPTT: the errors go back through the sequences of the lanes in `ended`, which had `steps` steps.
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

    // Makes the pending changes in the lanes whose sequence has ended.
    void apply(ivec<T> ended) {
        const T* const end = m.rows + lane_part();
        for (T* p = m.rows; p < end; p += V) {
            const vec<T> d = load(p + m.weights);
            store(p, load(p) + where<T>(ended, d));
            store(p + m.weights, where<T>(~ended, d));
        }
        for (Index c = 0; net.tabled() && c < m.seen_columns + net.symbols; ++c) {
            for (Index n = 0; n < V; ++n) {
                if (!ended[n]) continue;
                T* const row = m.row(c, n);
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
    Index pending, longest, entry;
    Traces<T> traces;
    T *deltas, *next;  // of hidden units
    T* tape;          // of a step: errors, slopes and activations of hidden units, then their source
    T* tape_symbols;  // of a step: the lanes' symbols, as bits

    Index lane_part() const { return net.tabled() ? m.table - m.rows : m.weights; }

    static void clear(T* p, Index units, ivec<T> ended) {
        for (Index e = 0; e < units * V; e += V) store(p + e, where<T>(~ended, load(p + e)));
    }

    void write_down(Index now, ivec<T> symbols, const T* hidden_errors) {
        const Index at = (now - 1) % longest;
        T* const to = tape + at * entry;
        for (Index u = 0; u < net.hidden * V; u += V) {
            store(to + u, hidden_errors ? load(hidden_errors + u) : vec<T>{});
            store(to + net.hidden * V + u, load(step.slopes + u));
        }
        Step<T>::copy(step.source, m.columns, to + 2 * net.hidden * V);
        std::memcpy(tape_symbols + at * V, &symbols, sizeof symbols);
    }

    void change_hidden(const T* deltas, const T* source, ivec<T> symbols) {
        const ivec<T> places = symbols * static_cast<Whole>(net.hidden * V) + lane_numbers<T>();
        for (Index u = 0; u < net.hidden; ++u) {
            const vec<T> delta = load(deltas + u * V);
            T* const row = m.rows + pending + u * m.columns * V;
            for (Index c = 0; c < m.columns * V; c += V) store(row + c, load(row + c) + delta * load(source + c));
            if (!net.symbols) continue;
            T* const base = m.symbol_rows + pending + u * V;
            scatter<T>(base, places, gather<T>(base, places) + delta);
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::recurrent
