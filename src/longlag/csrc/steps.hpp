// The equations of one step, forward and backward, elementwise part (ops/README.md; 2013 eqs 1-4, 13-17). Each option
// of the cell is chosen outside the loops. `L` is the way to fill a vector's lanes.

#pragma once

#include <type_traits>

#include "lanes.hpp"
#include "squash.hpp"

namespace longlag::LONGLAG_ISA {

// units <- squash(units), for `count` units from `first` on.
template <class T, class L, class S>
LONGLAG_INLINE void activate(Matrix<L> units, Index first, Index count, Index live, S squash) {
    L::each(count, live, [&](Index u, Index s, auto n) {
        T* p = units(first + u, s);
        L::put(p, squash(load(p)), n);
    });
}

// net_gate <- net_gate + sum over the block's cells of p * seen
template <class T, class L>
void add_peepholes(const Form& form, Matrix<L> units, Index gate, const T* p, Matrix<L> seen, Index live) {
    L::each(form.blocks, live, [&](Index b, Index s, auto n) {
        vec<T> net = load(units(gate + b, s));
        for (Index c = b; c < form.hidden; c += form.blocks) net += L::weight(p, c) * load(seen(c, s));
        L::put(units(gate + b, s), net, n);
    });
}

// s_t = f s_{t-1} + i g
template <class T, class L, bool I, Forget F>
void cell_update(const Form& form, Matrix<L> units, Matrix<L> before, Matrix<L> cells, Index live) {
    L::each(form.blocks, live, [&](Index b, Index s, auto n) {
        vec<T> i{}, f{};
        if constexpr (I) i = load(units(form.i + b, s));
        if constexpr (F == Forget::own) f = load(units(form.f + b, s));
        if constexpr (F == Forget::coupled) f = T(1) - i;
        for (Index c = b; c < form.hidden; c += form.blocks) {
            vec<T> added = load(units(form.g + c, s));
            if constexpr (I) added = i * added;
            const vec<T> old = load(before(c, s));
            L::put(cells(c, s), F == Forget::none ? old + added : f * old + added, n);
        }
    });
}

// h(s), kept behind the cells where the lanes hold samples: there, computing it again would be most of the way back's
// arithmetic.
template <class L>
LONGLAG_INLINE Matrix<L> squashed(const Form& form, Matrix<L> cells) {
    return cells.from(form.hidden);
}

// q = o h(s)
template <class T, class L, bool O, class S>
LONGLAG_INLINE void gate_output(const Form& form, Matrix<L> units, Matrix<L> cells, Matrix<L> q, Index live, S squash) {
    L::each(form.blocks, live, [&](Index b, Index s, auto n) {
        vec<T> o{};
        if constexpr (O) o = load(units(form.o + b, s));
        for (Index c = b; c < form.hidden; c += form.blocks) {
            const vec<T> h = squash(load(cells(c, s)));
            if constexpr (L::samples_in_lanes) L::put(squashed<L>(form, cells)(c, s), h, n);
            L::put(q(c, s), O ? o * h : h, n);
        }
    });
}

template <class T, class L>
void copy(Matrix<L> from, Matrix<L> to, Index count, Index live) {
    L::each(count, live, [&](Index u, Index s, auto n) { L::put(to(u, s), load(from(u, s)), n); });
}

// Calls f with the gates as constants: f(input gate?, forget kind).
template <class F>
LONGLAG_INLINE void with_gates(const Cell& cell, F f) {
    constexpr std::integral_constant<bool, true> yes;
    constexpr std::integral_constant<bool, false> no;
    constexpr std::integral_constant<Forget, Forget::none> none;
    constexpr std::integral_constant<Forget, Forget::own> own;
    constexpr std::integral_constant<Forget, Forget::coupled> coupled;
    if (cell.forget == Forget::coupled) return f(yes, coupled);  // coupled needs an input gate
    if (cell.input_gate) return cell.forget == Forget::own ? f(yes, own) : f(yes, none);
    return cell.forget == Forget::own ? f(no, own) : f(no, none);
}

// From net inputs W x + R r + b in `units` to activations, the new state, and q = o h(s).
template <class T, class L>
void step_forward(const Form& form, const T* peephole, Matrix<L> units, Matrix<L> before, Matrix<L> cells, Matrix<L> q,
                  Index live) {
    const Cell& cell = form.cell;
    const Sigmoid<T> gate{static_cast<T>(cell.sharpness)};
    const T* p = peephole;
    if (p && cell.input_gate) {
        add_peepholes<T, L>(form, units, form.i, p, before, live);
        p += form.hidden;
    }
    if (p && cell.forget == Forget::own) {
        add_peepholes<T, L>(form, units, form.f, p, before, live);
        p += form.hidden;
    }
    activate<T, L>(units, form.i, form.g - form.i, live, gate);
    with_squash<T>(cell.input_squash,
                   [&](auto squash) { activate<T, L>(units, form.g, form.hidden, live, squash); });
    with_gates(cell, [&](auto i, auto f) { cell_update<T, L, i.value, f.value>(form, units, before, cells, live); });
    if (p && cell.output_gate) add_peepholes<T, L>(form, units, form.o, p, cells, live);
    activate<T, L>(units, form.o, form.u - form.o, live, gate);
    with_squash<T>(cell.output_squash, [&](auto squash) {
        if (cell.output_gate) {
            gate_output<T, L, true>(form, units, cells, q, live, squash);
        } else {
            gate_output<T, L, false>(form, units, cells, q, live, squash);
        }
    });
    if (cell.conventional_units) {
        with_squash<T>(cell.unit_squash,
                       [&](auto squash) { activate<T, L>(units, form.u, cell.conventional_units, live, squash); });
    }
}

// ---------------------------------------------------------------- backward

// One step on the way back. `d_` marks matrices of errors; `delta` is the error of the net inputs.
template <class T, class L>
struct StepBack {
    Matrix<L> units, before, cells;  // activations and s_t from the tape, s_{t-1}
    Matrix<L> d_q;                   // error of q = o h(s)
    Matrix<L> d_units;               // errors of the conventional units' outputs
    Matrix<L> d_gates;               // errors of the gate activations as sources of step t+1
    bool gates_are_sources;
    Matrix<L> d_state;               // in: error of s_t from step t+1; out: error of s_{t-1}
    Matrix<L> delta;
    Matrix<L> q;                     // out, if it is not null: q again, for the projection's gradient
};

// delta_gate = alpha y (1 - y) dE/dy
template <class T>
LONGLAG_INLINE vec<T> gate_error(T alpha, vec<T> y, vec<T> d) {
    return d * (alpha * (y * (T(1) - y)));
}

// o: delta_o; the state's error gains d_q o h'(s)
template <class T, class L, bool O, class S>
LONGLAG_INLINE void back_through_output(const Form& form, const StepBack<T, L>& x, Index gate, Index live, S squash) {
    const Slope<T> slope(form.cell.output_squash);
    const T alpha = static_cast<T>(form.cell.sharpness);
    L::each(form.blocks, live, [&](Index b, Index s, auto n) {
        vec<T> o{}, d_o{};
        if constexpr (O) {
            o = load(x.units(form.o + b, s));
            if (x.gates_are_sources) d_o = load(x.d_gates(gate * form.blocks + b, s));
        }
        for (Index c = b; c < form.hidden; c += form.blocks) {
            const vec<T> h = L::samples_in_lanes ? load(squashed<L>(form, x.cells)(c, s)) : squash(load(x.cells(c, s)));
            vec<T> d = load(x.d_q(c, s));
            if (x.q.at) L::put(x.q(c, s), O ? o * h : h, n);
            if constexpr (O) {
                d_o += d * h;
                d *= o;
            }
            L::put(x.d_state(c, s), load(x.d_state(c, s)) + d * slope(h), n);
        }
        if constexpr (O) L::put(x.delta(form.o + b, s), gate_error<T>(alpha, o, d_o), n);
    });
}

// i, f, g: their deltas; the state's error goes on to s_{t-1}, times f
template <class T, class L, bool I, Forget F>
void back_through_state(const Form& form, const StepBack<T, L>& x, Index live) {
    const Slope<T> slope(form.cell.input_squash);
    const T alpha = static_cast<T>(form.cell.sharpness);
    L::each(form.blocks, live, [&](Index b, Index s, auto n) {
        vec<T> i{}, f{}, d_i{}, d_f{};
        if constexpr (I) {
            i = load(x.units(form.i + b, s));
            if (x.gates_are_sources) d_i = load(x.d_gates(b, s));
        }
        if constexpr (F == Forget::own) {
            f = load(x.units(form.f + b, s));
            if (x.gates_are_sources) d_f = load(x.d_gates((I ? form.blocks : 0) + b, s));
        }
        if constexpr (F == Forget::coupled) f = T(1) - i;
        for (Index c = b; c < form.hidden; c += form.blocks) {
            const vec<T> d = load(x.d_state(c, s)), g = load(x.units(form.g + c, s)), old = load(x.before(c, s));
            if constexpr (I) d_i += d * (F == Forget::coupled ? g - old : g);
            if constexpr (F == Forget::own) d_f += d * old;
            L::put(x.delta(form.g + c, s), (I ? d * i : d) * slope(g), n);
            if constexpr (F != Forget::none) L::put(x.d_state(c, s), d * f, n);
        }
        if constexpr (I) L::put(x.delta(form.i + b, s), gate_error<T>(alpha, i, d_i), n);
        if constexpr (F == Forget::own) L::put(x.delta(form.f + b, s), gate_error<T>(alpha, f, d_f), n);
    });
}

// Where gradients are added up. `apart`: from the sums of one sample (or vector of samples) to those of the next; 0
// where all samples share theirs.
template <class T>
struct PeepholeSums {
    T* at;
    Index apart;
};

// A peephole's gradient delta * seen, and, where the error follows it, its share of the seen state's error.
template <class T, class L>
void back_through_peephole(const Form& form, Matrix<L> delta, const T* p, PeepholeSums<T> sums, Matrix<L> seen,
                           Matrix<L> d_seen, bool follow, Index live) {
    L::each(form.blocks, live, [&](Index b, Index s, auto n) {
        const vec<T> d = load(delta(b, s));
        for (Index c = b; c < form.hidden; c += form.blocks) {
            L::accumulate(sums.at + sums.apart * L::part(s), c, d * load(seen(c, s)), n);
            if (follow) L::put(d_seen(c, s), load(d_seen(c, s)) + L::weight(p, c) * d, n);
        }
    });
}

// Fills delta, turns d_state from s_t's error into s_{t-1}'s, and adds to the peepholes' sums.
template <class T, class L>
void step_backward(const Form& form, const StepBack<T, L>& x, const T* peephole, PeepholeSums<T> sums,
                   bool follow_peepholes, Index live) {
    const Cell& cell = form.cell;
    const Index before_o = (cell.input_gate ? 1 : 0) + (cell.forget == Forget::own ? 1 : 0);
    if (cell.conventional_units) {
        const Slope<T> slope(cell.unit_squash);
        L::each(cell.conventional_units, live, [&](Index u, Index s, auto n) {
            L::put(x.delta(form.u + u, s), load(x.d_units(u, s)) * slope(load(x.units(form.u + u, s))), n);
        });
    }
    with_squash<T>(cell.output_squash, [&](auto squash) {
        if (cell.output_gate) {
            back_through_output<T, L, true>(form, x, before_o, live, squash);
        } else {
            back_through_output<T, L, false>(form, x, before_o, live, squash);
        }
    });
    const auto through_peephole = [&](Index gate, Index row, Matrix<L> seen) {
        back_through_peephole<T, L>(form, x.delta.from(row), peephole + gate * form.hidden,
                                    {sums.at + L::sum_size(gate * form.hidden), sums.apart}, seen, x.d_state,
                                    follow_peepholes, live);
    };
    if (peephole && cell.output_gate) through_peephole(before_o, form.o, x.cells);
    with_gates(cell, [&](auto i, auto f) { back_through_state<T, L, i.value, f.value>(form, x, live); });
    if (peephole && cell.input_gate) through_peephole(0, form.i, x.before);
    if (peephole && cell.forget == Forget::own) through_peephole(cell.input_gate ? 1 : 0, form.f, x.before);
}

}  // namespace longlag::LONGLAG_ISA
