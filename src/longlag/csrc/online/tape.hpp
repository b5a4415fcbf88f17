// The last steps, as the traces will want them. Traces take in several steps at once, so that each of them is loaded
// and stored once for all these steps.

#pragma once

#include "memory.hpp"

namespace longlag::LONGLAG_ISA::online {

// One step.
template <class T>
struct Entry {
    T* source;  // [x y u gates 1]
    T* quiet;   // the same without its 1, for units that have no bias; null if all have one
    T* added;   // what the step adds to the traces, but for the source: (kind, cell)
    T* decay;   // f, block by block: what is left of the traces
    T* before;  // s_{t-1}
};

template <class T, class A>
class Tape {
public:
    static constexpr Index depth = 8;

    Tape(const Memory<T, A>& m, Arena<T>& arena) {
        for (Entry<T>& entry : entries) {
            entry.source = arena.take(m.span + A::V);
            entry.quiet = m.net.gate_bias_only ? arena.take(m.span + A::V) : nullptr;
            entry.added = arena.take(m.traces_span);
            entry.decay = arena.take(m.rooms.pitch * A::width);
            entry.before = arena.take(m.cells_span);
        }
    }

    Entry<T> entries[depth];
    ivec<T> symbols[depth] = {};
    Index held = 0;  // steps that the traces have not taken in yet; the step under way is written behind them
};

}  // namespace longlag::LONGLAG_ISA::online
