// Networks that read their streams. The sequences of a lane end when they end; what happens then happens under a mask.

#pragma once

#include "learn.hpp"
#include "stream_scheduler.hpp"

namespace longlag::LONGLAG_ISA::online {

template <class T, class A>
class Run {
    using Whole = typename Simd<T>::integer;
    static constexpr Index N = A::together;

public:
    Run(const Net& net, T* memory, T* scratch, const Stream<T>* streams, Index count, const ReadOptions& options)
        : net(net), m(net, memory), step(m, scratch), learner(step, options.update_at_ends),
          scheduler(net.form.inputs, net.outputs, step.arena(), streams, count, options) {
        targets = step.arena().take(m.outputs_span);
        saved_state = step.arena().take(m.state_end - m.traces_end);
    }
    Index used() const { return step.used(); }

    void run() {
        T* const state = m.cells;
        const std::size_t bytes = static_cast<std::size_t>(m.rows + m.state_end - state) * sizeof(T);
        if (scheduler.options.restore_state) std::memcpy(saved_state, state, bytes);
        read();
        if (scheduler.options.restore_state) std::memcpy(state, saved_state, bytes);
    }

private:
    const Net& net;
    Memory<T, A> m;
    Step<T, A> step;
    Learner<T, A> learner;
    StreamScheduler<T, A> scheduler;
    T *targets, *saved_state;

    void read() {
        scheduler.start();
        if (!scheduler.continues()) reset(~ivec<T>{}, true);
        scheduler.each_step([this](Index t) { one_step(t); });
        if (scheduler.options.learn) learner.settle();
        if (!scheduler.continues()) reset(~ivec<T>{}, true);  // lanes that had ended went on computing
    }

    void one_step(Index t) {
        const ivec<T> symbols = scheduler.symbols_at(t);
        const bool learns = scheduler.options.learn;
        step.forward(scheduler.inputs_at(t), symbols);
        scheduler.advance();
        if (!scheduler.any_answers && !scheduler.any_ends) {
            if (learns) learner.follow(symbols);
            return;
        }
        const ivec<T> ended = scheduler.ended_lanes();
        const bool clears = scheduler.any_ends && !scheduler.continues();
        if (scheduler.any_answers) {
            step.read_out(symbols);
            compare();
        }
        if (learns) {
            if (scheduler.any_answers) learner.follow_and_learn(symbols, ended, clears);
            else learner.follow(symbols);
            if (scheduler.options.update_at_ends && clears) learner.apply(ended);
            if (scheduler.any_answers) scheduler.mark_refused(by_network(step.refused));
        }
        if (clears) reset(ended, learns && !scheduler.any_answers);
        if (scheduler.any_ends) scheduler.start_next_sequences();
    }

    void reset(ivec<T> ended, bool traces) {
        for (T* p = m.cells; p < m.rows + m.state_end; p += A::V) store(p, where<T>(~ended, load(p)));
        if (traces) learner.forget(ended);
    }

    // Squashes the outputs, writes them and their errors into the streams, and leaves the errors times the rate in
    // step.errors: zero in lanes that have no target at this step.
    void compare() {
        step.refused = ivec<T>{};
        scheduler.load_targets([&](Index n, Index k, T value) { targets[k * A::width + n] = value; });
        if (scheduler.targets_are_symbols()) load_target_symbols();
        with_squash_and_slope<T>(net.squash, [&](auto function) { compare_by(function); });
    }

    // Targets that are symbols: one output unit on, the others off.
    void load_target_symbols() {
        if constexpr (N == 1) {
            each<A>(net.outputs, [&](Index e) { store(targets + e, vec<T>{}); });
            if (scheduler.target_symbols[0] >= 0) targets[scheduler.target_symbols[0]] = 1;
        } else {
            const vec<T> on = splat<T>(T(1));
            for (Index k = 0; k < net.outputs; ++k) {
                store(targets + k * A::width, where<T>(scheduler.target_symbols == static_cast<Whole>(k), on));
            }
        }
    }

    // y_k, e_k times the rate, and for each network the largest and the summed absolute error.
    template <class S>
    void compare_by(S function) {
        const ivec<T> sign = reinterpret_cast<ivec<T>>(splat<T>(T(-0.0)));
        const vec<T> rate = N == 1 ? splat<T>(scheduler.rates[0]) : scheduler.rates;
        vec<T> largest{}, sum{};
        each<A>(net.outputs, [&](Index e) {
            const ValueAndSlope<T> y = function(load(step.outputs + e));
            const vec<T> difference = load(targets + e) - y.value;
            vec<T> size = reinterpret_cast<vec<T>>(reinterpret_cast<ivec<T>>(difference) & ~sign);
            if (N == 1) size = keep_first<T>(size, smaller(A::V, net.outputs - e));
            largest = size <= largest ? largest : size;
            sum += size;
            vec<T> error = rate * difference;
            if (net.squared) error *= y.slope;
            // A lane without a target has no error, whatever it holds; an error that is not finite is not learned.
            const ivec<T> learns = rate != T(0), fine = error - error == T(0);
            step.refused |= learns & ~fine;
            error = where<T>(learns & fine, error);
            store(step.outputs + e, y.value);
            store(step.errors + e, error);
        });
        if constexpr (N == 1) {
            for (Index j = 1; j < A::V; ++j) {
                largest[0] = largest[j] <= largest[0] ? largest[0] : largest[j];
                sum[0] += sum[j];
            }
        }
        largest = sum == sum ? largest : sum;  // an error that is NaN is the largest
        scheduler.write_answers([&](Index n, Index k) { return step.outputs[k * A::width + n]; }, largest, sum);
    }

    // By network: where all lanes are units of one, in the first lane.
    static ivec<T> by_network(ivec<T> lanes_of_units) {
        for (Index j = 1; N == 1 && j < A::V; ++j) lanes_of_units[0] |= lanes_of_units[j];
        return lanes_of_units;
    }
};

}  // namespace longlag::LONGLAG_ISA::online
