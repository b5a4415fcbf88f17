// Learning while reading: traces of how the states came to depend on the weights (1997 A.12, A.23, A.25), and the changes
// of the weights when an error arrives (A.17-A.22, A.24, A.26). The rate is in the errors.

#pragma once

#include "step.hpp"

namespace longlag::LONGLAG_ISA::online {

template <class T, class A>
class Learner {
public:
    Learner(Step<T, A>& step, bool at_ends)
        : step(step), m(step.m), net(step.net), form(step.form), waiting(at_ends ? m.weights : 0) {
        Arena<T>& arena = step.arena();
        towards = arena.take(m.seen_span);
        state_errors = arena.take(m.cells_span);
        unit_errors = arena.take(m.units_span);
        quiet_ = net.gate_bias_only ? arena.take(m.span + A::V) : nullptr;
    }
    Index used() const { return step.used(); }

    // Adds a step to every trace.
    void follow(ivec<T> symbols) { pass<false, false>(symbols, ivec<T>{}); }

    // The same; then the errors of the output units change the weights, and the traces of the lanes in `ended` go.
    void follow_and_learn(ivec<T> symbols, ivec<T> ended, bool any_ended) {
        errors();
        if (any_ended) pass<true, true>(symbols, ~ended);
        else pass<true, false>(symbols, ~ended);
        change_rows(form.o, form.u, m.rooms.o, symbols);
        change_rows(form.u, form.rows, m.rooms.u, symbols);
        if (form.cell.peepholes && form.cell.output_gate) change_peephole_of_output();
        change_readout(symbols);
    }

    // The traces of the lanes in `ended` go: a new sequence starts without a past.
    void forget(ivec<T> ended) {
        for (T* p = m.traces; p < m.rows + m.traces_end; p += A::V) store(p, where<T>(~ended, load(p)));
    }

    // Changes that have waited for the end of the sequence, in the lanes where it has come.
    void apply(ivec<T> ended) {
        T* const change = m.rows + m.weights;
        for (Index e = 0; e < m.weights; e += A::V) {
            const vec<T> d = load(change + e);
            store(m.rows + e, load(m.rows + e) + where<T>(ended, d));
            store(change + e, where<T>(~ended, d));
        }
    }

private:
    Step<T, A>& step;
    const Memory<T, A>& m;
    const Net& net;
    const Form& form;
    Index waiting;    // from a weight to where its changes are added up
    T* towards;       // error of what the output units see
    T* state_errors;  // e_s
    T* unit_errors;   // e of output gates and conventional units, unit by unit
    T* quiet_;        // the source without its 1, for units without a bias

    // A.18, A.19, A.21 (with the rate, and so without a sign)
    void errors() {
        for (Index e = 0; e < form.outputs * A::width; e += A::V) {
            vec<T> sum{};
            for (Index k = 0; k < net.outputs; ++k) {
                sum += A::factor(step.errors, k) * load(m.readout + k * m.seen_span + e);
            }
            store(towards + e, sum);
        }
        const Rooms<A>& at = m.rooms;
        const bool gated = form.cell.output_gate;
        const T* const o = m.units + at.o * A::width;
        const Index pitch = at.pitch * A::width, blocks = form.blocks * A::width;
        step.each_block([&](Index b) {
            const vec<T> open = gated ? load(o + b) : splat<T>(T(1));
            vec<T> sum{};
            for (Index c = 0, y = 0; c < m.cells_span; c += pitch, y += blocks) {
                const vec<T> d = load(towards + y + b);
                sum += load(step.squashed + c + b) * d;
                store(state_errors + c + b, d * open * load(step.state_slopes + c + b));
            }
            if (gated) {
                const Index e = at.o * A::width + b;
                store(unit_errors + e, load(step.slopes + e) * sum);
            }
        });
        each<A>(form.cell.conventional_units, [&](Index e) {
            const Index u = at.u * A::width + e;
            store(unit_errors + u, load(step.slopes + u) * load(towards + form.hidden * A::width + e));
        });
    }

    template <bool Learns, bool Clears>
    LONGLAG_INLINE void pass(ivec<T> symbols, ivec<T> keep) {
        if (quiet_) {
            for (Index e = 0; e < m.span; e += A::V) store(quiet_ + e, load(m.source + e));
            Memory<T, A>::put_one(quiet_, form.one, false);
        }
        if (form.cell.forget == Forget::none) all_traces<Learns, Clears, false>(symbols, keep);
        else all_traces<Learns, Clears, true>(symbols, keep);
    }

    template <bool Learns, bool Clears, bool Decays>
    void all_traces(ivec<T> symbols, ivec<T> keep) {
        for (Index kind = 0; kind < net.kinds(); ++kind) {
            const bool of_gate = kind + 1 < net.kinds();
            const T* const source = !of_gate && quiet_ ? quiet_ : m.source;
            for (Index c = 0; c < form.hidden; ++c) {
                const Index row = of_gate ? kind * form.blocks + c % form.blocks : form.g + c;
                const Index room = m.cell_room(c);
                const vec<T> more = A::factor(step.added + kind * m.cells_span, room);
                const vec<T> left = A::factor(step.decay, c % form.blocks);
                const vec<T> error = A::factor(state_errors, room);
                T* const trace = m.traces + (kind * form.hidden + c) * m.span;
                T* const change = m.rows + row * m.span + waiting;
                for (Index e = 0; e < m.span; e += A::V) {
                    vec<T> d = load(trace + e);
                    d = (Decays ? left * d : d) + more * load(source + e);
                    if constexpr (Learns) store(change + e, load(change + e) + error * d);
                    if constexpr (Clears) d = where<T>(keep, d);
                    store(trace + e, d);
                }
            }
        }
        if (net.symbols) all_symbol_traces<Learns, Clears, Decays>(symbols, keep);
        for (Index kind = 0; kind < net.traced_peepholes(); ++kind) peephole<Learns, Clears, Decays>(kind, keep);
    }

