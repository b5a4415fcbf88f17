// Forward mode: directional derivatives of a layer's outputs by its weights, inputs and initial state, forward in time
// beside the steps of a tape (Pearlmutter 1994's R-operator). d_ marks a quantity's derivative along the direction; the
// rest is as in steps.hpp:
//
//   d_net = V x + W d_x      W: the weights; V: their direction; x: the sources [x y u gates 1]

#pragma once

#include "sequence.hpp"

namespace longlag::LONGLAG_ISA {

// Activations and states of one step, and their directional derivatives.
template <class T, class L>
struct StepTangent {
    Matrix<L> units, before, cells;  // activations, s_{t-1} and s_t from the tape
    Matrix<L> d_units;               // in: d_net, without peepholes; out: of the activations
    Matrix<L> d_before, d_cells;     // of s_{t-1}; out: of s_t
    Matrix<L> q, d_q;                // out: q = o h(s), if it is not null; its derivative
};

// d_units <- slope(units) d_units, for `count` units from `first` on.
template <class T, class L, class S>
LONGLAG_INLINE void apply_slope(const StepTangent<T, L>& x, Index first, Index count, Index live, S slope) {
    L::each(count, live, [&](Index u, Index s, auto n) {
        T* p = x.d_units(first + u, s);
        L::put(p, slope(load(x.units(first + u, s))) * load(p), n);
    });
}

// d_s_t = d_f s_{t-1} + f d_s_{t-1} + d_i g + i d_g
template <class T, class L, bool I, Forget F>
void cell_update_tangent(const Form& form, const StepTangent<T, L>& x, Index live) {
    L::each(form.blocks, live, [&](Index b, Index s, auto n) {
        vec<T> i{}, d_i{}, f{}, d_f{};
        if constexpr (I) {
            i = load(x.units(form.i + b, s));
            d_i = load(x.d_units(form.i + b, s));
        }
        if constexpr (F == Forget::own) {
            f = load(x.units(form.f + b, s));
            d_f = load(x.d_units(form.f + b, s));
        }
        if constexpr (F == Forget::coupled) {
            f = T(1) - i;
            d_f = -d_i;
        }
        for (Index c = b; c < form.hidden; c += form.blocks) {
            vec<T> d = load(x.d_units(form.g + c, s));
            if constexpr (I) d = i * d + d_i * load(x.units(form.g + c, s));
            const vec<T> old = load(x.d_before(c, s));
            if constexpr (F == Forget::none) d += old;
            else d += f * old + d_f * load(x.before(c, s));
            L::put(x.d_cells(c, s), d, n);
        }
    });
}

// d_q = d_o h + o h'(s) d_s
template <class T, class L, bool O, class S>
void gate_output_tangent(const Form& form, const StepTangent<T, L>& x, Index live, S squash) {
    const Slope<T> slope(form.cell.output_squash);
    L::each(form.blocks, live, [&](Index b, Index s, auto n) {
        vec<T> o{}, d_o{};
        if constexpr (O) {
            o = load(x.units(form.o + b, s));
            d_o = load(x.d_units(form.o + b, s));
        }
        for (Index c = b; c < form.hidden; c += form.blocks) {
            const vec<T> h = L::samples_in_lanes ? load(squashed<L>(form, x.cells)(c, s)) : squash(load(x.cells(c, s)));
            const vec<T> d_h = slope(h) * load(x.d_cells(c, s));
            if (x.q.at) L::put(x.q(c, s), O ? o * h : h, n);
            L::put(x.d_q(c, s), O ? o * d_h + d_o * h : d_h, n);
        }
    });
}

// From d_net in x.d_units to d_units, d_cells and d_q. `peephole`, `d_peephole`: weights and their direction, or null.
template <class T, class L>
void step_tangent(const Form& form, const T* peephole, const T* d_peephole, const StepTangent<T, L>& x, Index live) {
    const Cell& cell = form.cell;
    const T alpha = static_cast<T>(cell.sharpness);
    const auto gate = [alpha](vec<T> y) __attribute__((always_inline)) { return alpha * (y * (T(1) - y)); };
    Index kind = 0;
    const auto add_peephole_tangents = [&](Index row, Matrix<L> seen, Matrix<L> d_seen) {
        if (!cell.peepholes) return;
        add_peepholes<T, L>(form, x.d_units, row, d_peephole + kind, seen, live);
        add_peepholes<T, L>(form, x.d_units, row, peephole + kind, d_seen, live);
        kind += form.hidden;
    };
    if (cell.input_gate) add_peephole_tangents(form.i, x.before, x.d_before);
    if (cell.forget == Forget::own) add_peephole_tangents(form.f, x.before, x.d_before);
    apply_slope<T, L>(x, form.i, form.g - form.i, live, gate);
    apply_slope<T, L>(x, form.g, form.hidden, live, Slope<T>(cell.input_squash));
    with_gates(cell, [&](auto i, auto f) { cell_update_tangent<T, L, i.value, f.value>(form, x, live); });
    if (cell.output_gate) add_peephole_tangents(form.o, x.cells, x.d_cells);
    apply_slope<T, L>(x, form.o, form.u - form.o, live, gate);
    with_squash<T>(cell.output_squash, [&](auto squash) {
        if (cell.output_gate) gate_output_tangent<T, L, true>(form, x, live, squash);
        else gate_output_tangent<T, L, false>(form, x, live, squash);
    });
    apply_slope<T, L>(x, form.u, cell.conventional_units, live, Slope<T>(cell.unit_squash));
}

// A tile through all steps, on the tape that the forward pass has written.
template <class T, class L>
class Tangent : public Sequence<T, L> {
    using Base = Sequence<T, L>;
    using Base::arena_, Base::form_, Base::job_, Base::record_, Base::tile_, Base::weights_, Base::product_;
    using Base::row, Base::state;

public:
    Tangent(const Job<T>& job, const Tile& tile, const T* packed, const T* direction, T* base)
        : Base(job, tile, packed, base, Pass::tangent), direction_(job, Pass::tangent, direction) {
        const auto take = [&](Index units) { return L::matrix(arena_.take(L::size(units, tile.count)), units); };
        d_source_ = take(L::spaced(form_.sources));
        d_units_ = take(form_.rows);
        d_before_ = take(form_.hidden);
        d_cells_ = take(form_.hidden);
        d_product_ = take(form_.projection ? form_.hidden : 0);
    }

