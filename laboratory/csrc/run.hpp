// V plain recurrent nets through their streams.

#pragma once

#include "longlag/csrc/online/stream_scheduler.hpp"
#include "learn.hpp"
#include "readout.hpp"
#include "tabled_readout.hpp"

namespace longlag::LONGLAG_ISA::recurrent {

// R: how the output units' weights stand, Readout or TabledReadout.
template <class T, class R>
class Run {
public:
    static constexpr Index V = lanes<T>;

    Run(const Net& net, T* memory, T* scratch, const Stream<T>* streams, Index count, const ReadOptions& options)
        : net(net), arena(scratch), m(net, memory),
          update_at_ends(options.update_at_ends || net.method == Method::bptt), step(m, arena),
          readout(step, arena, update_at_ends ? m.weights : 0),
          learner(step, arena, update_at_ends ? m.weights : 0, options.longest),
          scheduler(net.inputs, net.outputs, arena, streams, count, options) {
        saved_state = arena.take((net.hidden + net.fed_back()) * V);
    }
    Index used() const { return arena.used(); }

    void run() {
        const bool restores = scheduler.options.restore_state;
        if (restores) Step<T>::copy(m.answers, net.fed_back(), Step<T>::copy(m.state, net.hidden, saved_state));
        read();
        if (restores) {
            Step<T>::copy(saved_state, net.hidden, m.state);
            Step<T>::copy(saved_state + net.hidden * V, net.fed_back(), m.answers);
        }
    }

private:
    Net net;
    Arena<T> arena;
    Memory<T> m;
    bool update_at_ends;  // changes of weights are pending until the ends of sequences
    Step<T> step;
    R readout;
    Learner<T> learner;
    online::StreamScheduler<T, online::Networks<T>> scheduler;
    T* saved_state;

    void read() {
        const bool learns = scheduler.options.learn;
        scheduler.start();
        if (!scheduler.continues()) learner.reset(~ivec<T>{}, learns);
        scheduler.each_step([&](Index t) { one_step(t, learns); });
        if (!scheduler.continues()) learner.reset(~ivec<T>{}, learns);  // lanes that had ended went on computing
    }

    void one_step(Index t, bool learns) {
        const ivec<T> symbols = scheduler.symbols_at(t), all = ~ivec<T>{};
        step.forward(scheduler.inputs_at(t), symbols, all);
        scheduler.advance();
        if (scheduler.any_answers) readout.load_targets(scheduler);
        if (scheduler.any_answers || net.feedback) {
            readout.answer(symbols, net.feedback ? all : scheduler.answering, scheduler.rates, learns);
        }
        if (scheduler.any_answers) readout.write_answers(scheduler);
        if (learns) learner.learn(scheduler.now, symbols, scheduler.any_answers ? readout.hidden_errors : nullptr, all);
        if (!scheduler.any_ends) return;
        if (!scheduler.continues()) {
            const ivec<T> ended = scheduler.ended_lanes();
            if (learns && update_at_ends) {
                learner.go_back(scheduler.now, scheduler.sequence_lengths(), ended);
                learner.apply(ended);
            }
            learner.reset(ended, learns);
        }
        scheduler.start_next_sequences();
    }
};

}  // namespace longlag::LONGLAG_ISA::recurrent
