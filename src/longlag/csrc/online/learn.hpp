// Learning while reading: how the errors of a step change the weights (1997 A.17-A.22, A.24, A.26). The errors are
// already multiplied by the learning rate.

#pragma once

#include "traces.hpp"

namespace longlag::LONGLAG_ISA::online {

template <class T, class A>
class Learner {
public:
    Learner(Step<T, A>& step, bool update_at_ends)
        : step(step), m(step.m), net(step.net), form(step.form), pending(update_at_ends ? m.weights : 0),
          traces(step, pending) {
        Arena<T>& arena = step.arena();
        seen_errors = arena.take(m.seen_span);
        state_errors = arena.take(m.cells_span);
        unit_errors = arena.take(m.units_span);
    }
    Index used() const { return step.used(); }

    // A step without errors.
    void follow(ivec<T> symbols) { traces.follow(symbols); }

    // A step; then the errors of the output units change the weights, and the traces of the lanes in `ended` go.
    void follow_and_learn(ivec<T> symbols, ivec<T> ended, bool any_ended) {
        traces.follow(symbols);
        errors();
        traces.learn(state_errors, ~ended, any_ended);
        change_rows(form.o, form.u, m.rooms.o, symbols);
        change_rows(form.u, form.rows, m.rooms.u, symbols);
        if (form.cell.peepholes && form.cell.output_gate) change_peephole_of_output();
        change_readout(symbols);
    }

    // The lanes in `ended` begin a new sequence: their traces become zero.
    void forget(ivec<T> ended) { traces.forget(ended); }

    // Empties the tape into the traces, which outlive a call.
    void settle() { traces.settle(); }

    // Makes the pending changes in the lanes whose sequence has ended.
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
    Index pending;    // from a weight to where its changes are added up: 0 if they are made at once
    Traces<T, A> traces;
    T* seen_errors;   // errors of what the output units see
    T* state_errors;  // e_s
    T* unit_errors;   // e of output gates and conventional units, unit by unit

    // A.18, A.19, A.21, times the rate and therefore without a sign.
    void errors() {
        for (Index e = 0; e < form.outputs * A::width; e += A::V) {
            vec<T> sum{};
            for (Index k = 0; k < net.outputs; ++k) {
                sum += A::factor(step.errors, k) * load(m.readout + k * m.seen_span + e);
            }
            store(seen_errors + e, sum);
        }
        const Rooms<A>& at = m.rooms;
        const bool gated = form.cell.output_gate;
        const T* const o = m.units + at.o * A::width;
        const Index pitch = at.pitch * A::width, blocks = form.blocks * A::width;
        step.each_block([&](Index b) {
            const vec<T> o_activation = gated ? load(o + b) : splat<T>(T(1));
            vec<T> sum{};
            for (Index c = 0, y = 0; c < m.cells_span; c += pitch, y += blocks) {
                const vec<T> d = load(seen_errors + y + b);
                sum += load(step.squashed + c + b) * d;
                store(state_errors + c + b, d * o_activation * load(step.state_slopes + c + b));
            }
            if (gated) {
                const Index e = at.o * A::width + b;
                store(unit_errors + e, load(step.slopes + e) * sum);
            }
        });
        each<A>(form.cell.conventional_units, [&](Index e) {
            const Index u = at.u * A::width + e;
            store(unit_errors + u, load(step.slopes + u) * load(seen_errors + form.hidden * A::width + e));
        });
    }

    // A.20: output gates and conventional units.
    void change_rows(Index first, Index last, Index room, ivec<T> symbols) {
        ivec<T> bad{};
        for (Index n = first; n < last; ++n) {
            const vec<T> error = A::factor(unit_errors, room + n - first);
            const T* const source = step.now.unbiased && first == form.u ? step.now.unbiased : step.now.source;
            T* const change = m.rows + n * m.span + pending;
            for (Index e = 0; e < m.span; e += A::V) commit<T>(change + e, error * load(source + e), bad);
        }
        step.refused |= bad;
        if (net.symbols) {
            step.change_symbol(m.symbol_rows + pending, m.units_span, room, last - first, symbols,
                               unit_errors + room * A::width);
        }
    }

    void change_peephole_of_output() {
        T* const change = m.peephole + (net.peepholes() - 1) * m.cells_span + pending;
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
            T* const change = m.readout + k * m.seen_span + pending;
            for (Index e = 0; e < m.seen_span; e += A::V) commit<T>(change + e, error * load(m.seen + e), bad);
        }
        step.refused |= bad;
        if (net.symbols && net.reads_inputs) {
            step.change_symbol(m.symbol_readout + pending, m.outputs_span, 0, net.outputs, symbols, step.errors);
        }
    }
};

}  // namespace longlag::LONGLAG_ISA::online
