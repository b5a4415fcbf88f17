// Networks through their streams. Each lane goes through its own sequences at its own pace; what happens at the end of a
// sequence happens under a mask.

#pragma once

#include "../transfer.hpp"
#include "learn.hpp"

namespace longlag::LONGLAG_ISA::online {

template <class T, class A>
class Run {
    using Whole = typename Simd<T>::integer;
    static constexpr Index N = A::together;

public:
    Run(const Net& net, T* memory, T* scratch, const Stream<T>* streams, Index count, const Manner& manner)
        : net(net), streams(streams), count(count), manner(manner), m(net, memory), step(m, scratch),
          learner(step, manner.at_ends), inputs_span(A::padded(net.form.inputs) * A::width) {
        inputs = step.arena().take(ahead * inputs_span);
        aims = step.arena().take(m.outputs_span);
        kept = step.arena().take(m.state_end - m.traces_end);
    }
    Index used() const { return step.used(); }

    void run() {
        T* const state = m.cells;
        const std::size_t bytes = static_cast<std::size_t>(m.rows + m.state_end - state) * sizeof(T);
        if (manner.peeks) std::memcpy(kept, state, bytes);
        go();
        if (manner.peeks) std::memcpy(state, kept, bytes);
    }

private:
    void go() {
        for (Index n = 0; n < count; ++n) start(n);
        if (!open()) reset(~ivec<T>{}, true);
        while (active > 0) {
            fill();
            for (Index t = 0; t < ahead && active > 0; ++t) one_step(t);
        }
        if (manner.learns) learner.settle();
        if (!open()) reset(~ivec<T>{}, true);  // lanes that had ended went on computing
    }

    static constexpr Index ahead = 32;  // steps whose inputs are put into lanes in one go
    const Net& net;
    const Stream<T>* streams;
    Index count;
    Manner manner;
    Memory<T, A> m;
    Step<T, A> step;
    Learner<T, A> learner;
    Index inputs_span;
    T *inputs, *aims, *kept;
    Whole symbols[ahead][lanes<T>] = {};

    // Lane by lane: steps read, steps in all, sequences and targets behind it, the last step of its sequence.
    Index read[N] = {}, steps[N] = {}, sequence[N] = {}, target[N] = {}, last[N] = {};
    Index now = 0, next_end = 0, active = 0;
    bool running[N] = {}, has[N] = {};  // has: a target at this step, or an answer that is asked for

    bool open() const { return !streams[0].lengths; }

    void start(Index n) {
        const Stream<T>& stream = streams[n];
        steps[n] = 0;
        for (Index s = 0; stream.lengths && s < stream.sequences; ++s) steps[n] += stream.lengths[s];
        if (!stream.lengths) steps[n] = stream.sequences;
        running[n] = steps[n] > 0;
        active += running[n];
        last[n] = stream.lengths && running[n] ? stream.lengths[0] : steps[n];
        find_next_end();
    }

    void find_next_end() {
        next_end = Index{1} << 62;
        for (Index n = 0; n < count; ++n) {
            if (running[n] && last[n] < next_end) next_end = last[n];
        }
    }

    // The inputs of the next steps, lane by lane; zeros where a stream has ended.
    void fill() {
        for (Index n = 0; net.symbols && n < count; ++n) {
            const Index here = still_to_read(n);
            for (Index t = 0; t < ahead; ++t) {
                symbols[t][n] = t < here ? static_cast<Whole>(streams[n].symbols[now + t]) : 0;
            }
        }
        for (Index n = 0; net.form.inputs && n < count;) {
            if (go_on(n, n + 4)) {
                fill_four(n);
                n += 4;
            } else {
                fill_one(n++);
            }
        }
    }

    Index still_to_read(Index n) const { return running[n] ? smaller(ahead, steps[n] - now) : 0; }

    void fill_one(Index n) {
        const Index I = net.form.inputs, here = still_to_read(n);
        const T* const values = streams[n].values + now * I;
        for (Index t = 0; t < ahead; ++t) {
            for (Index i = 0; i < I; ++i) inputs[t * inputs_span + i * A::width + n] = t < here ? values[t * I + i] : T(0);
        }
    }

    // Whether there are lanes [first, last), and all of them have so many steps to read.
    bool go_on(Index first, Index last) const {
        if (N == 1 || last > count) return false;
        for (Index n = first; n < last; ++n) {
            if (still_to_read(n) < ahead) return false;
        }
        return true;
    }

    // Four lanes at once. Without padding all steps' inputs follow each other, and their number is a multiple of four.
    void fill_four(Index n) {
        const T* values[4];
        for (Index k = 0; k < 4; ++k) values[k] = streams[n + k].values + now * net.form.inputs;
        for (Index e = 0; e < ahead * net.form.inputs; e += 4) {
            typename Quad<T>::vector four[4];
            for (Index k = 0; k < 4; ++k) four[k] = Quad<T>::load(values[k] + e);
            Quad<T>::transpose(four);
            for (Index k = 0; k < 4; ++k) Quad<T>::store(inputs + (e + k) * A::width + n, four[k]);
        }
    }

    ivec<T> symbols_at(Index t) const {
        ivec<T> v;
        std::memcpy(&v, symbols[t], sizeof v);
        return v;
    }

