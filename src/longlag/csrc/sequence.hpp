// A tile of samples through all steps, forward and back. Tiles share the weights alone, and only read them, so that a
// thread never waits for another one.

#pragma once

#include "steps.hpp"
#include "transfer.hpp"
#include "weights.hpp"

namespace longlag::LONGLAG_ISA {

// Rows of activations and states by step: on a whole tape, on one with checkpoints, or in two places in turn.
template <class T>
struct Record {
    T* start;       // the row before step 0
    T* rows;        // row t at rows + (t - from) % cycle * stride
    Index stride, from, cycle;
    T* marks;       // with checkpoints: the row before step k * every, at marks + (k - 1) * stride
    Index every;

    T* row(Index t) const {
        if (t < 0) return start;
        if (t < from) return marks + ((t + 1) / every - 1) * stride;
        return rows + (t - from) % cycle * stride;
    }
};

template <class T, class L>
class Sequence {
public:
    // With a null `base` nothing may run: `used()` is then the size of the scratch buffer.
    Sequence(const Job<T>& job, const Tile& tile, const T* packed, T* base, Pass pass)
        : job_(job), form_(job.form), tile_(tile), arena_(base), weights_(job, pass, packed) {
        const Index n = tile.count;
        const Index spread = L::spaced(form_.sources);
        source_ = L::matrix(arena_.take(L::size(spread, n)), spread);
        product_ = L::matrix(arena_.take(form_.projection ? L::size(form_.hidden, n) : 0), form_.hidden);
        record_.stride = L::size(L::width(form_), n);
        record_.start = arena_.take(record_.stride);
        record_.every = job.every;
        record_.from = 0;
        record_.marks = record_.rows = tape();
        record_.cycle = job.steps + 1;
        const bool forward = pass == Pass::forward;
        if (job.every > 0 || (forward && !job.tape)) {
            record_.cycle = forward ? 2 : smaller(job.every, job.steps);
            record_.rows = arena_.take(record_.cycle * record_.stride);
        }
    }

    Index used() const { return arena_.used(); }

    void forward() {
        load_start();
        for (Index s = 0; s < tile_.count; ++s) {
            if (tile_.length[s] == 0) finish(-1, s, Matrix<L>{});
        }
        if (steps() == 0) return;
        source_before(0, source(0), live_at(0));
        run(0, steps(), true);
    }

protected:
    // Steps [from, to); `emit`: outputs, final states and checkpoints are written (not when steps are run again).
    void run(Index from, Index to, bool emit) {
        for (Index t = from; t < to; ++t) {
            const Index live = live_at(t);
            const Matrix<L> sources = source(t), units = row(t), cells = units.from(form_.rows);
            read<T, L>(job_.inputs, t, tile_, live, sources, form_.inputs, Order{0, 1, 1});
            fill(sources, form_.one, T(1));
            multiply<T, L>(weights_.rows, form_.columns, form_.rows, sources, units, live, L{});
            Matrix<L> next = source(t + 1), q = product_;
            if (t + 1 == to) next = source_;  // no step reads it; it goes to the outputs
            const Matrix<L> y = next.from(form_.y);
            if (!form_.projection) q = y;
            step_forward<T, L>(form_, weights_.peephole, units, row(t - 1).from(form_.rows), cells, q, live);
            if (form_.projection) multiply<T, L>(weights_.outputs, form_.hidden, form_.projection, q, y, live, L{});
            if (form_.cell.conventional_units) {
                copy<T, L>(units.from(form_.u), next.from(form_.yu), form_.cell.conventional_units, live);
            }
            if (form_.cell.gate_recurrence) gates_from(units, next, live);
            if (!emit) continue;
            write<T, L>(y, job_.outputs, job_.samples, form_.outputs, t, tile_, live, output_order());
            for (Index s = live - 1; s >= 0 && tile_.length[s] == t + 1; --s) finish(t, s, y);
            if (job_.every > 0 && job_.tape && (t + 1) % job_.every == 0 && t + 1 < job_.steps) {
                T* const mark = record_.marks + ((t + 1) / job_.every - 1) * record_.stride;
                copy<T, L>(units, L::matrix(mark, L::width(form_)), L::width(form_), live);
            }
        }
    }