    template <bool Learns, bool Clears, bool Decays>
    void all_symbol_traces(ivec<T> symbols, ivec<T> keep) {
        if constexpr (Decays) {
            for (Index s = 0; s < net.symbols; ++s) {
                for (Index kind = 0; kind < net.kinds(); ++kind) {
                    T* const trace = m.symbol_traces + s * m.traces_span + kind * m.cells_span;
                    step.each_block([&](Index b) {
                        const vec<T> left = load(step.decay + b);
                        step.each_cell([&](Index c) { store(trace + c + b, left * load(trace + c + b)); });
                    });
                }
            }
        }
        add_to_symbol(m.symbol_traces, m.traces_span, 0, m.traces_span / A::width, symbols, step.added);
        if constexpr (Learns || Clears) {
            for (Index s = 0; s < net.symbols; ++s) {
                for (Index kind = 0; kind < net.kinds(); ++kind) {
                    learn_symbol<Learns, Clears>(s, kind, keep);
                }
            }
        }
    }

    template <bool Learns, bool Clears>
    LONGLAG_INLINE void learn_symbol(Index s, Index kind, ivec<T> keep) {
        const bool of_gate = kind + 1 < net.kinds();
        T* const trace = m.symbol_traces + s * m.traces_span + kind * m.cells_span;
        T* const change = m.symbol_rows + s * m.units_span + waiting +
                          (of_gate ? kind * m.rooms.pitch : m.rooms.g) * A::width;
        step.each_block([&](Index b) {
            vec<T> sum{};
            step.each_cell([&](Index c) {
                const vec<T> d = load(trace + c + b);
                if constexpr (Learns) {
                    const vec<T> by = load(state_errors + c + b) * d;
                    if (of_gate) sum += by;
                    else store(change + c + b, load(change + c + b) + by);
                }
                if constexpr (Clears) store(trace + c + b, where<T>(keep, d));
            });
            if (Learns && of_gate) store(change + b, load(change + b) + sum);
        });
    }

    template <bool Learns, bool Clears, bool Decays>
    void peephole(Index kind, ivec<T> keep) {
        const Index pitch = m.rooms.pitch * A::width;
        for (Index place = 0; place < form.block_size; ++place) {
            T* const trace = m.peephole_traces + (kind * form.block_size + place) * m.cells_span;
            T* const change = m.peephole + kind * m.cells_span + place * pitch + waiting;
            step.each_block([&](Index b) {
                const vec<T> seen = load(step.before + place * pitch + b), left = load(step.decay + b);
                vec<T> sum{};
                step.each_cell([&](Index c) {
                    vec<T> d = load(trace + c + b);
                    d = (Decays ? left * d : d) + load(step.added + kind * m.cells_span + c + b) * seen;
                    if constexpr (Learns) sum += load(state_errors + c + b) * d;
                    if constexpr (Clears) d = where<T>(keep, d);
                    store(trace + c + b, d);
                });
                if constexpr (Learns) store(change + b, load(change + b) + sum);
            });
        }
    }

    // A.20: output gates and conventional units.
    void change_rows(Index first, Index last, Index room, ivec<T> symbols) {
        for (Index n = first; n < last; ++n) {
            const vec<T> error = A::factor(unit_errors, room + n - first);
            const T* const source = quiet_ && first == form.u ? quiet_ : m.source;
            T* const change = m.rows + n * m.span + waiting;
            for (Index e = 0; e < m.span; e += A::V) store(change + e, load(change + e) + error * load(source + e));
        }
        if (net.symbols) {
            add_to_symbol(m.symbol_rows + waiting, m.units_span, room, last - first, symbols,
                          unit_errors + room * A::width);
        }
    }

    void change_peephole_of_output() {
        T* const change = m.peephole + (net.peepholes() - 1) * m.cells_span + waiting;
        step.each_block([&](Index b) {
            const vec<T> error = load(unit_errors + m.rooms.o * A::width + b);
            step.each_cell([&](Index c) {
                store(change + c + b, load(change + c + b) + error * load(m.cells + c + b));
            });
        });
    }

    // A.17, A.20: output units.
    void change_readout(ivec<T> symbols) {
        for (Index k = 0; k < net.outputs; ++k) {
            const vec<T> error = A::factor(step.errors, k);
            T* const change = m.readout + k * m.seen_span + waiting;
            for (Index e = 0; e < m.seen_span; e += A::V) {
                store(change + e, load(change + e) + error * load(m.seen + e));
            }
        }
        if (net.symbols && net.reads_inputs) {
            add_to_symbol(m.symbol_readout + waiting, m.outputs_span, 0, net.outputs, symbols, step.errors);
        }
    }

    // table[symbol][room + u] += values[u]
    void add_to_symbol(T* table, Index distance, Index room, Index units, ivec<T> symbols, const T* values) {
        if constexpr (A::width == 1) {
            T* const row = table + symbols[0] * distance + room;
            each<A>(units, [&](Index e) { store(row + e, load(row + e) + load(values + e)); });
        } else {
            const ivec<T> places = symbols * static_cast<typename Simd<T>::integer>(distance) + lane_numbers<T>();
            for (Index u = 0; u < units; ++u) {
                T* const base = table + (room + u) * A::width;
                scatter<T>(base, places, gather<T>(base, places) + load(values + u * A::width));
            }
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::online
