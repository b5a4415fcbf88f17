// The two-net neural sequence chunker (Schmidhuber 1992). An automatizer reads every symbol, and predicts the next one
// and the activations of the chunker's hidden units. The chunker reads the symbols that the automatizer has not foreseen,
// and learns to predict the next of those. Both learn by RTRL; the chunker makes a step at each unforeseen symbol.

#pragma once

#include "longlag/csrc/online/stream_scheduler.hpp"
#include "learn.hpp"
#include "tabled_readout.hpp"

namespace longlag::LONGLAG_ISA::recurrent {

template <class T>
class ChunkerRun {
public:
    static constexpr Index V = lanes<T>;

    ChunkerRun(const Net& net, T* memory, T* scratch, const Stream<T>* streams, Index count, const ReadOptions& options)
        : net(net), arena(scratch), below(net.automatizer(), memory), above(net, memory, below.used()),
          update_at_ends(options.update_at_ends), step(below, arena), chunk(above, arena),
          readout(step, arena, update_at_ends ? below.weights : 0),
          chunk_readout(chunk, arena, update_at_ends ? above.weights : 0),
          learner(step, arena, update_at_ends ? below.weights : 0, options.longest),
          chunk_learner(chunk, arena, update_at_ends ? above.weights : 0, options.longest),
          scheduler(net.inputs, net.outputs, arena, streams, count, options) {}
    Index used() const { return arena.used(); }

    void run() {
        const bool learns = scheduler.options.learn;
        scheduler.start();
        reset(~ivec<T>{}, learns);
        unforeseen = ~ivec<T>{};
        scheduler.each_step([&](Index t) { one_step(scheduler.symbols_at(t), learns); });
        reset(~ivec<T>{}, learns);
    }

private:
    Net net;
    Arena<T> arena;
    Memory<T> below, above;
    bool update_at_ends;
    Step<T> step, chunk;
    TabledReadout<T> readout, chunk_readout;
    Learner<T> learner, chunk_learner;
    online::StreamScheduler<T, online::Networks<T>> scheduler;
    ivec<T> unforeseen{};   // lanes whose next symbol the chunker reads
    ivec<T> begun{};        // lanes whose chunker has read a symbol in this sequence
    ivec<T> last_chunk{};   // the symbol that it has read last

    void reset(ivec<T> ended, bool learns) {
        learner.reset(ended, learns);
        chunk_learner.reset(ended, learns);
        begun &= ~ended;
        unforeseen |= ended;  // the first symbol of a sequence is never foreseen
    }

    void one_step(ivec<T> symbols, bool learns) {
        if (learns) read_unforeseen(symbols);
        step.forward(nullptr, symbols, ~ivec<T>{});
        scheduler.advance();
        if (scheduler.any_answers) {
            readout.load_targets(scheduler);
            load_chunker_targets();
            readout.answer(symbols, scheduler.answering, scheduler.rates, learns);
            readout.write_answers(scheduler);
            unforeseen = ~(readout.largest <= static_cast<T>(net.threshold));
        }
        const T* const errors = scheduler.any_answers ? readout.hidden_errors : nullptr;
        if (learns) learner.learn(scheduler.now, symbols, errors, ~ivec<T>{});
        if (!scheduler.any_ends) return;
        const ivec<T> ended = scheduler.ended_lanes();
        if (learns) {
            // The last symbol is never read; where it was not foreseen, the chunker learns it all the same.
            const ivec<T> surprised = ended & unforeseen & begun;
            if (any<T>(surprised)) predict(scheduler.target_symbols, surprised);
            if (update_at_ends) {
                learner.apply(ended);
                chunk_learner.apply(ended);
            }
        }
        reset(ended, learns);
        scheduler.start_next_sequences();
    }

    void read_unforeseen(ivec<T> symbols) {
        const ivec<T> reads = unforeseen & scheduler.running_lanes();
        if (!any<T>(reads)) return;
        const ivec<T> known = reads & begun;
        if (any<T>(known)) predict(symbols, known);
        chunk.forward(nullptr, symbols, reads);
        chunk_learner.follow(symbols, reads);
        last_chunk = (symbols & reads) | (last_chunk & ~reads);
        begun |= reads;
    }

    // The chunker's prediction after its last symbol, compared with the symbol that has come.
    void predict(ivec<T> symbols, ivec<T> mask) {
        for (Index n = 0; n < V; ++n) {
            if (mask[n]) chunk_readout.set_target(n, symbols[n]);
        }
        chunk_readout.answer(last_chunk, mask, scheduler.stream_rates(), true);
        chunk_learner.learn_late(chunk_readout.hidden_errors);
    }

    // The targets of the automatizer's additional outputs.
    void load_chunker_targets() {
        for (Index u = 0; u < net.hidden; ++u) {
            for (Index n = 0; n < V; ++n) readout.targets[readout.place(net.outputs + u, n)] = above.state[u * V + n];
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::recurrent
