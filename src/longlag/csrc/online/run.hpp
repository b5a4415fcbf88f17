// Networks through their streams. Each lane goes through its own sequences at its own pace; what happens at the end of a
// sequence happens under a mask.

#pragma once

#include "learn.hpp"
#include "paces.hpp"

namespace longlag::LONGLAG_ISA::online {

template <class T, class A>
class Run {
    using Whole = typename Simd<T>::integer;
    static constexpr Index N = A::together;

public:
    Run(const Net& net, T* memory, T* scratch, const Stream<T>* streams, Index count, const Manner& manner)
        : net(net), m(net, memory), step(m, scratch), learner(step, manner.at_ends),
          paces(net.form.inputs, net.outputs, step.arena(), streams, count, manner) {
        aims = step.arena().take(m.outputs_span);
        kept = step.arena().take(m.state_end - m.traces_end);
    }
    Index used() const { return step.used(); }

    void run() {
        T* const state = m.cells;
        const std::size_t bytes = static_cast<std::size_t>(m.rows + m.state_end - state) * sizeof(T);
        if (paces.manner.peeks) std::memcpy(kept, state, bytes);
        go();
        if (paces.manner.peeks) std::memcpy(state, kept, bytes);
    }

private:
    const Net& net;
    Memory<T, A> m;
    Step<T, A> step;
    Learner<T, A> learner;
    Paces<T, A> paces;
    T *aims, *kept;

    void go() {
        paces.start();
        if (!paces.open()) reset(~ivec<T>{}, true);
        while (paces.active > 0) {
            paces.fill();
            for (Index t = 0; t < Paces<T, A>::ahead && paces.active > 0; ++t) one_step(t);
        }
        if (paces.manner.learns) learner.settle();
        if (!paces.open()) reset(~ivec<T>{}, true);  // lanes that had ended went on computing
    }

    void one_step(Index t) {
        const ivec<T> symbols = paces.symbols_at(t);
        const bool learns = paces.manner.learns;
        step.forward(paces.inputs_at(t), symbols);
        paces.advance();
        if (!paces.answers && !paces.ends) {
            if (learns) learner.follow(symbols);
            return;
        }
        const ivec<T> ended = paces.at_their_end();
        const bool clears = paces.ends && !paces.open();
        if (paces.answers) {
            step.read_out(symbols);
            compare();
        }
        if (learns) {
            if (paces.answers) learner.follow_and_learn(symbols, ended, clears);
            else learner.follow(symbols);
            if (paces.manner.at_ends && clears) learner.apply(ended);
            if (paces.answers) paces.deny(by_network(step.refused));
        }
        if (clears) reset(ended, learns && !paces.answers);
        if (paces.ends) paces.next_sequences();
    }

    void reset(ivec<T> ended, bool traces) {
        for (T* p = m.cells; p < m.rows + m.state_end; p += A::V) store(p, where<T>(~ended, load(p)));
        if (traces) learner.forget(ended);
    }

    // Squashes the outputs, writes down what Python wants to see, and leaves the errors, times the rate, in
    // step.errors; zero in lanes that have no target at this step.
    void compare() {
        step.refused = ivec<T>{};
        paces.aim([&](Index n, Index k, T value) { aims[k * A::width + n] = value; });
        if (paces.targets_are_symbols()) put_symbols();
        with_answer<T>(net.squash, [&](auto function) { answer(function); });
    }

    // One output unit on, the others off.
    void put_symbols() {
        if constexpr (N == 1) {
            each<A>(net.outputs, [&](Index e) { store(aims + e, vec<T>{}); });
            if (paces.wanted[0] >= 0) aims[paces.wanted[0]] = 1;
        } else {
            const vec<T> on = splat<T>(T(1));
            for (Index k = 0; k < net.outputs; ++k) {
                store(aims + k * A::width, where<T>(paces.wanted == static_cast<Whole>(k), on));
            }
        }
    }

    // y_k, e_k times the rate, and per network the largest and the summed absolute error
    template <class S>
    void answer(S function) {
        const ivec<T> sign = reinterpret_cast<ivec<T>>(splat<T>(T(-0.0)));
        const vec<T> rate = N == 1 ? splat<T>(paces.rates[0]) : paces.rates;
        vec<T> most{}, sum{};
        each<A>(net.outputs, [&](Index e) {
            const Answer<T> y = function(load(step.outputs + e));
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
        if constexpr (N == 1) {
            for (Index j = 1; j < A::V; ++j) {
                most[0] = most[j] <= most[0] ? most[0] : most[j];
                sum[0] += sum[j];
            }
        }
        most = sum == sum ? most : sum;  // one that is no number is the largest
        paces.note([&](Index n, Index k) { return step.outputs[k * A::width + n]; }, most, sum);
    }

    // Lane by lane; if all lanes are one network's, in its first one.
    static ivec<T> by_network(ivec<T> lanes_of_units) {
        for (Index j = 1; N == 1 && j < A::V; ++j) lanes_of_units[0] |= lanes_of_units[j];
        return lanes_of_units;
    }
};

}  // namespace longlag::LONGLAG_ISA::online