    void run_tangent() {
        this->load_start();
        load_start_tangent();
        for (Index s = 0; s < tile_.count; ++s) {
            if (tile_.length[s] == 0) end(s, d_before_);
        }
        const Index steps = this->steps(), stretch = job_.every > 0 ? job_.every : steps;
        for (Index from = 0; from < steps; from += stretch) {
            const Index to = smaller(from + stretch, steps);
            if (job_.every > 0) {
                record_.from = from;
                this->source_before(from, this->source(from), this->live_at(from));
                this->run(from, to, false);
            }
            for (Index t = from; t < to; ++t) step(t);
        }
    }

private:
    void step(Index t) {
        const Index live = this->live_at(t);
        const Matrix<L> units = row(t), sources = this->source(t);
        if constexpr (!L::samples_in_lanes) {  // the tape has no sources
            read<T, L>(job_.inputs, t, tile_, live, sources, form_.inputs, Order{0, 1, 1});
            this->fill(sources, form_.one, T(1));
            if (form_.recurrent()) this->source_before(t, sources, live);
        }
        if (job_.tangents.inputs.data) {
            read<T, L>(job_.tangents.inputs, t, tile_, live, d_source_, form_.inputs, Order{0, 1, 1});
        }
        multiply<T, L>(direction_.rows, form_.columns, form_.rows, sources, d_units_, live, L{});
        multiply<T, L, true>(weights_.rows, form_.columns, form_.rows, d_source_, d_units_, live, L{});

        const Matrix<L> d_y = d_source_.from(form_.y);
        const StepTangent<T, L> x{units,     row(t - 1).from(form_.rows), units.from(form_.rows),
                                d_units_,  d_before_,                   d_cells_,
                                form_.projection ? product_ : Matrix<L>{}, form_.projection ? d_product_ : d_y};
        step_tangent<T, L>(form_, weights_.peephole, direction_.peephole, x, live);
        if (form_.projection) {
            multiply<T, L>(weights_.outputs, form_.hidden, form_.projection, d_product_, d_y, live, L{});
            multiply<T, L, true>(direction_.outputs, form_.hidden, form_.projection, product_, d_y, live, L{});
        }
        if (form_.cell.conventional_units) {
            copy<T, L>(d_units_.from(form_.u), d_source_.from(form_.yu), form_.cell.conventional_units, live);
        }
        if (form_.cell.gate_recurrence) this->gates_from(d_units_, d_source_, live);
        write<T, L>(d_y, job_.tangents.outputs, job_.samples, form_.outputs, t, tile_, live, this->output_order());
        for (Index s = live - 1; s >= 0 && tile_.length[s] == t + 1; --s) end(s, d_cells_);
        const Matrix<L> kept = d_before_;
        d_before_ = d_cells_;
        d_cells_ = kept;
    }

    // The direction of the initial state, into s_{-1}'s place and the sources of step 0.
    void load_start_tangent() {
        const StateRows<const T>& start = job_.tangents.start;
        const Index n = tile_.count;
        for (Index u = 0; u < form_.sources; ++u) this->fill(d_source_, u, T(0));
        for (Index c = 0; c < form_.hidden; ++c) this->fill(d_before_, c, T(0));
        if (start.cells) {
            read<T, L>(state(start.cells, form_.hidden), 0, tile_, n, d_before_, form_.hidden, this->cell_order());
        }
        if (start.output) {
            read<T, L>(state(start.output, form_.outputs), 0, tile_, n, d_source_.from(form_.y), form_.outputs,
                       this->output_order());
        }
        if (start.gates && form_.cell.gate_recurrence) {
            read<T, L>(state(start.gates, form_.gates), 0, tile_, n, d_source_.from(form_.yg), form_.gates, Order{0, 1, 1});
        }
    }

    // Writes the derivatives of lane s's final state, after its last step or where it has none.
    void end(Index s, Matrix<L> d_cells) {
        const StateRows<T>& to = job_.tangents.final;
        const Index b = tile_.sample[s];
        write_row<T, L>(d_source_.from(form_.y), to.output + b * form_.outputs, form_.outputs, s, this->output_order());
        write_row<T, L>(d_cells, to.cells + b * form_.hidden, form_.hidden, s, this->cell_order());
        if (form_.cell.gate_recurrence) {
            write_row<T, L>(d_source_.from(form_.yg), to.gates + b * form_.gates, form_.gates, s, Order{0, 1, 1});
        }
    }

    const PackedWeights<T, L> direction_;
    Matrix<L> d_source_, d_units_, d_before_, d_cells_, d_product_;
};

}  // namespace longlag::LONGLAG_ISA
