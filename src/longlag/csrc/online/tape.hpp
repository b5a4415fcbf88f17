// The last steps, recorded for the traces: they add several steps at a time, so that a trace is loaded and stored once
// for all of them.

#pragma once

#include "memory.hpp"

namespace longlag::LONGLAG_ISA::online {

// One step.
template <class T>
struct Entry {
    T* source;    // [x y u gates 1]
    T* unbiased;  // the same without its 1, for units that have no bias; null if all have one
    T* added;     // ds/dnet: times the source, what the step adds to the traces; (kind, cell)
    T* decay;     // f, block by block, which multiplies the traces
    T* before;    // s_{t-1}
};

template <class T, class A>
class Tape {
public:
    static constexpr Index depth = 8;

    Tape(const Memory<T, A>& m, Arena<T>& arena) {
        for (Entry<T>& entry : entries) {
            entry.source = arena.take(m.span + A::V);
            entry.unbiased = m.net.gate_bias_only ? arena.take(m.span + A::V) : nullptr;
            entry.added = arena.take(m.traces_span);
            entry.decay = arena.take(m.rooms.pitch * A::width);
            entry.before = arena.take(m.cells_span);
        }
    }

    Entry<T> entries[depth];
    ivec<T> symbols[depth] = {};
    Index held = 0;  // steps that are not in the traces yet; the step under way is written behind them
};

}  // namespace longlag::LONGLAG_ISA::online
