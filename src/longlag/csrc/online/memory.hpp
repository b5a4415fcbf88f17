// Where the numbers of a net (or of V nets side by side) stand: weights, traces, states. Their memory is O(W) and does
// not depend on the sequences.

#pragma once

#include "../weights.hpp"
#include "lanes.hpp"
#include "net.hpp"

namespace longlag::LONGLAG_ISA::online {

using longlag::online::ReadOptions;
using longlag::online::Net;
using longlag::online::Numbers;
using longlag::online::Stream;

// Places of units in arrays of one number per unit: each kind starts a vector of its own, and so does each place of a
// cell within its block, so that gates and cells of the same blocks line up.
template <class A>
struct Rooms {
    Index pitch, i, f, g, o, u, count;

    explicit Rooms(const Form& form) : pitch(A::padded(form.blocks)) {
        const Cell& cell = form.cell;
        i = 0;
        f = i + (cell.input_gate ? pitch : 0);
        g = f + (cell.forget == Forget::own ? pitch : 0);
        o = g + form.block_size * pitch;
        u = o + (cell.output_gate ? pitch : 0);
        count = u + A::padded(cell.conventional_units);
    }
};

template <class T, class A>
class Memory {
public:
    Memory(const Net& net, T* base) : net(net), form(net.form), rooms(form), arena_(base) {
        span = round_up(net.columns() * A::width, A::V);
        seen_columns = net.seen() + (net.output_bias ? 1 : 0);
        seen_span = round_up(seen_columns * A::width, A::V);
        units_span = rooms.count * A::width;
        outputs_span = A::padded(net.outputs) * A::width;
        cells_span = form.block_size * rooms.pitch * A::width;
        traces_span = net.kinds() * cells_span;
        rows = arena_.take(form.rows * span);
        symbol_rows = arena_.take(net.symbols * units_span);
        readout = arena_.take(net.outputs * seen_span);
        symbol_readout = arena_.take(net.reads_inputs ? net.symbols * outputs_span : 0);
        peephole = arena_.take(net.peepholes() * cells_span);
        weights = arena_.used();
        arena_.take(weights);  // the same again: changes pending until the end of a sequence
        traces = arena_.take(net.kinds() * form.hidden * span);
        symbol_traces = arena_.take(net.symbols * traces_span);
        peephole_traces = arena_.take(net.traced_peepholes() * form.block_size * cells_span);
        traces_end = arena_.used();
        cells = arena_.take(cells_span);
        seen = arena_.take(seen_span + A::V);
        units = arena_.take(units_span);
        state_end = arena_.used();
    }
    Index used() const { return arena_.used(); }

    const Net& net;
    const Form& form;
    Rooms<A> rooms;
    Index span, seen_columns, seen_span, units_span, outputs_span, cells_span, traces_span;  // elements
    Index weights;  // elements of all weights; the pending change of a weight stands so much further on
    Index traces_end, state_end;
    T *rows, *symbol_rows, *readout, *symbol_readout, *peephole;
    T *traces, *symbol_traces, *peephole_traces;    // (kind, cell, column), (symbol, kind, cell), (kind, place, cell)
    T *cells, *seen, *units;                        // s; [y u x 1]; activations

    // The n-th row in the kernels' order: its place among the units.
    Index room(Index n) const {
        if (A::width > 1) return n;  // nothing is padded
        const Index blocks = form.blocks, pitch = rooms.pitch;
        if (n < form.g) return n / blocks * pitch + n % blocks;
        if (n < form.o) return rooms.g + (n - form.g) / blocks * pitch + (n - form.g) % blocks;
        if (n < form.u) return rooms.o + (n - form.o);
        return rooms.u + (n - form.u);
    }
    Index cell_room(Index c) const { return A::width > 1 ? c : c / form.blocks * rooms.pitch + c % form.blocks; }

    // Copies the recurrent source [y u gates 1] behind the inputs of the next step. Arrays are copied one after the
    // other: the idle end of one is overwritten by the next.
    void copy_recurrent(T* source) const {
        if (form.recurrent()) {
            T* to = source + form.y * A::width;
            each<A>(form.outputs, [&](Index e) { store(to + e, load(seen + e)); });
            if (form.cell.gate_recurrence) {
                to = source + form.yg * A::width;
                const auto take = [&](Index room) {
                    each<A>(form.blocks, [&](Index e) { store(to + e, load(units + room * A::width + e)); });
                    to += form.blocks * A::width;
                };
                for (Index n = 0; n < form.g; n += form.blocks) take(room(n));
                if (form.cell.output_gate) take(rooms.o);
            }
        }
        put_one(source, form.one, net.bias);
    }
    // 1 (or 0 where there is no bias) in column `place`, zeros behind it.
    static void put_one(T* p, Index place, bool bias) {
        vec<T> one{};
        if (bias) {
            if constexpr (A::width == 1) one[0] = 1;
            else one += T(1);
        }
        store(p + place * A::width, one);
    }

