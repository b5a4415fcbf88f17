// One step of the net: activations with their slopes, states, what the step adds to every trace (1997 A.7, A.12), and
// the net inputs of the output units.

#pragma once

#include "commit.hpp"
#include "slopes.hpp"
#include "tape.hpp"

namespace longlag::LONGLAG_ISA::online {

// sums of w[row][m] x[m] over `span` elements, for N rows that follow each other.
template <class T, int N>
LONGLAG_INLINE void dot(const T* w, Index distance, const T* x, Index span, vec<T> (&sums)[N]) {
    for (Index e = 0; e < span; e += lanes<T>) {
        const vec<T> right = load(x + e);
#pragma GCC unroll 8
        for (int n = 0; n < N; ++n) sums[n] += load(w + n * distance + e) * right;
    }
}

template <class T, class A>
class Step {
public:
    Step(const Memory<T, A>& memory, T* scratch)
        : m(memory), net(memory.net), form(memory.form), arena_(scratch), tape(memory, arena_) {
        slopes = arena_.take(m.units_span);
        state_slopes = arena_.take(m.cells_span);
        squashed = arena_.take(m.cells_span);
        outputs = arena_.take(m.outputs_span);
        errors = arena_.take(m.outputs_span);
    }
    Index used() const { return arena_.used(); }
    Arena<T>& arena() { return arena_; }

    const Memory<T, A>& m;
    const Net& net;
    const Form& form;

private:
    Arena<T> arena_;

public:
    Tape<T, A> tape;
    Entry<T> now;     // this step's place on the tape
    T* slopes;        // dy/dnet of gates, cells and conventional units, unit by unit
    T* state_slopes;  // h'(s)
    T* squashed;      // h(s)
    T *outputs, *errors;  // y_k and e_k of the output units
    ivec<T> refused{};    // lanes in which the change of some weight has been refused since this was last cleared

    // x: dense inputs (I vectors with networks in lanes), or null; symbols: one for each lane.
    void forward(const T* x, ivec<T> symbols) {
        now = tape.entries[tape.held];
        T* const source = now.source;
        if (x) each<A>(form.inputs, [&](Index e) { store(source + e, load(x + e)); });
        m.copy_recurrent(source);
        net_inputs(symbols);
        states();
        output(x);
    }

    // Net inputs of the output units, which see [y u x 1].
    void read_out(ivec<T> symbols) {
        if (net.reads_inputs && net.symbols) {
            load_symbol(m.symbol_readout, m.outputs_span, net.outputs, symbols, outputs);
        } else {
            each<A>(net.outputs, [&](Index e) { store(outputs + e, vec<T>{}); });
        }
        products(m.readout, m.seen_span, m.seen, net.outputs, [](Index k) { return k; }, outputs);
    }

    // One number for each unit, from a symbol's row of a table. (Where units fill vectors the rows are padded.)
    void load_symbol(const T* table, Index distance, Index units, ivec<T> symbols, T* to) const {
        if constexpr (A::width == 1) {
            const T* row = table + symbols[0] * distance;
            each<A>(units, [&](Index e) { store(to + e, load(row + e)); });
        } else {
            const ivec<T> places = symbols * static_cast<typename Simd<T>::integer>(distance) + lane_numbers<T>();
            for (Index u = 0; u < units; ++u) store(to + u * A::width, gather<T>(table + u * A::width, places));
        }
    }

    // table[symbol][room + u] += values[u], of a table of weights
    void change_symbol(T* table, Index distance, Index room, Index units, ivec<T> symbols, const T* values) {
        ivec<T> bad{};
        if constexpr (A::width == 1) {
            T* const row = table + symbols[0] * distance + room;
            each<A>(units, [&](Index e) { commit<T>(row + e, load(values + e), bad); });
        } else {  // one number after the other: scattering a vector is slower
            typename Simd<T>::integer symbol[A::V], bad_lanes[A::V] = {};
            std::memcpy(symbol, &symbols, sizeof symbol);
            for (Index n = 0; n < A::V; ++n) {
                T* const row = table + symbol[n] * distance + room * A::width + n;
                for (Index u = 0; u < units; ++u) {
                    commit_one<T>(row[u * A::width], values[u * A::width + n], bad_lanes[n]);
                }
            }
            std::memcpy(&bad, bad_lanes, sizeof bad);
        }
        refused |= bad;
    }

private:
    template <class Room>
    void products(const T* rows, Index span, const T* x, Index count, Room room, T* to) const {
        Index n = 0;
        for (; n + 8 <= count; n += 8) {
            vec<T> sums[8] = {};
            dot<T, 8>(rows + n * span, span, x, span, sums);
            for (int k = 0; k < 8; ++k) A::add_sum(to, room(n + k), sums[k]);
        }
        for (; n + 4 <= count; n += 4) {
            vec<T> sums[4] = {};
            dot<T, 4>(rows + n * span, span, x, span, sums);
            for (int k = 0; k < 4; ++k) A::add_sum(to, room(n + k), sums[k]);
        }
        for (; n < count; ++n) {
            vec<T> sums[1] = {};
            dot<T, 1>(rows + n * span, span, x, span, sums);
            A::add_sum(to, room(n), sums[0]);
        }
    }

