// The two-net neural sequence chunker (Schmidhuber 1992): an automatizer reads every symbol and predicts the next one,
// and what the chunker's hidden units are; the chunker reads, and learns to predict, the symbols that the automatizer
// has not foreseen. Both learn by RTRL; in the chunker's time a step is an unforeseen symbol.

#pragma once

#include "../online/paces.hpp"
#include "learn.hpp"
#include "tabled_readout.hpp"

namespace longlag::LONGLAG_ISA::baselines {

template <class T>
class ChunkerRun {
public:
    static constexpr Index V = lanes<T>;

    ChunkerRun(const Net& net, T* memory, T* scratch, const Stream<T>* streams, Index count, const Manner& manner,
               Index longest)
        : net(net), arena(scratch), below(net.automatizer(), memory), above(net, memory, below.used()),
          waits(manner.at_ends), step(below, arena), chunk(above, arena),
          readout(step, arena, waits ? below.weights : 0),
          chunk_readout(chunk, arena, waits ? above.weights : 0),
          learner(step, arena, waits ? below.weights : 0, longest),
          chunk_learner(chunk, arena, waits ? above.weights : 0, longest),
          paces(net.inputs, net.outputs, arena, streams, count, manner) {}
    Index used() const { return arena.used(); }

    void run() {
        const bool learns = paces.manner.learns;
        paces.start();
        reset(~ivec<T>{}, learns);
        unforeseen = ~ivec<T>{};
        while (paces.active > 0) {
            paces.fill();
            for (Index t = 0; t < paces.ahead && paces.active > 0; ++t) one_step(paces.symbols_at(t), learns);
        }
        reset(~ivec<T>{}, learns);
    }

private:
    Net net;
    Arena<T> arena;
    Memory<T> below, above;
    bool waits;
    Step<T> step, chunk;
    TabledReadout<T> readout, chunk_readout;
    Learner<T> learner, chunk_learner;
    online::Paces<T, online::Networks<T>> paces;
    ivec<T> unforeseen{};   // lanes whose next symbol the chunker reads
    ivec<T> begun{};        // lanes whose chunker has read something in this sequence
    ivec<T> last_chunk{};   // what it has read last

    void reset(ivec<T> ended, bool learns) {
        learner.reset(ended, learns);
        chunk_learner.reset(ended, learns);
        begun &= ~ended;
        unforeseen |= ended;  // the first symbol of a sequence is never foreseen
    }

    void one_step(ivec<T> symbols, bool learns) {
        if (learns) read_unforeseen(symbols);
        step.forward(nullptr, symbols, ~ivec<T>{});
        paces.advance();
        if (paces.answers) {
            readout.aim(paces);
            aim_at_chunker();
            readout.answer(symbols, paces.aimed, paces.rates, learns);
            readout.note(paces);
            unforeseen = ~(readout.largest <= static_cast<T>(net.threshold));
        }
        if (learns) learner.learn(paces.now, symbols, paces.answers ? readout.towards : nullptr, ~ivec<T>{});
        if (!paces.ends) return;
        const ivec<T> ended = paces.at_their_end();
        if (learns) {
            // The last symbol is never read; where it was not foreseen, the chunker learns it all the same.
            const ivec<T> surprised = ended & unforeseen & begun;
            if (any<T>(surprised)) predict(paces.wanted, surprised);
            if (waits) {
                learner.apply(ended);
                chunk_learner.apply(ended);
            }
        }
        reset(ended, learns);
        paces.next_sequences();
    }

    void read_unforeseen(ivec<T> symbols) {
        const ivec<T> reads = unforeseen & paces.alive();
        if (!any<T>(reads)) return;
        const ivec<T> known = reads & begun;
        if (any<T>(known)) predict(symbols, known);
        chunk.forward(nullptr, symbols, reads);
        chunk_learner.follow(symbols, reads);
        last_chunk = (symbols & reads) | (last_chunk & ~reads);
        begun |= reads;
    }

    // What the chunker says after its last symbol, against the one that has come.
    void predict(ivec<T> symbols, ivec<T> mask) {
        for (Index n = 0; n < V; ++n) {
            if (mask[n]) chunk_readout.want(n, symbols[n]);
        }
        chunk_readout.answer(last_chunk, mask, paces.rate_of_streams(), true);
        chunk_learner.learn_late(chunk_readout.towards);
    }

    // What the automatizer's additional outputs are to be.
    void aim_at_chunker() {
        for (Index u = 0; u < net.hidden; ++u) {
            for (Index n = 0; n < V; ++n) readout.targets[readout.place(net.outputs + u, n)] = above.state[u * V + n];
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::baselines
