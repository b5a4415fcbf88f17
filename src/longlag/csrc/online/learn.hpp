// Learning while reading: what errors do to the weights when they arrive (1997 A.17-A.22, A.24, A.26). The rate is in the
// errors.

#pragma once

#include "traces.hpp"

namespace longlag::LONGLAG_ISA::online {

template <class T, class A>
class Learner {
public:
    Learner(Step<T, A>& step, bool at_ends)
        : step(step), m(step.m), net(step.net), form(step.form), waiting(at_ends ? m.weights : 0), traces(step, waiting) {
        Arena<T>& arena = step.arena();
        towards = arena.take(m.seen_span);
        state_errors = arena.take(m.cells_span);
        unit_errors = arena.take(m.units_span);
    }
    Index used() const { return step.used(); }

    // A step without errors.
    void follow(ivec<T> symbols) { traces.follow(symbols); }

    // A step, and then the errors of the output units change the weights, and the traces of the lanes in `ended` go.
    void follow_and_learn(ivec<T> symbols, ivec<T> ended, bool any_ended) {
        traces.follow(symbols);
        errors();
        traces.learn(state_errors, ~ended, any_ended);
        change_rows(form.o, form.u, m.rooms.o, symbols);
        change_rows(form.u, form.rows, m.rooms.u, symbols);
        if (form.cell.peepholes && form.cell.output_gate) change_peephole_of_output();
        change_readout(symbols);
    }

    // A new sequence starts without a past in the lanes in `ended`.
    void forget(ivec<T> ended) { traces.forget(ended); }

    // Nothing stays on the tape: the traces are all that outlives a call.
    void settle() { traces.settle(); }

    // Changes that have waited for the end of the sequence, in the lanes where it has come.
    void apply(ivec<T> ended) {
        T* const change = m.rows + m.weights;
        for (Index e = 0; e < m.weights; e += A::V) {
            const vec<T> d = load(change + e);
            commit<T>(m.rows + e, where<T>(ended, d), step.refused);
            store(change + e, where<T>(~ended, d));
        }
    }

private:
    Step<T, A>& step;
    const Memory<T, A>& m;
    const Net& net;
    const Form& form;
    Index waiting;    // from a weight to where its changes are added up
    Traces<T, A> traces;
    T* towards;       // error of what the output units see
    T* state_errors;  // e_s
    T* unit_errors;   // e of output gates and conventional units, unit by unit

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

    // A.20: output gates and conventional units.
    void change_rows(Index first, Index last, Index room, ivec<T> symbols) {
        ivec<T> bad{};
        for (Index n = first; n < last; ++n) {
            const vec<T> error = A::factor(unit_errors, room + n - first);
            const T* const source = step.now.quiet && first == form.u ? step.now.quiet : step.now.source;
            T* const change = m.rows + n * m.span + waiting;
            for (Index e = 0; e < m.span; e += A::V) commit<T>(change + e, error * load(source + e), bad);
        }
        step.refused |= bad;
        if (net.symbols) {
            step.change_symbol(m.symbol_rows + waiting, m.units_span, room, last - first, symbols,
                               unit_errors + room * A::width);
        }
    }

    void change_peephole_of_output() {
        T* const change = m.peephole + (net.peepholes() - 1) * m.cells_span + waiting;
        step.each_block([&](Index b) {
            const vec<T> error = load(unit_errors + m.rooms.o * A::width + b);
            step.each_cell([&](Index c) {
                commit<T>(change + c + b, error * load(m.cells + c + b), step.refused);
            });
        });
    }

    // A.17, A.20: output units.
    void change_readout(ivec<T> symbols) {
        ivec<T> bad{};
        for (Index k = 0; k < net.outputs; ++k) {
            const vec<T> error = A::factor(step.errors, k);
            T* const change = m.readout + k * m.seen_span + waiting;
            for (Index e = 0; e < m.seen_span; e += A::V) commit<T>(change + e, error * load(m.seen + e), bad);
        }
        step.refused |= bad;
        if (net.symbols && net.reads_inputs) {
            step.change_symbol(m.symbol_readout + waiting, m.outputs_span, 0, net.outputs, symbols, step.errors);
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::online