    void one_step(Index t) {
        const ivec<T> symbol = symbols_at(t);
        step.forward(net.form.inputs ? inputs + t * inputs_span : nullptr, symbol);
        ++now;
        const bool ends = now == next_end, answers = manner.targets && (manner.every_step || ends);
        if (!answers && !ends) {
            if (manner.learns) learner.follow(symbol);
            return;
        }
        const ivec<T> ended = lanes_at_their_end();
        const bool clears = ends && !open();
        if (answers) {
            step.read_out(symbol);
            step.refused = ivec<T>{};
            compare();
        }
        if (manner.learns) {
            if (answers) learner.follow_and_learn(symbol, ended, clears);
            else learner.follow(symbol);
            if (manner.at_ends && clears) learner.apply(ended);
            if (answers) tell_refused();
        }
        if (clears) reset(ended, manner.learns && !answers);
        if (ends) next_sequences();
    }

    ivec<T> lanes_at_their_end() const {
        if constexpr (N == 1) {
            return ivec<T>{} - static_cast<Whole>(now == last[0]);
        } else {
            ivec<T> ended{};
            for (Index n = 0; n < count; ++n) ended[n] = running[n] && last[n] == now ? -1 : 0;
            return ended;
        }
    }

    void reset(ivec<T> ended, bool traces) {
        for (T* p = m.cells; p < m.rows + m.state_end; p += A::V) store(p, where<T>(~ended, load(p)));
        if (traces) learner.forget(ended);
    }

    void next_sequences() {
        for (Index n = 0; n < count; ++n) {
            if (!running[n] || last[n] != now) continue;
            ++sequence[n];
            running[n] = now < steps[n];
            active -= !running[n];
            if (running[n]) last[n] = now + streams[n].lengths[sequence[n]];
        }
        find_next_end();
    }

    // Squashes the outputs, writes down what Python wants to see, and leaves the errors, times the rate, in
    // step.errors; zero in lanes that have no target at this step.
    void compare() {
        T rate[lanes<T>] = {}, off[lanes<T>] = {}, sum[lanes<T>] = {};
        Whole symbol[lanes<T>];
        for (Index n = 0; n < N; ++n) {
            has[n] = n < count && running[n] && (manner.every_step || last[n] == now);
            symbol[n] = -1;
            if (!has[n]) continue;
            const Stream<T>& stream = streams[n];
            if (stream.targets || stream.target_symbols) rate[n] = stream.rate;
            if (stream.target_symbols) symbol[n] = static_cast<Whole>(stream.target_symbols[target[n]]);
            for (Index k = 0; stream.targets && k < net.outputs; ++k) {
                aims[k * A::width + n] = stream.targets[target[n] * net.outputs + k];
            }
        }
        if (streams[0].target_symbols) put_symbols(symbol);
        with_answer<T>(net.squash, [&](auto function) { answers(function, rate, off, sum); });
        for (Index n = 0; n < count; ++n) {
            if (!has[n]) continue;
            const Stream<T>& stream = streams[n];
            const Index at = target[n]++;
            for (Index k = 0; stream.outputs && k < net.outputs; ++k) {
                stream.outputs[at * net.outputs + k] = step.outputs[k * A::width + n];
            }
            if (stream.largest) stream.largest[at] = sum[n] == sum[n] ? off[n] : sum[n];
            if (stream.mean) stream.mean[at] = sum[n] / static_cast<T>(net.outputs);
        }
    }

    // Where a change was not made, the error that is reported is no number.
    void tell_refused() {
        Whole refused[lanes<T>];
        std::memcpy(refused, &step.refused, sizeof refused);
        for (Index n = 0; n < count; ++n) {
            bool mine = refused[n];
            for (Index j = 1; N == 1 && j < A::V; ++j) mine |= refused[j] != 0;
            if (mine && has[n] && streams[n].largest) streams[n].largest[target[n] - 1] = T(0) / T(0);
        }
    }

    // One output unit on, the others off.
    void put_symbols(const Whole* symbol) {
        if constexpr (N == 1) {
            each<A>(net.outputs, [&](Index e) { store(aims + e, vec<T>{}); });
            if (symbol[0] >= 0) aims[symbol[0]] = 1;
        } else {
            ivec<T> wanted;
            std::memcpy(&wanted, symbol, sizeof wanted);
            const vec<T> on = splat<T>(T(1));
            for (Index k = 0; k < net.outputs; ++k) {
                store(aims + k * A::width, where<T>(wanted == static_cast<Whole>(k), on));
            }
        }
    }

    // y_k, e_k times the rate, and per network the largest and the summed absolute error
    template <class S>
    void answers(S function, const T* rates, T* largest, T* sums) {
        const ivec<T> sign = reinterpret_cast<ivec<T>>(splat<T>(T(-0.0)));
        vec<T> most{}, sum{};
        each<A>(net.outputs, [&](Index e) {
            const Answer<T> y = function(load(step.outputs + e));
            const vec<T> rate = N == 1 ? splat<T>(rates[0]) : load(rates);
            const vec<T> off = load(aims + e) - y.value;
            vec<T> size = reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(off) & ~sign);
            if (N == 1) size = keep_first<T>(size, smaller(A::V, net.outputs - e));
            most = size <= most ? most : size;
            sum += size;
            vec<T> error = rate * off;
            if (net.squared) error *= y.slope;
            // Nothing where there is no target, whatever the lane holds; and no error that is not a number is learned.
            const ivec<T> learns = rate != T(0), fine = error - error == T(0);
            step.refused |= learns & ~fine;
            error = where<T>(learns & fine, error);
            store(step.outputs + e, y.value);
            store(step.errors + e, error);
        });
        for (Index n = 0; n < N; ++n) {
            if (!has[n]) continue;
            largest[n] = most[n];
            sums[n] = sum[n];
        }
        if constexpr (N == 1) {
            for (Index j = 1; j < A::V; ++j) {
                largest[0] = most[j] <= largest[0] ? largest[0] : most[j];
                sums[0] += sum[j];
            }
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::online
