// Traces of exact real-time recurrent learning: the derivatives of the hidden units' activations by the weights.

#pragma once

#include "step.hpp"

namespace longlag::LONGLAG_ISA::recurrent {

template <class T>
class Traces {
public:
    static constexpr Index V = lanes<T>;
    using Whole = typename Simd<T>::integer;

    Traces(Step<T>& step, Arena<T>& arena, Index pending) : step(step), m(step.m), net(step.net), pending(pending) {
        const Index h = net.method == Method::rtrl ? net.hidden : 0;
        added = arena.take(h * V);
        mixing = arena.take(h * h * V);
        next = arena.take(4 * h * V);
    }

    // dh_k/dw of every weight w of a hidden unit: h'_k (sum_l u_kl dh_l/dw + what the weight itself adds). With
    // `hidden_errors`, errors of hidden units, they change the weights; traces of lanes outside `mask` stay.
    void follow(ivec<T> symbols, ivec<T> mask, const T* hidden_errors) {
        const vec<T> one = splat<T>(T(1));
        for (Index k = 0; k < net.hidden; ++k) {
            const vec<T> slope = load(step.slopes + k * V);
            store(added + k * V, where<T>(mask, slope));
            for (Index l = 0; l < net.hidden; ++l) {
                const vec<T> u = slope * load(m.rows + (k * m.columns + net.inputs + l) * V);
                store(mixing + (k * net.hidden + l) * V, where<T>(mask, u) + where<T>(~mask, k == l ? one : vec<T>{}));
            }
        }
        if (net.hidden == 1) follow_one(symbols, hidden_errors);
        else follow_all(symbols, hidden_errors);
    }

    // Errors of hidden units change the weights by the traces as they are now.
    void learn(const T* hidden_errors) {
        for (Index w = 0; w < net.traced(); ++w) {
            const T* trace = m.traces + w * net.hidden * V;
            vec<T> sum = load(m.rows + pending + w * V);
            for (Index k = 0; k < net.hidden * V; k += V) sum += load(hidden_errors + k) * load(trace + k);
            store(m.rows + pending + w * V, sum);
        }
    }

private:
    Step<T>& step;
    const Memory<T>& m;
    const Net& net;
    Index pending;
    T* added;   // h'_k: times the source, what a weight adds to the trace of its own unit
    T* mixing;  // h'_k u_kl: the derivatives of this step's units by those of the step before
    T* next;    // the new traces of a few weights

    // The traces of the only unit are all multiplied by one number. Its sources are added afterwards: a symbol's at one
    // place in each lane.
    void follow_one(ivec<T> symbols, const T* hidden_errors) {
        const vec<T> left = load(mixing), more = load(added);
        T *const traces = m.traces, *const rows = m.rows + pending;
        const Index all = net.traced() * V;
        if (hidden_errors) {
            const vec<T> error = load(hidden_errors);
            for (Index w = 0; w < all; w += V) {
                const vec<T> d = left * load(traces + w);
                store(traces + w, d);
                store(rows + w, load(rows + w) + error * d);
            }
        } else {
            for (Index w = 0; w < all; w += V) store(traces + w, left * load(traces + w));
        }
        const vec<T> gain = hidden_errors ? load(hidden_errors) * more : vec<T>{};
        for (Index c = 0; c < m.columns * V; c += V) {
            const vec<T> source = load(step.source + c);
            store(traces + c, load(traces + c) + more * source);
            store(rows + c, load(rows + c) + gain * source);
        }
        if (!net.symbols) return;
        add_at(traces + m.columns * V, symbols, more);
        if (hidden_errors) add_at(rows + m.columns * V, symbols, gain);
    }

    static LONGLAG_INLINE void add_at(T* base, ivec<T> symbols, vec<T> v) {
        const ivec<T> places = symbols * static_cast<Whole>(V) + lane_numbers<T>();
        scatter<T>(base, places, gather<T>(base, places) + v);
    }

    // In blocks of weights by units, so that each number that is loaded serves several products.
    void follow_all(ivec<T> symbols, const T* hidden_errors) {
        constexpr Index W = 4;
        const Index h = net.hidden, all = net.traced();
        for (Index w = 0; w < all; w += W) {
            const Index here = smaller(W, all - w);
            T* const trace = m.traces + w * h * V;
            Index k = 0;
            if (here == W) {
                for (; k + 3 <= h; k += 3) mix<W, 3>(trace, k);
                for (; k < h; ++k) mix<W, 1>(trace, k);
            } else {
                for (Index j = 0; j < here; ++j) {
                    for (k = 0; k < h; ++k) mix<1, 1>(trace + j * h * V, k, next + j * h * V);
                }
            }
            for (Index j = 0; j < here; ++j) {
                const bool symbol = w + j >= m.columns * h;
                const Index at = symbol ? w + j - m.columns * h : w + j;
                const Index unit = symbol ? at % h : at / m.columns;
                const vec<T> more = load(added + unit * V);
                const vec<T> own = symbol ? where<T>(symbols == static_cast<Whole>(at / h), more)
                                          : more * load(step.source + at % m.columns * V);
                T* const fresh = next + j * h * V;
                store(fresh + unit * V, load(fresh + unit * V) + own);
                vec<T> sum{};
                for (Index e = 0; e < h * V; e += V) {
                    const vec<T> d = load(fresh + e);
                    store(trace + j * h * V + e, d);
                    if (hidden_errors) sum += load(hidden_errors + e) * d;
                }
                T* const change = m.rows + pending + (w + j) * V;
                if (hidden_errors) store(change, load(change) + sum);
            }
        }
    }

    template <int W, int K>
    LONGLAG_INLINE void mix(const T* trace, Index k, T* to = nullptr) {
        const Index h = net.hidden;
        if (!to) to = next;
        vec<T> sums[W][K] = {};
        for (Index l = 0; l < h; ++l) {
            vec<T> p[W];
#pragma GCC unroll 4
            for (int j = 0; j < W; ++j) p[j] = load(trace + (j * h + l) * V);
#pragma GCC unroll 4
            for (int i = 0; i < K; ++i) {
                const vec<T> u = load(mixing + ((k + i) * h + l) * V);
#pragma GCC unroll 4
                for (int j = 0; j < W; ++j) sums[j][i] += u * p[j];
            }
        }
#pragma GCC unroll 4
        for (int j = 0; j < W; ++j) {
#pragma GCC unroll 4
            for (int i = 0; i < K; ++i) store(to + (j * h + k + i) * V, sums[j][i]);
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::recurrent
