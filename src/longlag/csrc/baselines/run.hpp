// V plain recurrent nets through their streams.

#pragma once

#include "../online/paces.hpp"
#include "learn.hpp"
#include "readout.hpp"
#include "tabled_readout.hpp"

namespace longlag::LONGLAG_ISA::baselines {

// R: how the output units' weights stand, Readout or TabledReadout.
template <class T, class R>
class Run {
public:
    static constexpr Index V = lanes<T>;

    Run(const Net& net, T* memory, T* scratch, const Stream<T>* streams, Index count, const Manner& manner,
        Index longest)
        : net(net), arena(scratch), m(net, memory), waits(manner.at_ends || net.method == Method::bptt), step(m, arena),
          readout(step, arena, waits ? m.weights : 0), learner(step, arena, waits ? m.weights : 0, longest),
          paces(net.inputs, net.outputs, arena, streams, count, manner) {
        kept = arena.take((net.hidden + net.fed_back()) * V);
    }
    Index used() const { return arena.used(); }

    void run() {
        const Manner& manner = paces.manner;
        if (manner.peeks) Step<T>::copy(m.answers, net.fed_back(), Step<T>::copy(m.state, net.hidden, kept));
        go();
        if (manner.peeks) {
            Step<T>::copy(kept, net.hidden, m.state);
            Step<T>::copy(kept + net.hidden * V, net.fed_back(), m.answers);
        }
    }

private:
    Net net;
    Arena<T> arena;
    Memory<T> m;
    bool waits;  // changes of weights wait for the ends of sequences
    Step<T> step;
    R readout;
    Learner<T> learner;
    online::Paces<T, online::Networks<T>> paces;
    T* kept;

    void go() {
        const bool learns = paces.manner.learns;
        paces.start();
        if (!paces.open()) learner.reset(~ivec<T>{}, learns);
        while (paces.active > 0) {
            paces.fill();
            for (Index t = 0; t < paces.ahead && paces.active > 0; ++t) one_step(t, learns);
        }
        if (!paces.open()) learner.reset(~ivec<T>{}, learns);  // lanes that had ended went on computing
    }

    void one_step(Index t, bool learns) {
        const ivec<T> symbols = paces.symbols_at(t), all = ~ivec<T>{};
        step.forward(paces.inputs_at(t), symbols, all);
        paces.advance();
        if (paces.answers) readout.aim(paces);
        if (paces.answers || net.feedback) {
            readout.answer(symbols, net.feedback ? all : paces.aimed, paces.rates, learns);
        }
        if (paces.answers) readout.note(paces);
        if (learns) learner.learn(paces.now, symbols, paces.answers ? readout.towards : nullptr, all);
        if (!paces.ends) return;
        if (!paces.open()) {
            const ivec<T> ended = paces.at_their_end();
            if (learns && waits) {
                learner.go_back(paces.now, paces.lengths(), ended);
                learner.apply(ended);
            }
            learner.reset(ended, learns);
        }
        paces.next_sequences();
    }
};

}  // namespace longlag::LONGLAG_ISA::baselines