    // f(there, here): every number of the network in lane `place`, in PyTorch's layout and in this one. `pending`: for
    // weights, their changes that are pending until the end of a sequence.
    template <class N, class F>
    void each_number(const N& to, Index place, bool pending, F f) const {
        each_weight(to, place, pending ? weights : 0, f);
        each_state(to, place, f);
    }

private:
    // Rows with a bias, and their places among those, which PyTorch keeps alone.
    bool has_bias(Index n) const {
        return net.bias && !(net.gate_bias_only && ((n >= form.g && n < form.o) || n >= form.u));
    }
    Index bias_place(Index row) const { return net.gate_bias_only && row >= form.o ? row - form.hidden : row; }

    template <class N, class F>
    void each_weight(const N& to, Index place, Index pending, F f) const {
        const Places places{form};
        const Index I = net.inputs(), R = form.recurrent();
        const auto here = [&](T* p, Index unit) { return p + pending + unit * A::width + place; };
        for (Index n = 0; n < form.rows; ++n) {
            const Index r = places.row(n);
            T* const row = rows + n * span;
            if (to.input) {
                for (Index m = 0; m < form.inputs; ++m) f(to.input + r * I + m, here(row, m));
                for (Index s = 0; s < net.symbols; ++s) {
                    f(to.input + r * I + s, here(symbol_rows + s * units_span, room(n)));
                }
            }
            if (to.recurrent) {
                places.outputs().each(R, [&](Index a, Index b) { f(to.recurrent + r * R + b, here(row, form.y + a)); });
            }
            if (to.bias && has_bias(n)) f(to.bias + bias_place(r), here(row, form.one));
        }
        if (to.peephole) {
            for (Index k = 0; k < net.peepholes(); ++k) {
                for (Index c = 0; c < form.hidden; ++c) {
                    f(to.peephole + k * form.hidden + places.cells()(c), here(peephole + k * cells_span, cell_room(c)));
                }
            }
        }
        const Index width = form.outputs + (net.reads_inputs ? I : 0);
        for (Index k = 0; k < net.outputs; ++k) {
            T* const row = readout + k * seen_span;
            if (to.readout) {
                places.outputs().each(form.outputs,
                                      [&](Index a, Index b) { f(to.readout + k * width + b, here(row, a)); });
                for (Index m = form.outputs; m < net.seen(); ++m) f(to.readout + k * width + m, here(row, m));
                for (Index s = 0; net.reads_inputs && s < net.symbols; ++s) {
                    f(to.readout + k * width + form.outputs + s, here(symbol_readout + s * outputs_span, k));
                }
            }
            if (to.readout_bias && net.output_bias) f(to.readout_bias + k, here(row, net.seen()));
        }
    }

    template <class N, class F>
    void each_state(const N& to, Index place, F f) const {
        const Places places{form};
        const auto here = [&](T* p, Index unit) { return p + unit * A::width + place; };
        if (to.output) places.outputs().each(form.outputs, [&](Index a, Index b) { f(to.output + b, here(seen, a)); });
        if (to.cells) {
            for (Index c = 0; c < form.hidden; ++c) f(to.cells + places.cells()(c), here(cells, cell_room(c)));
        }
        if (to.gates) {
            for (Index n = 0; n < form.rows; ++n) {
                if (n < form.g) f(to.gates + n, here(units, room(n)));
                else if (n >= form.o && n < form.u) f(to.gates + n - form.hidden, here(units, room(n)));
            }
        }
        const Index I = net.inputs(), R = form.recurrent(), C = I + R + 1;
        for (Index k = 0; to.traces && k < net.kinds(); ++k) {
            for (Index c = 0; c < form.hidden; ++c) {
                auto* const there = to.traces + (k * form.hidden + places.cells()(c)) * C;
                T* const row = traces + (k * form.hidden + c) * span;
                for (Index m = 0; m < form.inputs; ++m) f(there + m, here(row, m));
                for (Index s = 0; s < net.symbols; ++s) {
                    f(there + s, here(symbol_traces + s * traces_span + k * cells_span, cell_room(c)));
                }
                places.outputs().each(R, [&](Index a, Index b) { f(there + I + b, here(row, form.y + a)); });
                if (net.bias) f(there + I + R, here(row, form.one));
            }
        }
        for (Index k = 0; to.peephole_traces && k < net.traced_peepholes(); ++k) {
            for (Index c = 0; c < form.hidden; ++c) {
                for (Index v = 0; v < form.block_size; ++v) {
                    f(to.peephole_traces + (k * form.hidden + places.cells()(c)) * form.block_size + v,
                      here(peephole_traces + (k * form.block_size + v) * cells_span, cell_room(c)));
                }
            }
        }
    }

    Arena<T> arena_;
};

}  // namespace longlag::LONGLAG_ISA::online