    void net_inputs(ivec<T> symbols) {
        if (net.symbols) {
            load_symbol(m.symbol_rows, m.units_span, m.rooms.count, symbols, m.units);
        } else {
            each<A>(m.rooms.count, [&](Index e) { store(m.units + e, vec<T>{}); });
        }
        products(m.rows, m.span, now.source, form.rows, [&](Index n) { return m.room(n); }, m.units);
    }

    template <class S>
    LONGLAG_INLINE void squash(Index first, Index count, S function) {
        const Index at = first * A::width;
        each<A>(count, [&](Index e) {
            const ValueAndSlope<T> y = function(load(m.units + at + e));
            store(m.units + at + e, y.value);
            store(slopes + at + e, y.slope);
        });
    }

    // net_gate += sum over the block's cells of p s
    void add_peepholes(Index gate, Index kind) {
        const T* p = m.peephole + kind * m.cells_span;
        each_block([&](Index b) {
            vec<T> sum = load(m.units + gate * A::width + b);
            each_cell([&](Index c) { sum += load(p + c + b) * load(m.cells + c + b); });
            store(m.units + gate * A::width + b, sum);
        });
    }

public:
    template <class F>
    LONGLAG_INLINE void each_block(F f) const {
        for (Index b = 0; b < m.rooms.pitch * A::width; b += A::V) f(b);
    }
    // The cells of the blocks of one vector: their element is c + b.
    template <class F>
    LONGLAG_INLINE void each_cell(F f) const {
        for (Index c = 0; c < m.cells_span; c += m.rooms.pitch * A::width) f(c);
    }

private:
    void states() {
        const Cell& cell = form.cell;
        const LogisticWithSlope<T> gate{static_cast<T>(cell.sharpness)};
        const Rooms<A>& at = m.rooms;
        Index kind = 0;
        if (cell.peepholes && cell.input_gate) add_peepholes(at.i, kind++);
        if (cell.peepholes && cell.forget == Forget::own) add_peepholes(at.f, kind++);
        squash(at.i, at.g - at.i, gate);
        with_squash_and_slope<T>(cell.input_squash, [&](auto function) { squash(at.g, at.o - at.g, function); });
        with_gates(cell, [&](auto i, auto f) { cell_update<i.value, f.value>(); });
        if (cell.peepholes && cell.output_gate) add_peepholes(at.o, kind);
        squash(at.o, at.u - at.o, gate);
        if (cell.conventional_units) {
            with_squash_and_slope<T>(cell.unit_squash,
                                     [&](auto function) { squash(at.u, cell.conventional_units, function); });
        }
    }

    // s_t = f s_{t-1} + i g, and ds_t/dnet of input gate, forget gate and cell
    template <bool I, Forget F>
    void cell_update() {
        const Rooms<A>& at = m.rooms;
        const T *units = m.units, *slope = slopes;
        const Index i_at = at.i * A::width, f_at = at.f * A::width, g_at = at.g * A::width;
        T *const added = now.added, *const decay = now.decay, *const before = now.before;
        T* const added_g = added + (net.kinds() - 1) * m.cells_span;
        T* const added_f = added + (I ? m.cells_span : 0);
        each_block([&](Index b) {
            vec<T> i{}, i_slope{}, f{}, f_slope{};
            if constexpr (I) {
                i = load(units + i_at + b);
                i_slope = load(slope + i_at + b);
            }
            if constexpr (F == Forget::own) {
                f = load(units + f_at + b);
                f_slope = load(slope + f_at + b);
            }
            if constexpr (F == Forget::coupled) f = T(1) - i;
            if constexpr (F != Forget::none) store(decay + b, f);
            each_cell([&](Index c) {
                const vec<T> g = load(units + g_at + c + b), g_slope = load(slope + g_at + c + b);
                const vec<T> old = load(m.cells + c + b);
                store(added_g + c + b, I ? i * g_slope : g_slope);
                if constexpr (I) store(added + c + b, i_slope * (F == Forget::coupled ? g - old : g));
                if constexpr (F == Forget::own) store(added_f + c + b, f_slope * old);
                store(before + c + b, old);
                const vec<T> gain = I ? i * g : g;
                store(m.cells + c + b, F == Forget::none ? old + gain : f * old + gain);
            });
        });
    }

    // What the output units see: y = o h(s), the conventional units, the inputs if they are read, and 1.
    void output(const T* x) {
        const Rooms<A>& at = m.rooms;
        const T* o = form.cell.output_gate ? m.units + at.o * A::width : nullptr;
        const Index pitch = at.pitch * A::width, blocks = form.blocks * A::width;
        with_squash_and_slope<T>(form.cell.output_squash, [&](auto function) {
            for (Index c = 0, y = 0; c < m.cells_span; c += pitch, y += blocks) {
                each<A>(form.blocks, [&](Index b) {
                    const ValueAndSlope<T> h = function(load(m.cells + c + b));
                    store(squashed + c + b, h.value);
                    store(state_slopes + c + b, h.slope);
                    store(m.seen + y + b, o ? load(o + b) * h.value : h.value);
                });
            }
        });
        T* behind = m.seen + form.hidden * A::width;
        each<A>(form.cell.conventional_units,
                [&](Index e) { store(behind + e, load(m.units + at.u * A::width + e)); });
        behind += form.cell.conventional_units * A::width;
        if (net.reads_inputs && x) each<A>(form.inputs, [&](Index e) { store(behind + e, load(x + e)); });
        Memory<T, A>::put_one(m.seen, net.seen(), net.output_bias);
    }
};

}  // namespace longlag::LONGLAG_ISA::online