    Matrix<L> row(Index t) const { return L::matrix(record_.row(t), L::width(form_)); }
    // The source of step t: on the record, or in a place that every step uses again.
    Matrix<L> source(Index t) const {
        return L::samples_in_lanes ? row(t).from(form_.rows + 2 * form_.hidden) : source_;
    }
    Index steps() const { return tile_.count ? tile_.length[0] : 0; }
    // Samples that take step t: the first ones, because the longest stand first.
    Index live_at(Index t) const {
        Index live = tile_.count;
        while (live > 0 && tile_.length[live - 1] <= t) --live;
        return live;
    }
    Order output_order() const { return {form_.projection ? 0 : form_.hidden, form_.block_size, form_.blocks}; }
    Order cell_order() const { return {form_.hidden, form_.block_size, form_.blocks}; }

    void fill(Matrix<L> m, Index unit, T value) {
        for (Index s = 0; s < (L::samples_in_lanes ? L::tile : tile_.count); ++s) *m(unit, s) = value;
    }

    // Gate activations, in rows i, f and o, side by side into the sources.
    void gates_from(Matrix<L> units, Matrix<L> source, Index live) {
        copy<T, L>(units, source.from(form_.yg), form_.g, live);
        copy<T, L>(units.from(form_.o), source.from(form_.yg + form_.g), form_.u - form_.o, live);
    }

    // State before step 0, as a row of the record.
    void load_start() {
        const Matrix<L> units = row(-1), cells = units.from(form_.rows);
        const Index n = tile_.count;
        read<T, L>(state(job_.start.cells, form_.hidden), 0, tile_, n, cells, form_.hidden, cell_order());
        if (form_.cell.gate_recurrence) {
            const Strided<const T> gates = state(job_.start.gates, form_.gates);
            read<T, L>(gates, 0, tile_, n, units, form_.g, Order{0, 1, 1});
            read<T, L>({gates.data + form_.g, 0, gates.sample, 1}, 0, tile_, n, units.from(form_.o),
                       form_.u - form_.o, Order{0, 1, 1});
        }
    }

    // The recurrent source of step t, from step t - 1: [y u gates].
    void source_before(Index t, Matrix<L> source, Index live) {
        const Strided<const T> outputs{job_.outputs, job_.samples * form_.outputs, form_.outputs, 1};
        read<T, L>(t ? outputs : state(job_.start.output, form_.outputs), t ? t - 1 : 0, tile_, live,
                   source.from(form_.y), form_.outputs, output_order());
        if (form_.cell.gate_recurrence) gates_from(row(t - 1), source, live);
    }

    static Strided<const T> state(const T* data, Index width) { return {data, 0, width, 1}; }

    // Writes the final state of lane s, whose last step is t (-1: it has none).
    void finish(Index t, Index s, Matrix<L> y) {
        const Index b = tile_.sample[s];
        if (t < 0) {
            std::memcpy(job_.final.output + b * form_.outputs, job_.start.output + b * form_.outputs,
                        static_cast<std::size_t>(form_.outputs) * sizeof(T));
        } else {
            write_row<T, L>(y, job_.final.output + b * form_.outputs, form_.outputs, s, output_order());
        }
        const Matrix<L> units = row(t);
        write_row<T, L>(units.from(form_.rows), job_.final.cells + b * form_.hidden, form_.hidden, s, cell_order());
        if (form_.cell.gate_recurrence) {
            T* gates = job_.final.gates + b * form_.gates;
            write_row<T, L>(units, gates, form_.g, s, Order{0, 1, 1});
            write_row<T, L>(units.from(form_.o), gates + form_.g, form_.u - form_.o, s, Order{0, 1, 1});
        }
    }

    T* tape() const { return job_.tape ? job_.tape + tape_steps(job_.steps, job_.every) * tape_offset() : nullptr; }
    Index tape_offset() const { return L::width(form_) * tile_.place; }

    const Job<T>& job_;
    const Form& form_;
    const Tile& tile_;
    Arena<T> arena_;
    const PackedWeights<T, L> weights_;
    Matrix<L> source_, product_;
    Record<T> record_;
};

}  // namespace longlag::LONGLAG_ISA
